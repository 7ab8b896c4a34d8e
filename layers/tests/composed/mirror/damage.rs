//! Records that cannot be used.

use std::time::SystemTime;

use bytes::Bytes;
use storehouse_layers::MirrorOptions;
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt};

use super::support::{Mirror, assert_same, at_time, key, listed, mirror, replica};

async fn record(store: &Mirror, of: usize, key: &Key) -> Bytes {
    let inner = replica(store, of).inner();
    inner.get_bytes(key, 1 << 22).await.unwrap()
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
