//! The suite over the wrappers, alone and over each other.

use std::sync::Arc;

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{LimitStore, ObservedStore, PrefixStore};
use storehouse_objectstore::{Memory, ObjectStore};

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
}

fn prefixed(store: Arc<dyn ObjectStore>, prefix: &str) -> PrefixStore<Arc<dyn ObjectStore>> {
    PrefixStore::new(store, prefix).unwrap()
}

async fn prefix() -> Fixture {
    memory().await.wrapped(|store| prefixed(store, "tenant-7/"))
}

/// A prefix that ends within a segment: there are inner keys under it that are none here.
async fn prefix_within_a_segment() -> Fixture {
    memory().await.wrapped(|store| prefixed(store, "a/b"))
}

async fn limit() -> Fixture {
    memory().await.wrapped(|store| LimitStore::new(store, 3))
}

async fn limit_of_one() -> Fixture {
    memory().await.wrapped(|store| LimitStore::new(store, 1))
}

async fn observed() -> Fixture {
    memory()
        .await
        .wrapped(|store| ObservedStore::new(store, "objects", "memory"))
}

async fn each_over_the_other() -> Fixture {
    memory()
        .await
        .wrapped(|store| {
            prefixed(
                Arc::new(LimitStore::new(prefixed(store, "outer/"), 2)),
                "inner-",
            )
        })
        .wrapped(|store| ObservedStore::new(store, "objects", "memory"))
}

storehouse_conformance::tests!(over_prefix, prefix);
storehouse_conformance::tests!(over_prefix_within_a_segment, prefix_within_a_segment);
storehouse_conformance::tests!(over_limit, limit);
storehouse_conformance::tests!(over_limit_of_one, limit_of_one);
storehouse_conformance::tests!(over_observed, observed);
storehouse_conformance::tests!(over_each_other, each_over_the_other);

/// Over a store whose bodies and listings are streams that wait for something.
#[cfg(unix)]
mod streaming {
    use super::*;
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    async fn flatfs() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let open = {
            let path = dir.path().to_path_buf();
            move || {
                let path = path.clone();
                async move { FlatFs::open(path, FlatFsOptions::default()).await }
            }
        };
        let temp = dir.path().join(".temp");
        Fixture::new(open().await.unwrap())
            .opens(open)
            .leftovers(move || {
                let left = std::fs::read_dir(&temp)
                    .unwrap()
                    .map(|entry| entry.unwrap().path().display().to_string())
                    .collect();
                async { left }
            })
            .profile(Profile {
                pace: Pace::DISK,
                exclusive: true,
                ..Profile::default()
            })
            .keeps(dir)
    }

    async fn both() -> Fixture {
        flatfs()
            .await
            .wrapped(|store| LimitStore::new(prefixed(store, "tenant-7-"), 2))
    }

    async fn observed_alone() -> Fixture {
        flatfs()
            .await
            .wrapped(|store| ObservedStore::new(store, "objects", "flatfs"))
    }

    storehouse_conformance::tests!(over_both_over_flatfs, both);
    storehouse_conformance::tests!(over_observed_over_flatfs, observed_alone);
}
