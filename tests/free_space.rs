//! What `repo.min_free` keeps free: puts are refused early, and everything else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::stream;
use storehouse::blobstore::{Digest, HashFunction, PutBlob};
use storehouse::objectstore::Body;
use storehouse::records::Allocation;
use storehouse::{Config, Stores};

fn allocation() -> Allocation {
    let record = serde_json::json!({
        "space": "did:web:example.com",
        "blob": { "digest": Digest::of(HashFunction::Sha2_256, b"hello").to_string(), "size": 5 },
        "expires": 1,
        "cause": "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua",
    });
    serde_json::from_value(record).unwrap()
}

async fn open(dir: &std::path::Path, records: &str, min_free: &str) -> Stores {
    let config = format!(
        "[repo]\ndata_dir = {dir:?}\nmin_free = {min_free}\n[repo.stores.allocations]\nbackend = \"{records}\"\npath = {:?}\n",
        dir.join("allocations")
    );
    let config = Config::from_toml(&config).unwrap();
    Stores::open(&config).await.unwrap()
}

#[tokio::test]
async fn puts_are_refused_early_and_all_else_goes_on() {
    for records in ["redb"] {
        let dir = tempfile::tempdir().unwrap();
        let (hello, other) = (
            Digest::of(HashFunction::Sha2_256, b"hello"),
            Digest::of(HashFunction::Sha2_256, b"other"),
        );
        let stores = open(dir.path(), records, "0").await;
        stores.blobs().put(&hello, "hello").await.unwrap();
        let record = allocation();
        stores.records().allocations.put(&record).await.unwrap();
        assert!(stores.free_space().iter().all(|(_, space)| !space.is_low()));
        stores.close().await.unwrap();

        // More than any disk has.
        let stores = open(dir.path(), records, "\"4 EiB\"").await;
        let spaces = stores.free_space();
        assert!(
            spaces
                .iter()
                .all(|(_, space)| space.is_low() && space.free > 0)
        );
        let names: Vec<_> = spaces.iter().map(|(name, _)| name.as_str()).collect();
        let all = [
            "blobs",
            "allocations",
            "acceptances",
            "delegations",
            "receipts",
            "consolidations",
            "local",
        ];
        assert_eq!(names, all);
        let asked = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&asked);
        let body = Body::from_stream(stream::once(async move {
            told.store(true, Ordering::Relaxed);
            std::io::Result::Ok(Bytes::from_static(b"other"))
        }));
        let put = stores
            .blobs()
            .put_opts(&other, body, PutBlob::default().size(5));
        let error = put.await.unwrap_err();
        assert!(error.is_full(), "{error:?}");
        assert!(!asked.load(Ordering::Relaxed), "the body was read");
        let mut later = record.clone();
        later.expires = 2;
        let error = stores.records().allocations.put(&later).await.unwrap_err();
        assert!(error.is_full(), "{error:?}");

        // Reading, a put of what is there, the journal, deleting.
        assert_eq!(stores.blobs().get(&hello).await.unwrap().size, 5);
        stores.blobs().put(&hello, "hello").await.unwrap();
        let there = stores.records().allocations.get_any(&hello).await.unwrap();
        assert_eq!(there, Some(record.clone()));
        stores
            .local()
            .journal()
            .append(vec![1; 100].into())
            .await
            .unwrap();
        stores.local().journal().force_rotate().await.unwrap();
        let (allocations, space) = (&stores.records().allocations, &record.space);
        allocations.delete(&hello, space).await.unwrap();
        stores.blobs().delete(&hello).await.unwrap();
        stores.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_put_that_would_leave_too_little_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let stores = open(dir.path(), "redb", "0").await;
    let space = stores.free_space()[0].1;
    stores.close().await.unwrap();
    let stores = open(dir.path(), "redb", &(space.free / 2).to_string()).await;
    let declared = PutBlob::default().size(space.free);
    let digest = Digest::of(HashFunction::Sha2_256, b"other");
    let error = stores
        .blobs()
        .put_opts(
            &digest,
            Body::from_stream(stream::pending::<std::io::Result<Bytes>>()),
            declared,
        )
        .await
        .unwrap_err();
    assert!(error.is_full(), "{error:?}");
    stores.blobs().put(&digest, "other").await.unwrap();
    stores.close().await.unwrap();
}
