//! Files that were there before the server: gateways know nothing of them but what the file system
//! says.

use crate::*;

/// Puts an object past the server where it is a gateway over files, else through it.
async fn put_by_hand(server: &Server, store: &S3, bucket: &str, name: &str, bytes: &Bytes) {
    match server.files() {
        Some(files) => std::fs::write(files.join(bucket).join(name), bytes).unwrap(),
        None => {
            store.put(&key(name), bytes.clone()).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_put_there_by_hand_are_objects() {
    let server = Server::start().await;
    let options = server.bucket();
    let bucket = options.bucket.clone();
    let store = S3::open(options).await.unwrap();
    let bytes = content(300_000);
    put_by_hand(&server, &store, &bucket, "by-hand", &bytes).await;
    put_by_hand(&server, &store, &bucket, "empty", &Bytes::new()).await;

    let head = store.head(&key("by-hand")).await.unwrap();
    assert_eq!(head.size, bytes.len() as u64);
    let untagged = server.kind == Kind::VersityGw;
    assert_eq!(head.etag.as_str().is_empty(), untagged, "{:?}", head.etag);
    assert!(read(&store, &key("by-hand")).await == bytes);
    assert!(read(&store, &key("empty")).await.is_empty());
    let part = GetOptions::default().range(1000..2000);
    let part = store.get_opts(&key("by-hand"), part).await.unwrap();
    assert_eq!((part.size(), part.range.clone()), (head.size, 1000..2000));
    assert!(part.body.collect(u64::MAX).await.unwrap() == bytes.slice(1000..2000));
    let beyond = GetOptions::default().range(0..head.size + 1);
    let beyond = store.get_opts(&key("by-hand"), beyond).await;
    assert!(matches!(
        beyond.unwrap_err(),
        Error::RangeNotSatisfiable { .. }
    ));
    // What has no tag satisfies no condition that names one.
    let other = GetOptions::default().if_match(ETag::new("\"0123\""));
    let refused = store.get_opts(&key("by-hand"), other).await.unwrap_err();
    assert!(refused.is_precondition(), "{refused}");

    assert_eq!(
        keys(&store, ListOptions::default()).await,
        ["by-hand", "empty"]
    );
    // This gateway sees no object without a tag when it looks at a condition.
    let create = PutOptions::default().mode(PutMode::Create);
    let create = store.put_opts(&key("by-hand"), "x".into(), create).await;
    match create {
        Ok(_) => assert!(untagged),
        Err(e) => assert_eq!(e.is_already_exists(), store.capabilities().create, "{e}"),
    }
    let etag = store.put(&key("by-hand"), "new").await.unwrap().etag;
    assert_eq!(store.head(&key("by-hand")).await.unwrap().etag, etag);
    assert_eq!(read(&store, &key("by-hand")).await, "new");
    remove(&store).await;
}
