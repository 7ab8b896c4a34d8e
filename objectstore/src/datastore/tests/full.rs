//! A disk that is full: an error, nothing lost, and all is well once there is room again.

use std::sync::Arc;

use bytes::Bytes;

use super::sim::SimDisk;
use super::{SMALL, open, runtime};
use crate::{Key, ObjectStore, ObjectStoreExt};

fn key(number: u64) -> Key {
    Key::new(format!("{number:05}")).unwrap()
}

fn value(number: u64) -> Bytes {
    vec![number as u8; 1500].into()
}

#[test]
fn a_full_disk() {
    for room in [0, 100, 5_000, 70_000, 150_000, 300_000, 500_000, 777_777] {
        runtime().block_on(async {
            let disk = Arc::new(SimDisk::default());
            let store = open(&disk, SMALL).unwrap();
            disk.limit(Some(room));
            let mut acknowledged = Vec::new();
            let mut failures = 0;
            for number in 0..2000 {
                match store.put(&key(number), value(number)).await {
                    Ok(_) => acknowledged.push(number),
                    Err(e) => {
                        assert!(
                            e.is_transient() && e.is_full(),
                            "with room for {room}: {e:?}"
                        );
                        failures += 1;
                        if failures > 20 {
                            break;
                        }
                    }
                }
            }
            assert!(failures > 0, "with room for {room} bytes nothing failed");
            // Reads go on while the disk is full, and after a crash all is there.
            let crashed =
                Arc::new(disk.after_crash(disk.moment(), &mut super::noise::Noise(1), true));
            let recovered = open(&crashed, SMALL).unwrap();
            for number in &acknowledged {
                assert_eq!(
                    store.get_bytes(&key(*number), 2000).await.unwrap(),
                    value(*number)
                );
                assert_eq!(
                    recovered.get_bytes(&key(*number), 2000).await.unwrap(),
                    value(*number)
                );
            }
            recovered.close().await.unwrap();
            disk.limit(None);
            for number in 5000..5100 {
                store.put(&key(number), value(number)).await.unwrap();
                acknowledged.push(number);
            }
            store.health().await.unwrap();
            store.close().await.unwrap();
            let store = open(&disk, SMALL).unwrap();
            for number in &acknowledged {
                assert_eq!(
                    store.get_bytes(&key(*number), 2000).await.unwrap(),
                    value(*number)
                );
            }
            assert!(store.check().await.unwrap().is_sound());
            store.close().await.unwrap();
        });
    }
}
