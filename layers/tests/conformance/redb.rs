//! Layers that keep copies, over the database for records: small objects, and batches.

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{CacheStore, TieredStore};
use storehouse_objectstore::Memory;
use storehouse_redb::{Redb, RedbOptions};

async fn redb() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let options = RedbOptions::default();
    let store = Redb::open(&path, options).await.unwrap();
    Fixture::new(store)
        .opens(move || Redb::open(path.clone(), options))
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            // Nothing is written before the body has ended.
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
        .keeps(dir)
}

async fn cache() -> Fixture {
    redb().await.wrapped(CacheStore::new)
}

async fn tiered() -> Fixture {
    let fast = Memory::new();
    let tiers = move |slow| TieredStore::new(fast.reopen(), slow);
    redb().await.wrapped(tiers)
}

storehouse_conformance::tests!(cached, cache);
storehouse_conformance::tests!(below_a_fast_tier, tiered);
