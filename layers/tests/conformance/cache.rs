//! `CacheStore`, with room and without, and with a disk.

use std::sync::Arc;

use storehouse_conformance::Fixture;
use storehouse_layers::{CacheDiskOptions, CacheOptions, CacheStore};
use storehouse_objectstore::{Memory, ObjectStore};

use crate::fixtures::memory;

/// A cache of which everything is evicted soon.
fn small(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let options = CacheOptions::default()
        .block_size(64 * 1024)
        .max_bytes(300_000)
        .max_keys(20);
    CacheStore::with_options(store, options)
}

/// A cache with a disk and hardly any memory.
fn on_disk(store: Arc<dyn ObjectStore>, disk: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let options = CacheOptions::default()
        .block_size(64 * 1024)
        .max_bytes(1)
        .max_keys(20);
    let on_disk = CacheDiskOptions::default().max_bytes(10_000_000);
    CacheStore::with_disk(store, options, disk, on_disk)
}

/// With a disk that outlives the store.
async fn disk_of_memory() -> Fixture {
    let disk = Memory::new();
    let cached = move |store| on_disk(store, Arc::new(disk.reopen()));
    memory().await.wrapped(cached)
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(CacheStore::new)
}

async fn small_over_memory() -> Fixture {
    memory().await.wrapped(small)
}

storehouse_conformance::tests!(of_memory, over_memory);
storehouse_conformance::tests!(of_memory_with_little_room, small_over_memory);
storehouse_conformance::tests!(of_memory_with_a_disk, disk_of_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::{flatfs, two_directories};

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(CacheStore::new)
    }

    async fn disk_of_flatfs() -> Fixture {
        two_directories(|inner, disk| on_disk(Arc::new(inner), Arc::new(disk))).await
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
    storehouse_conformance::tests!(of_flatfs_with_a_disk, disk_of_flatfs);
}
