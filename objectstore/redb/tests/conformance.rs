//! The suite over redb: as it is opened by default, and with hardly any cache.

use std::path::Path;
use std::sync::Arc;

use storehouse_conformance::{self as conformance, Fixture, Pace, Profile};
use storehouse_objectstore::ObjectStore;
use storehouse_redb::{Redb, RedbOptions};

/// What is there beside the files that a store consists of.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names
        .filter(|name| !["LOCK", "MARK", "RESERVE", "records.redb"].contains(&name.as_str()))
        .collect()
}

async fn fixture(options: RedbOptions) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let store = Redb::open(&path, options).await.unwrap();
    let there = path.clone();
    Fixture::new(store)
        .opens(move || Redb::open(path.clone(), options))
        .leftovers(move || {
            let left = leftovers(&there);
            async move { left }
        })
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
        .keeps(dir)
}

async fn by_default() -> Fixture {
    fixture(RedbOptions::default()).await
}

async fn small_cache() -> Fixture {
    fixture(RedbOptions::default().cache(64 << 10)).await
}

async fn arc_dyn() -> Fixture {
    by_default()
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

conformance::tests!(over_redb, by_default);
conformance::tests!(over_redb_with_a_small_cache, small_cache);
conformance::tests!(over_arc_dyn_redb, arc_dyn);
