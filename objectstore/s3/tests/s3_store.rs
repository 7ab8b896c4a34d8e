//! The S3 backend against a server: s3s-fs in this process, or the one that the environment names
//! (see `support`).

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ring::digest::{SHA256, digest};
use storehouse_objectstore::{
    Body, ByteRange, ETag, Error, GetOptions, Key, ListOptions, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions,
};
use storehouse_s3::{S3, S3Options};
use support::{Kind, Server, content, remove, streamed};

const MIB: usize = 1 << 20;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

async fn read(store: &S3, key: &Key) -> Bytes {
    store
        .get(key)
        .await
        .unwrap()
        .body
        .collect(u64::MAX)
        .await
        .unwrap()
}

async fn keys(store: &S3, options: ListOptions) -> Vec<String> {
    store
        .list(options)
        .map_ok(|entry| entry.key.to_string())
        .try_collect()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn says_what_the_server_honours_and_leaves_nothing_behind() {
    let server = Server::start().await;
    let options = server.bucket();
    let store = S3::open(options.clone()).await.unwrap();
    let found = store.capabilities();
    let (create, replace, sha256) = (found.create, found.replace, found.verifies_sha256);
    match server.kind {
        // It checks payloads, but calls a wrong one an internal error: not recognisably.
        Kind::S3sFs => assert_eq!((create, replace, sha256), (true, true, false)),
        Kind::MinIo => assert_eq!((create, replace, sha256), (true, true, true)),
        Kind::Garage => assert_eq!((create, replace, sha256), (false, false, true)),
        Kind::Other => assert!(found.max_size > 0),
    }
    assert_eq!(keys(&store, ListOptions::default()).await, [""; 0]);
    store.health().await.unwrap();
    // The bucket is there now.
    S3::open(S3Options {
        create_bucket: false,
        ..options.clone()
    })
    .await
    .unwrap();
    store.remove_bucket().await.unwrap();
    let missing = S3::open(S3Options {
        create_bucket: false,
        ..options
    })
    .await
    .unwrap_err();
    assert!(
        matches!(
            &missing,
            Error::Config {
                setting: "bucket",
                ..
            }
        ),
        "{missing}"
    );
    assert!(store.health().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_kind_come_back_whole() {
    let server = Server::start().await;
    let store = server.store().await;
    let part = 5 * MIB;
    for (i, len) in [
        0,
        1,
        64 * 1024,
        64 * 1024 + 1,
        256 * 1024,
        256 * 1024 + 1,
        MIB + 1,
        part - 1,
        part,
        part + 1,
        2 * part,
        3 * part + 7,
    ]
    .into_iter()
    .enumerate()
    {
        let bytes = content(len);
        let sum = sha256(&bytes);
        let name = |kind: &str| key(&format!("{kind}/{len}"));
        let with_sum = || PutOptions::default().sha256(sum);
        let create = || PutOptions::default().mode(PutMode::Create);
        let mut put = vec![
            ("memory", Body::from(bytes.clone()), PutOptions::default()),
            ("memory-sum", Body::from(bytes.clone()), with_sum()),
            ("stream", streamed(&bytes, 100_001), PutOptions::default()),
            ("stream-sum", streamed(&bytes, 100_001), with_sum()),
            (
                "stream-whole",
                streamed(&bytes, len.max(1)),
                PutOptions::default(),
            ),
        ];
        if store.capabilities().create {
            put.push(("stream-create", streamed(&bytes, 100_001), create()));
            put.push((
                "stream-sum-create",
                streamed(&bytes, 100_001),
                create().sha256(sum),
            ));
        }
        // All kinds of the sizes at which something changes; of the largest, those that go up in
        // parts.
        if i > 9 {
            put.retain(|(kind, ..)| ["stream", "stream-whole"].contains(kind));
        }
        for (kind, body, options) in put {
            let name = name(kind);
            let etag = store
                .put_opts(&name, body, options)
                .await
                .unwrap_or_else(|e| panic!("{name}: {e} {e:?}"))
                .etag;
            let object = store.get(&name).await.unwrap();
            assert_eq!(
                (object.size(), &object.metadata.etag),
                (len as u64, &etag),
                "{name}"
            );
            assert_eq!(store.head(&name).await.unwrap(), object.metadata, "{name}");
            let back = object.body.collect(u64::MAX).await.unwrap();
            assert!(back == bytes, "{name}");
        }
    }
    remove(&store).await;
}

/// A part larger than the memory allowed is streamed.
#[tokio::test(flavor = "multi_thread")]
async fn parts_larger_than_memory_are_streamed() {
    let server = Server::start().await;
    let store = S3::open(S3Options {
        part_memory: MIB as u64,
        ..server.bucket()
    })
    .await
    .unwrap();
    let bytes = content(12 * MIB + 5);
    store
        .put(&key("large"), streamed(&bytes, 300_001))
        .await
        .unwrap();
    assert!(read(&store, &key("large")).await == bytes);
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_source_stores_nothing() {
    let server = Server::start().await;
    let store = server.store().await;
    let sum = |bytes: &Bytes| PutOptions::default().sha256(sha256(bytes));
    for len in [1000, 300_000, 11 * MIB] {
        let bytes = content(len);
        let good = || stream::iter([Ok(bytes.clone())]);
        for options in [PutOptions::default(), sum(&bytes)] {
            let name = key("failed");
            // The verdict comes after the last byte.
            let late = Body::from_stream(
                good().chain(stream::iter([Err(std::io::Error::other("verdict"))])),
            );
            let error = store
                .put_opts(&name, late, options.clone().size(len as u64))
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Body { key: Some(_), .. }), "{error}");
            let error = store
                .put_opts(
                    &name,
                    Body::from_stream(good()),
                    options.clone().size(len as u64 + 1),
                )
                .await
                .unwrap_err();
            assert!(matches!(error, Error::TooSmall { .. }), "{error}");
            let error = store
                .put_opts(
                    &name,
                    Body::from_stream(good()),
                    options.clone().size(len as u64 - 1),
                )
                .await
                .unwrap_err();
            assert!(matches!(error, Error::TooLarge { .. }), "{error}");
            assert!(store.head(&name).await.unwrap_err().is_not_found());
        }
    }
    let huge = store
        .put_opts(
            &key("huge"),
            Body::from_stream(stream::pending::<std::io::Result<Bytes>>()),
            PutOptions::default().size(u64::MAX),
        )
        .await;
    assert!(matches!(huge.unwrap_err(), Error::TooLarge { .. }));
    nothing_is_left(&server, &store).await;
    remove(&store).await;
}

/// A server takes a moment to notice that a connection is gone, and an abort that follows a drop
/// runs in the background.
async fn nothing_is_left(server: &Server, store: &S3) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !server.leftovers(store).await.is_empty() {
        assert!(
            std::time::Instant::now() < deadline,
            "left behind: {:?}",
            server.leftovers(store).await
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_put_leaves_no_upload() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(6 * MIB);
    // At each point: while the upload is opened, while parts are on their way, while the source is
    // waited for.
    for wait in [0, 1, 2, 5, 10, 50, 200] {
        let source =
            stream::iter([Ok::<_, std::io::Error>(bytes.clone())]).chain(stream::pending());
        let name = key("dropped");
        let put = store.put_opts(
            &name,
            Body::from_stream(source),
            PutOptions::default().size(20 * MIB as u64),
        );
        assert!(
            tokio::time::timeout(Duration::from_millis(wait), put)
                .await
                .is_err()
        );
    }
    nothing_is_left(&server, &store).await;
    assert!(
        store
            .head(&key("dropped"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    remove(&store).await;
}

/// A process that dies in the middle of a put is a runtime that ends in it: nobody aborts the
/// upload then.
#[test]
fn uploads_of_the_dead_are_swept() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let servers = runtime();
    let (server, options) = servers.block_on(async {
        let server = Server::start().await;
        let options = server.bucket();
        (server, options)
    });
    let dying = runtime();
    let store = dying.block_on(async {
        let store = S3::open(options.clone()).await.unwrap();
        let source =
            stream::iter([Ok::<_, std::io::Error>(content(6 * MIB))]).chain(stream::pending());
        let put = store.clone();
        tokio::spawn(async move {
            put.put_opts(
                &key("orphan"),
                Body::from_stream(source),
                PutOptions::default().size(20 * MIB as u64),
            )
            .await
        });
        // A file that is being written is no upload yet.
        while server
            .leftovers(&store)
            .await
            .iter()
            .all(|name| name.starts_with(".tmp."))
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        store
    });
    drop(store);
    dying.shutdown_timeout(Duration::from_secs(5));
    servers.block_on(async {
        let store = S3::open(options).await.unwrap();
        assert!(!server.leftovers(&store).await.is_empty());
        if server.kind == Kind::S3sFs {
            // It cannot list uploads, and says so.
            let error = store.sweep_uploads(Duration::ZERO).await.unwrap_err();
            assert!(error.to_string().contains("NotImplemented"), "{error}");
            return;
        }
        assert_eq!(
            store
                .sweep_uploads(Duration::from_secs(3600))
                .await
                .unwrap(),
            0
        );
        assert_eq!(store.sweep_uploads(Duration::ZERO).await.unwrap(), 1);
        assert_eq!(server.leftovers(&store).await, [""; 0]);
        remove(&store).await;
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_checks_a_digest_that_was_declared() {
    let server = Server::start().await;
    let store = server.store().await;
    assert_eq!(
        store.capabilities().verifies_sha256,
        server.kind != Kind::S3sFs
    );
    for len in [1000, 300_000, 6 * MIB] {
        let bytes = content(len);
        let wrong = PutOptions::default().sha256([7; 32]);
        for body in [Body::from(bytes.clone()), streamed(&bytes, 100_000)] {
            let error = store
                .put_opts(&key("wrong"), body, wrong.clone())
                .await
                .unwrap_err();
            match server.kind {
                Kind::S3sFs => assert!(matches!(error, Error::Backend { .. }), "{len}: {error}"),
                _ => assert!(
                    matches!(error, Error::ChecksumMismatch { .. }),
                    "{len}: {error}"
                ),
            }
        }
    }
    assert!(store.head(&key("wrong")).await.unwrap_err().is_not_found());
    remove(&store).await;
}

/// MinIO refuses a conditional put of 20 MiB before it reads it, and resets the connection: the
/// answer is the refusal.
#[tokio::test(flavor = "multi_thread")]
async fn conditions_hold_for_bodies_of_every_kind() {
    let server = Server::start().await;
    let store = server.store().await;
    let name = key("there");
    let first = store.put(&name, "first").await.unwrap().etag;
    let no_tag = || PutMode::Replace(ETag::new("\"00000000000000000000000000000000\""));
    for len in [10, 300_000, 20 * MIB] {
        let bytes = content(len);
        let sum = sha256(&bytes);
        let bodies = || {
            [
                (Body::from(bytes.clone()), None),
                (streamed(&bytes, 100_000), None),
                (streamed(&bytes, 100_000), Some(sum)),
            ]
        };
        for (body, sha256) in bodies() {
            let error = store
                .put_opts(
                    &name,
                    body,
                    PutOptions {
                        sha256,
                        ..PutOptions::default().mode(PutMode::Create)
                    },
                )
                .await
                .unwrap_err();
            match store.capabilities().create {
                true => assert!(error.is_already_exists(), "{len}: {error} {error:?}"),
                false => assert!(matches!(error, Error::Unsupported { .. }), "{error}"),
            }
        }
        for (body, sha256) in bodies() {
            let error = store
                .put_opts(
                    &name,
                    body,
                    PutOptions {
                        sha256,
                        ..PutOptions::default().mode(no_tag())
                    },
                )
                .await
                .unwrap_err();
            match store.capabilities().replace {
                true => assert!(error.is_precondition(), "{len}: {error} {error:?}"),
                false => assert!(matches!(error, Error::Unsupported { .. }), "{error}"),
            }
        }
    }
    assert_eq!(read(&store, &name).await, "first");
    if store.capabilities().replace {
        for tag in ["*", "", "\"*\"", "\"a\", \"b\"", "\n", "é"] {
            let error = store
                .put_opts(
                    &name,
                    "x".into(),
                    PutOptions::default().mode(PutMode::Replace(ETag::new(tag))),
                )
                .await
                .unwrap_err();
            assert!(error.is_precondition(), "{tag:?}: {error}");
        }
        let error = store
            .put_opts(
                &key("missing"),
                "x".into(),
                PutOptions::default().mode(no_tag()),
            )
            .await
            .unwrap_err();
        assert!(error.is_precondition(), "{error}");
        store
            .put_opts(
                &name,
                "second".into(),
                PutOptions::default().mode(PutMode::Replace(first)),
            )
            .await
            .unwrap();
        assert_eq!(read(&store, &name).await, "second");
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_creators_at_once_one_wins() {
    let server = Server::start().await;
    let store = server.store().await;
    let name = key("raced");
    let puts = (0..16).map(|i| {
        let (store, name) = (store.clone(), name.clone());
        tokio::spawn(async move {
            store
                .put_opts(
                    &name,
                    format!("writer {i}").into(),
                    PutOptions::default().mode(PutMode::Create),
                )
                .await
        })
    });
    let results: Vec<_> = stream::iter(puts.collect::<Vec<_>>())
        .then(|put| async { put.await.unwrap() })
        .collect()
        .await;
    let won = results.iter().filter(|result| result.is_ok()).count();
    match server.kind {
        Kind::MinIo => assert_eq!(won, 1),
        // It looks first and writes then: several may win.
        Kind::S3sFs => assert!(won >= 1),
        Kind::Garage => assert_eq!(won, 0),
        Kind::Other => assert!(won == usize::from(store.capabilities().create)),
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_exact_and_conditions_come_first() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(100_000);
    let etag = store.put(&key("object"), bytes.clone()).await.unwrap().etag;
    store.put(&key("empty"), Body::empty()).await.unwrap();
    let size = bytes.len() as u64;
    #[allow(clippy::reversed_empty_ranges)]
    let ranges: Vec<ByteRange> = vec![
        (..).into(),
        (0..).into(),
        (0..1).into(),
        (5..size).into(),
        (5..size + 1).into(),
        (size - 1..).into(),
        (size..).into(),
        (size + 1..size + 2).into(),
        (0..=u64::MAX).into(),
        (1 << 63..).into(),
        (u64::MAX..).into(),
        (3..3).into(),
        (5..2).into(),
        ByteRange::suffix(0),
        ByteRange::suffix(1),
        ByteRange::suffix(size),
        ByteRange::suffix(size + 1),
        ByteRange::suffix(u64::MAX),
    ];
    for (name, bytes) in [(key("object"), bytes.clone()), (key("empty"), Bytes::new())] {
        for &range in &ranges {
            match (
                range.resolve(bytes.len() as u64),
                store.get_range(&name, range).await,
            ) {
                (Some(expected), Ok(object)) => {
                    assert_eq!(object.range, expected, "{range}");
                    assert_eq!(object.size(), bytes.len() as u64, "{range}");
                    assert_eq!(
                        object.body.size(),
                        Some(expected.end - expected.start),
                        "{range}"
                    );
                    let body = object.body.collect(u64::MAX).await.unwrap();
                    assert!(
                        body == bytes.slice(expected.start as usize..expected.end as usize),
                        "{range}"
                    );
                }
                (None, Err(Error::RangeNotSatisfiable { size, .. })) => {
                    assert_eq!(size, bytes.len() as u64, "{range}")
                }
                (expected, got) => panic!("{name} {range}: {expected:?}, {got:?}"),
            }
        }
    }
    let other = ETag::new("\"00000000000000000000000000000000\"");
    for range in [
        None,
        Some(ByteRange::from(0..5)),
        Some(ByteRange::from(size..)),
        Some(ByteRange::suffix(0)),
    ] {
        let get = |options: GetOptions| {
            let (store, options) = (store.clone(), GetOptions { range, ..options });
            async move { store.get_opts(&key("object"), options).await }
        };
        let wanted = get(GetOptions::default().if_match(other.clone()))
            .await
            .unwrap_err();
        assert!(wanted.is_precondition(), "{range:?}: {wanted}");
        let same = get(GetOptions::default().if_none_match(etag.clone()))
            .await
            .unwrap_err();
        assert!(same.is_not_modified(), "{range:?}: {same}");
        let fine = get(GetOptions::default()
            .if_match(etag.clone())
            .if_none_match(other.clone()))
        .await;
        assert_eq!(
            fine.is_ok(),
            range.is_none_or(|range| range.resolve(size).is_some()),
            "{range:?}"
        );
    }
    for range in [(0..5).into(), ByteRange::suffix(0)] {
        assert!(
            store
                .get_range(&key("missing"), range)
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_neither_decoded_nor_encoded_twice() {
    let server = Server::start().await;
    let store = server.store().await;
    let mut names = vec![
        "zQmWvQx/did:web:localhost%3A3000.cbor",
        "a+b",
        "a b",
        " a",
        "a ",
        "a  b",
        "%2F",
        "%",
        "%%",
        "%25",
        "a?b",
        "a&b=c",
        "a#b",
        "back\\slash",
        "star*",
        "\"quoted\"",
        "'",
        "<tag>",
        "&amp;",
        "ключ/鍵/🗝",
        "e\u{301}",
        "~tilde",
        "...",
        ".hidden",
        "a;b",
        "a:b@c",
        "a,b",
        "[x]",
        "{y}",
        "a|b",
        "^",
        "`",
        "$",
        "!",
        "(z)",
    ];
    for name in &names {
        let object = key(name);
        store
            .put(&object, Bytes::copy_from_slice(name.as_bytes()))
            .await
            .unwrap_or_else(|e| panic!("{name:?}: {e}"));
        assert_eq!(read(&store, &object).await, name.as_bytes(), "{name:?}");
    }
    names.sort_unstable();
    assert_eq!(keys(&store, ListOptions::default()).await, names);
    for name in &names {
        assert!(
            keys(&store, ListOptions::default().prefix(*name))
                .await
                .contains(&(*name).to_owned()),
            "{name:?}"
        );
    }
    for key in ["a\u{fffe}", "\u{ffff}"].map(key) {
        assert!(!store.capabilities().accepts_key(&key));
        assert!(matches!(
            store.put(&key, "x").await.unwrap_err(),
            Error::InvalidKey { .. }
        ));
        assert!(store.get(&key).await.unwrap_err().is_not_found());
        assert!(store.head(&key).await.unwrap_err().is_not_found());
        store.delete(&key).await.unwrap();
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_server_refuses_is_invalid_to_put_and_not_found() {
    let server = Server::start().await;
    let store = server.store().await;
    let long = key(&"k".repeat(300));
    let put = store.put(&long, "x").await;
    match server.kind {
        Kind::MinIo | Kind::S3sFs => assert!(matches!(put.unwrap_err(), Error::InvalidKey { .. })),
        Kind::Garage | Kind::Other => {
            put.unwrap();
            store.delete(&long).await.unwrap();
        }
    }
    assert!(store.get(&long).await.unwrap_err().is_not_found());
    assert!(store.head(&long).await.unwrap_err().is_not_found());
    store.delete(&long).await.unwrap();
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_below_another() {
    let server = Server::start().await;
    let store = server.store().await;
    store.put(&key("a"), "1").await.unwrap();
    let below = store.put(&key("a/b"), "2").await;
    match server.kind {
        Kind::S3sFs => assert!(below.is_err()),
        Kind::MinIo => {
            below.unwrap();
            assert_eq!(read(&store, &key("a/b")).await, "2");
            assert_eq!(keys(&store, ListOptions::default()).await, ["a"]);
            store.delete(&key("a/b")).await.unwrap();
        }
        Kind::Garage | Kind::Other => {
            below.unwrap();
            assert_eq!(keys(&store, ListOptions::default()).await, ["a", "a/b"]);
        }
    }
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_by_raw_prefix_in_pages_and_resumes_anywhere() {
    let server = Server::start().await;
    let store = server.store().await;
    let mut names: Vec<String> = (0..1005)
        .map(|i| format!("page/{:04}", i * 7 % 1005))
        .collect();
    names.extend(["pag", "page-", "pages/1", "q"].map(String::from));
    stream::iter(names.clone())
        .map(|name| {
            let store = &store;
            async move { store.put(&key(&name), "x").await.unwrap() }
        })
        .buffer_unordered(16)
        .collect::<Vec<_>>()
        .await;
    names.sort_unstable();
    assert_eq!(keys(&store, ListOptions::default()).await, names);
    for prefix in [
        "page", "page/", "page/0", "page/000", "pages", "q", "r", "/", "page//", "a\0",
    ] {
        let expected: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .collect();
        assert_eq!(
            keys(&store, ListOptions::default().prefix(prefix)).await,
            expected.into_iter().cloned().collect::<Vec<_>>(),
            "{prefix:?}"
        );
    }
    for after in ["a", "pag", "page/0499", "page/0499x", "page/1004", "z"] {
        let expected: Vec<_> = names
            .iter()
            .filter(|name| name.as_str() > after && name.starts_with("page/"))
            .cloned()
            .collect();
        assert_eq!(
            keys(
                &store,
                ListOptions::default()
                    .prefix("page/")
                    .start_after(key(after))
            )
            .await,
            expected,
            "{after:?}"
        );
    }
    for limit in [0, 1, 999, 1000, 1001, 5000] {
        assert_eq!(
            keys(&store, ListOptions::default().limit(limit)).await,
            names[..limit.min(names.len())],
            "{limit}"
        );
    }
    let entry = store
        .list(ListOptions::default().limit(1))
        .next()
        .await
        .unwrap()
        .unwrap();
    let (listed, told) = (entry.metadata, store.head(&entry.key).await.unwrap());
    assert_eq!(
        (listed.size, listed.etag, listed.last_modified),
        (told.size, told.etag, told.last_modified)
    );
    // More than one request's worth, some of them missing.
    let all = names
        .iter()
        .map(|name| key(name))
        .chain((0..1200).map(|i| key(&format!("missing/{i}"))));
    let gone: Vec<Key> = store
        .delete_many(stream::iter(all).boxed())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(gone.len(), names.len() + 1200);
    assert_eq!(keys(&store, ListOptions::default()).await, [""; 0]);
    remove(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_not_read_or_not_whole_does_no_harm() {
    let server = Server::start().await;
    let store = server.store().await;
    let bytes = content(3 * MIB);
    store.put(&key("object"), bytes.clone()).await.unwrap();
    for _ in 0..50 {
        let mut body = store.get(&key("object")).await.unwrap().body;
        let piece = body.next().await.unwrap().unwrap();
        assert!(
            piece.len() >= 64 * 1024 && piece.len() <= MIB,
            "{}",
            piece.len()
        );
    }
    assert!(read(&store, &key("object")).await == bytes);
    assert!(store.exists(&key("object")).await.unwrap());
    remove(&store).await;
}

/// Counted at the server, which is the one in this process whatever the environment says.
#[tokio::test(flavor = "multi_thread")]
async fn one_request_each() {
    let server = Server::in_process().await;
    let options = server.bucket();
    let bucket = options.bucket.clone();
    let store = S3::open(options).await.unwrap();
    // Look, create, look again; then two puts, the three that should be refused, and a delete.
    assert!(server.take_requests().len() <= 9);
    let bytes = content(1000);
    let url = format!("/{bucket}/object");
    let mut counted = Vec::new();
    for body in [Body::from(bytes.clone()), streamed(&bytes, 10)] {
        store.put(&key("object"), body).await.unwrap();
        counted.push((server.take_requests(), "PUT"));
    }
    store
        .put_opts(
            &key("object"),
            streamed(&content(MIB), 100_000),
            PutOptions::default().sha256(sha256(&content(MIB))),
        )
        .await
        .unwrap();
    counted.push((server.take_requests(), "PUT"));
    read(&store, &key("object")).await;
    counted.push((server.take_requests(), "GET"));
    store.get_range(&key("object"), 5..10).await.unwrap();
    counted.push((server.take_requests(), "GET"));
    store
        .get_range(&key("object"), 5..MIB as u64 + 1)
        .await
        .unwrap_err();
    counted.push((server.take_requests(), "GET"));
    store.head(&key("object")).await.unwrap();
    counted.push((server.take_requests(), "HEAD"));
    store.delete(&key("object")).await.unwrap();
    counted.push((server.take_requests(), "DELETE"));
    for (requests, method) in counted {
        assert_eq!(requests, [format!("{method} {url}")]);
    }
}
