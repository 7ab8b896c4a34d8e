//! `ShardStore`.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use storehouse_conformance::Fixture;
use storehouse_layers::{Shard, ShardOptions, ShardStore};
use storehouse_objectstore::{Key, ListOptions, Memory, ObjectStore, ObjectStoreExt};

use super::backends::{Inner, over_memories};

fn sharded(inner: Vec<Inner>, options: ShardOptions) -> ShardStore<Inner> {
    let shards = inner.into_iter().enumerate();
    let shards = shards.map(|(n, store)| Shard::new(format!("s{n}"), store).weight(n as u32 + 1));
    ShardStore::new(shards, options).unwrap()
}

fn settled(inner: Vec<Inner>) -> ShardStore<Inner> {
    sharded(inner, ShardOptions::default().settled(true))
}

fn unsettled(inner: Vec<Inner>) -> ShardStore<Inner> {
    sharded(inner, ShardOptions::default())
}

async fn settled_memories() -> Fixture {
    over_memories(3, settled)
}

async fn unsettled_memories() -> Fixture {
    over_memories(3, unsettled)
}

storehouse_conformance::tests!(settled_over_memory, settled_memories);
storehouse_conformance::tests!(unsettled_over_memory, unsettled_memories);

#[cfg(unix)]
mod directories {
    use super::*;
    use crate::backends::over_directories;

    storehouse_conformance::tests!(settled_over_flatfs, || over_directories(2, settled));
    storehouse_conformance::tests!(unsettled_over_flatfs, || over_directories(3, unsettled));
}

fn key(n: usize) -> Key {
    Key::new(format!("key-{n}")).unwrap()
}

fn store(weights: &[(&str, u32)]) -> ShardStore<Memory> {
    let shards = weights
        .iter()
        .map(|(name, weight)| Shard::new(*name, Memory::new()).weight(*weight));
    ShardStore::new(shards, ShardOptions::default()).unwrap()
}

/// The table of the module's documentation, which was computed by another program.
#[test]
fn owners_are_those_of_the_documentation() {
    let document = include_str!("../../src/shard/mod.rs");
    let rows = document.lines().filter_map(|line| {
        let line = line.strip_prefix("//! | `")?.strip_suffix("` |")?;
        line.split("` | `")
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .try_into()
            .ok()
    });
    let rows: Vec<[String; 3]> = rows.collect();
    assert_eq!(rows.len(), 6);
    let (even, uneven) = (
        store(&[("a", 1), ("b", 1), ("c", 1)]),
        store(&[("c", 4), ("b", 1), ("a", 1)]),
    );
    for [key, first, second] in rows {
        let key = Key::new(key).unwrap();
        assert_eq!(even.owner(&key).name, first, "{key}");
        assert_eq!(uneven.owner(&key).name, second, "{key}");
    }
}

#[test]
fn an_added_shard_takes_its_share_and_nothing_else_moves() {
    const KEYS: usize = 20_000;
    let before = store(&[("a", 2), ("b", 3), ("c", 1)]);
    let after = store(&[("a", 2), ("b", 3), ("c", 1), ("d", 2)]);
    let mut owners = BTreeMap::new();
    let mut moved = 0;
    for n in 0..KEYS {
        let (old, new) = (&before.owner(&key(n)).name, &after.owner(&key(n)).name);
        *owners.entry(new.clone()).or_insert(0) += 1;
        if old != new {
            assert_eq!(new, "d");
            moved += 1;
        }
    }
    // A quarter, and three standard deviations of that.
    assert!(moved <= KEYS / 4 + 190, "{moved} of {KEYS} moved");
    for (name, weight) in [("a", 2), ("b", 3), ("c", 1), ("d", 2)] {
        let expected = KEYS * weight / 8;
        let count: usize = owners[name];
        assert!(
            count.abs_diff(expected) < 210,
            "{name} has {count} of {KEYS}"
        );
    }
}

/// Shards as they were, with objects, and two more.
async fn grown(objects: usize) -> (ShardStore<Memory>, BTreeMap<Key, Vec<u8>>) {
    let inner: Vec<_> = (0..4).map(|_| Memory::new()).collect();
    let shards = |count: usize| {
        let inner = inner.iter().take(count).enumerate();
        inner
            .map(|(n, store)| Shard::new(format!("s{n}"), store.clone()))
            .collect::<Vec<_>>()
    };
    let old = ShardStore::new(shards(2), ShardOptions::default().settled(true)).unwrap();
    let mut model = BTreeMap::new();
    for n in 0..objects {
        let bytes = vec![n as u8; n % 3000];
        old.put(&key(n), bytes.clone()).await.unwrap();
        model.insert(key(n), bytes);
    }
    (
        ShardStore::new(shards(4), ShardOptions::default()).unwrap(),
        model,
    )
}

async fn all(store: &ShardStore<Memory>) -> BTreeMap<Key, Vec<u8>> {
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    assert!(listed.is_sorted_by(|a, b| a.key < b.key));
    let mut all = BTreeMap::new();
    for entry in listed {
        let bytes = store.get_bytes(&entry.key, 10_000).await.unwrap();
        all.insert(entry.key, bytes.to_vec());
    }
    all
}

#[tokio::test]
async fn objects_are_found_where_older_shards_put_them() {
    let (store, mut model) = grown(300).await;
    assert_eq!(all(&store).await, model);
    // Written anew, they lie in one place.
    for n in 0..100 {
        store.put(&key(n), vec![1; 10]).await.unwrap();
        model.insert(key(n), vec![1; 10]);
        store.delete(&key(n + 100)).await.unwrap();
        model.remove(&key(n + 100));
    }
    assert_eq!(all(&store).await, model);
    let moved = store.rebalance().await.unwrap();
    assert!(
        store.is_settled() && moved.moved > 0 && moved.removed == 0,
        "{moved:?}"
    );
    assert_eq!(all(&store).await, model);
    for key in model.keys() {
        for shard in store.shards() {
            let here = shard.store.exists(key).await.unwrap();
            assert_eq!(here, shard.name == store.owner(key).name);
        }
    }
    assert_eq!(store.rebalance().await.unwrap(), Default::default());
}

#[tokio::test]
async fn an_older_copy_is_removed() {
    let (store, _) = grown(0).await;
    let owner = store.owner(&key(1));
    let other = store
        .shards()
        .iter()
        .find(|shard| shard.name != owner.name)
        .unwrap();
    owner.store.put(&key(1), "the object").await.unwrap();
    other.store.put(&key(1), "an older copy").await.unwrap();
    assert_eq!(store.get_bytes(&key(1), 100).await.unwrap(), "the object");
    let done = store.rebalance().await.unwrap();
    assert_eq!((done.moved, done.removed), (0, 1));
    assert!(!other.store.exists(&key(1)).await.unwrap());
    assert_eq!(store.get_bytes(&key(1), 100).await.unwrap(), "the object");
}

/// Every object is there from start to end; some are written over and over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rebalance_is_not_seen_by_others() {
    const OBJECTS: usize = 1200;
    let (store, mut model) = grown(OBJECTS).await;
    let rebalance = tokio::spawn({
        let store = store.clone();
        async move { store.rebalance().await }
    });
    let writer = tokio::spawn({
        let store = store.clone();
        async move {
            for round in 0..3 {
                for n in (0..OBJECTS).step_by(7) {
                    store.put(&key(n), vec![round; 50]).await.unwrap();
                    let there = store.get_bytes(&key(n), 10_000).await.unwrap();
                    assert_eq!(there, vec![round; 50]);
                }
            }
        }
    });
    let mut listings = 0;
    while !rebalance.is_finished() || listings == 0 {
        let listed: Vec<_> = store
            .list(ListOptions::default())
            .try_collect()
            .await
            .unwrap();
        let listed: Vec<_> = listed.into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, model.keys().cloned().collect::<Vec<_>>());
        listings += 1;
        for n in (1..OBJECTS).step_by(7) {
            assert_eq!(
                store.get_bytes(&key(n), 10_000).await.unwrap(),
                model[&key(n)]
            );
        }
    }
    writer.await.unwrap();
    assert!(rebalance.await.unwrap().unwrap().moved > 0);
    for n in (0..OBJECTS).step_by(7) {
        model.insert(key(n), vec![2; 50]);
    }
    assert_eq!(all(&store).await, model);
    assert_eq!(store.rebalance().await.unwrap(), Default::default());
}

#[test]
fn names_and_weights_are_checked() {
    let shard = |name: &str| Shard::new(name, Memory::new());
    let refused = |shards: Vec<Shard<Memory>>| {
        ShardStore::new(shards, ShardOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert!(refused(vec![]).contains("weight"));
    assert!(refused(vec![shard("a").weight(0)]).contains("weight"));
    assert!(refused(vec![shard("a"), shard("a")]).contains("two shards"));
    for name in ["", "a.b", "é", &"x".repeat(65)] {
        assert!(refused(vec![shard(name)]).contains("no name"), "{name}");
    }
}
