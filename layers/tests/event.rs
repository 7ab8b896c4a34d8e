//! `EventStore`: the conformance suite, and the order of events.

use std::sync::Arc;

use futures_util::{StreamExt, future::join_all};
use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{EventOptions, EventStore};
use storehouse_objectstore::{Batch, Event, Key, Memory, ObjectStore, ObjectStoreExt};

fn with_events(store: Arc<dyn ObjectStore>) -> EventStore<Arc<dyn ObjectStore>> {
    EventStore::new(store, EventOptions::default())
}

async fn memory() -> Fixture {
    let store = Memory::new();
    Fixture::new(store.clone())
        .opens(move || {
            let store = store.reopen();
            async move { Ok(store) }
        })
        .profile(Profile {
            pace: Pace::MEMORY,
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
        .wrapped(with_events)
}

storehouse_conformance::tests!(over_memory, memory);

#[cfg(unix)]
mod directories {
    use super::*;
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    async fn flatfs() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().to_path_buf();
            move || FlatFs::open(path.clone(), FlatFsOptions::default())
        };
        let temp = dir.path().join(".temp");
        Fixture::new(open().await.unwrap())
            .opens(open)
            .leftovers(move || {
                let entries = std::fs::read_dir(&temp).unwrap();
                let left = entries.map(|entry| entry.unwrap().path().display().to_string());
                let left: Vec<_> = left.collect();
                async { left }
            })
            .profile(Profile {
                pace: Pace::DISK,
                exclusive: true,
                ..Profile::default()
            })
            .keeps(dir)
            .wrapped(with_events)
    }

    storehouse_conformance::tests!(over_flatfs, flatfs);
}

/// The last event of a key is of the version that is there, however many write it at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_a_key_come_in_the_order_of_its_changes() {
    let store = EventStore::new(Memory::new(), EventOptions::default().capacity(4096));
    let key = Key::new("k").unwrap();
    for _ in 0..50 {
        let mut events = store.events().unwrap();
        let writes = (0..8).map(|n| {
            let (store, key) = (store.clone(), key.clone());
            tokio::spawn(async move {
                match n % 4 {
                    0 => store.delete(&key).await.unwrap(),
                    1 => {
                        let batch = Batch::new().put(key, "batch");
                        store
                            .batches()
                            .unwrap()
                            .batch(batch)
                            .await
                            .map(drop)
                            .unwrap();
                    }
                    _ => store.put(&key, vec![n; 10]).await.map(drop).unwrap(),
                }
            })
        });
        for write in join_all(writes).await {
            write.unwrap();
        }
        let mut last = None;
        for _ in 0..8 {
            last = events.next().await;
        }
        let there = store.head(&key).await.ok().map(|metadata| metadata.etag);
        let expected = match there {
            Some(etag) => Event::Put {
                key: key.clone(),
                etag,
            },
            None => Event::Deleted { key: key.clone() },
        };
        assert_eq!(last, Some(expected));
    }
}

#[tokio::test]
async fn a_slow_listener_is_told_what_it_missed() {
    let store = EventStore::new(Memory::new(), EventOptions::default().capacity(2));
    let mut events = store.events().unwrap();
    for n in 0..5 {
        store
            .delete(&Key::new(n.to_string()).unwrap())
            .await
            .unwrap();
    }
    assert_eq!(events.next().await, Some(Event::Missed { count: 3 }));
    store.close().await.unwrap();
    assert_eq!(events.count().await, 2);
}
