//! Records that cannot be used.

use std::time::SystemTime;

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_layers::{MirrorOptions, ScrubOptions};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt};

use super::support::{Mirror, assert_same, at_time, content, key, listed, mirror, replica};

async fn record(store: &Mirror, of: usize, key: &Key) -> Bytes {
    let inner = replica(store, of).inner();
    inner.get_bytes(key, 1 << 22).await.unwrap()
}

/// Flips a bit of the record, of which a negative place counts from the end.
async fn flip(store: &Mirror, of: usize, key: &Key, at: isize) {
    let mut bytes = record(store, of, key).await.to_vec();
    let at = at.rem_euclid(bytes.len() as isize) as usize;
    bytes[at] ^= 1;
    replica(store, of).inner().put(key, bytes).await.unwrap();
}

/// Or else one record would end all writes, and versions would run ahead of all clocks.
#[tokio::test]
async fn a_version_far_ahead_of_the_clock_is_damage() {
    const DAY: u64 = 24 * 3_600_000_000_000;
    for ahead in [u64::MAX, u64::MAX - 1, DAY + DAY / 24] {
        let store = mirror(3, MirrorOptions::default());
        let (a, b) = (key("a"), key("b"));
        store.put(&a, "old").await.unwrap();
        let forged = at_time(&record(&store, 0, &a).await, |now| {
            now.saturating_add(ahead)
        });
        replica(&store, 0).inner().put(&a, forged).await.unwrap();
        assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "old");
        assert_eq!(listed(&store).await, [a.clone()]);
        store.put(&a, "new").await.unwrap();
        store.put(&b, "new").await.unwrap();
        for key in [&a, &b] {
            let written = store.head(key).await.unwrap().last_modified.unwrap();
            assert!(written <= SystemTime::now());
        }
        assert_eq!(store.scrub().await.unwrap().failed, 0);
        assert_eq!(assert_same(&store).await, [a.clone(), b]);
        assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "new");
    }
}

#[tokio::test]
async fn a_scrub_tells_that_all_copies_of_the_newest_version_are_damaged() {
    let store = mirror(3, MirrorOptions::default());
    let a = key("a");
    store.put(&a, "one").await.unwrap();
    let old = record(&store, 2, &a).await;
    store.put(&a, "two").await.unwrap();
    replica(&store, 2).inner().put(&a, old).await.unwrap();
    flip(&store, 0, &a, 0).await;
    flip(&store, 1, &a, 0).await;
    let options = ScrubOptions::default().contents(true);
    let scrubbed: Vec<_> = store.scrub_keys(options).try_collect().await.unwrap();
    let failed = scrubbed[0].failed.iter();
    let replicas: Vec<_> = failed.map(|(replica, _)| *replica).collect();
    assert_eq!(replicas, [0, 1], "{scrubbed:?}");
    assert!(scrubbed[0].failed[0].1.contains("damaged"));
}

#[tokio::test]
async fn a_scrub_names_the_replica_whose_record_could_not_be_copied() {
    let store = mirror(2, MirrorOptions::default());
    let a = key("a");
    store.put(&a, content(1, 300_000)).await.unwrap();
    replica(&store, 1).inner().delete(&a).await.unwrap();
    flip(&store, 0, &a, 0).await;
    let scrubbed = store.scrub().await.unwrap();
    let (_, replica, why) = scrubbed.first_failure.unwrap();
    assert_eq!((replica, scrubbed.failed), (0, 1), "{why}");
    assert!(why.contains("its content is damaged"), "{why}");
}
