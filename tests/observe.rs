//! With the feature `observe` everything that `Stores::open` gives is counted, each store under its
//! own name.

use std::collections::BTreeSet;

use metrics_util::debugging::DebuggingRecorder;
use storehouse::blobstore::{Digest, HashFunction};
use storehouse::objectstore::Body;
use storehouse::records::{Allocation, BlobRef};
use storehouse::{Config, Stores};

#[tokio::test]
async fn every_store_that_is_opened_is_counted() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::default();
    for backends in [["memory", "memory", "memory"], ["flatfs", "redb", "files"]] {
        let stores = Stores::open(&config).await.unwrap();
        let digest = Digest::of(HashFunction::Sha2_256, b"hello");
        stores
            .blobs()
            .put(&digest, Body::from("hello"))
            .await
            .unwrap();
        let allocation = Allocation {
            space: "did:web:example.com".parse().unwrap(),
            blob: BlobRef {
                digest: digest.clone(),
                size: 5,
            },
            expires: 1_700_000_000,
            cause: "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
                .parse()
                .unwrap(),
        };
        let records = stores.records();
        records.allocations.put(&allocation).await.unwrap();
        records.acceptances.exists(&digest).await.unwrap();
        records.delegations.exists(&allocation.cause).await.unwrap();
        records.receipts.exists(&allocation.cause).await.unwrap();
        records
            .consolidations
            .exists(&allocation.cause)
            .await
            .unwrap();
        let local = stores.local();
        local.keys().has(&"node".parse().unwrap()).await.unwrap();
        local
            .journal()
            .append(b"archive".as_slice().into())
            .await
            .unwrap();
        local.journal().force_rotate().await.unwrap();

        let mut seen = BTreeSet::new();
        for (metric, ..) in snapshotter.snapshot().into_vec() {
            let label = |name| {
                metric
                    .key()
                    .labels()
                    .find(|label| label.key() == name)
                    .map(|label| label.value().to_owned())
            };
            if metric.key().name() == "storehouse_operations_total" {
                seen.insert((label("store").unwrap(), label("backend").unwrap()));
            }
        }
        let [blobs, records, local] = backends;
        for (store, backend) in [
            ("blobs", blobs),
            ("allocations", records),
            ("acceptances", records),
            ("delegations", records),
            ("receipts", records),
            ("consolidations", records),
            ("keystore", local),
            ("journal", local),
        ] {
            assert!(
                seen.contains(&(store.to_owned(), backend.to_owned())),
                "{store} on {backend} is not among {seen:?}"
            );
        }
        config.repo.data_dir = Some(dir.path().to_owned());
    }
}
