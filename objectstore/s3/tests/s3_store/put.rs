//! Puts: bodies of every kind, failing sources, conditions, digests.

use crate::*;

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
    let store = S3::open(with(server.bucket(), |o| {
        o.part_memory = MIB as u64;
    }))
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
                    PutOptions::default().mode(PutMode::Create).sha256(sha256),
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
                    PutOptions::default().mode(no_tag()).sha256(sha256),
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
        Kind::VersityGw | Kind::Other => assert!(won == usize::from(store.capabilities().create)),
    }
    remove(&store).await;
}
