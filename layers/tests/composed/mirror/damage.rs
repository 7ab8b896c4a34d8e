//! Records that cannot be used.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_layers::{MirrorOptions, ScrubOptions};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

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

/// Waits until all replicas hold what this one does.
async fn repaired_like(store: &Mirror, of: usize, key: &Key) {
    let good = record(store, of, key).await;
    for _ in 0..1000 {
        let mut same = true;
        for other in 0..store.replicas().count() {
            same &= record(store, other, key).await == good;
        }
        if same {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{key} was not repaired");
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

/// Each replica has a record that is damaged, and each key enough that are not.
#[tokio::test]
async fn a_listing_goes_on_after_a_damaged_record_and_repairs_it() {
    for at in [0, -44, -1] {
        for len in [100, 100_000] {
            if at == 0 && len == 100_000 {
                // A listing does not read it.
                continue;
            }
            let store = mirror(3, MirrorOptions::default());
            let keys = ["a", "b", "c"].map(key);
            for (n, key) in keys.iter().enumerate() {
                store.put(key, content(n, len)).await.unwrap();
                flip(&store, n, key, at).await;
            }
            for (n, key) in keys.iter().enumerate() {
                assert_eq!(listed(&store).await, keys);
                repaired_like(&store, (n + 1) % 3, key).await;
            }
        }
    }
}

#[tokio::test]
async fn a_read_repairs_a_content_that_it_found_damaged() {
    let store = mirror(3, MirrorOptions::default());
    let small = content(1, 1000);
    store.put(&key("a"), small.clone()).await.unwrap();
    flip(&store, 0, &key("a"), 0).await;
    assert_eq!(store.get_bytes(&key("a"), 1000).await.unwrap(), small);
    repaired_like(&store, 1, &key("a")).await;
}

#[tokio::test]
async fn what_is_damaged_everywhere_can_be_overwritten_and_deleted() {
    let store = mirror(3, MirrorOptions::default());
    let (a, b) = (key("a"), key("b"));
    for key in [&a, &b] {
        store.put(key, "content").await.unwrap();
        for of in 0..3 {
            flip(&store, of, key, -44).await;
        }
        let error = store.get(key).await.unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
    // Whether there is an object cannot be told.
    let create = PutOptions::default().mode(PutMode::Create);
    let error = store.put_opts(&a, "new".into(), create).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    store.put(&a, "new").await.unwrap();
    store.delete(&b).await.unwrap();
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "new");
    assert!(store.get(&b).await.unwrap_err().is_not_found());
    assert_eq!(listed(&store).await, [a]);
    assert_same(&store).await;
}
