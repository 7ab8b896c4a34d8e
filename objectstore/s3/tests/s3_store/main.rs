//! The S3 backend against a server: s3s-fs in this process, or the one that the environment names
//! (see `support`).

#[path = "../support/mod.rs"]
mod support;

mod gateway;
mod get;
mod keys;
mod presigned;
mod put;
mod uploads;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use ring::digest::{SHA256, digest};
use storehouse_objectstore::{
    Body, ByteRange, ETag, Error, GetOptions, Key, ListOptions, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions,
};
use storehouse_s3::S3;
use support::{Kind, Server, content, remove, streamed, with};
use uploads::nothing_is_left;

pub(crate) const MIB: usize = 1 << 20;

pub(crate) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap()
}

pub(crate) async fn read(store: &S3, key: &Key) -> Bytes {
    store
        .get(key)
        .await
        .unwrap()
        .body
        .collect(u64::MAX)
        .await
        .unwrap()
}

pub(crate) async fn keys(store: &S3, options: ListOptions) -> Vec<String> {
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
        Kind::VersityGw | Kind::Other => assert!(found.max_size > 0),
    }
    assert_eq!(keys(&store, ListOptions::default()).await, [""; 0]);
    store.health().await.unwrap();
    // The bucket is there now.
    S3::open(with(options.clone(), |o| {
        o.create_bucket = false;
    }))
    .await
    .unwrap();
    store.remove_bucket().await.unwrap();
    let missing = S3::open(with(options, |o| {
        o.create_bucket = false;
    }))
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
