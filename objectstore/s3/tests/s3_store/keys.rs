//! Keys and listings.

use crate::*;

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
        Kind::MinIo | Kind::S3sFs | Kind::VersityGw => {
            assert!(matches!(put.unwrap_err(), Error::InvalidKey { .. }));
        }
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
        Kind::S3sFs | Kind::VersityGw => assert!(below.is_err()),
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
