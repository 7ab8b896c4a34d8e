//! `CacheStore`, with room and without.

use std::sync::Arc;

use storehouse_conformance::Fixture;
use storehouse_layers::{CacheOptions, CacheStore};
use storehouse_objectstore::ObjectStore;

use crate::fixtures::memory;

/// A cache of which everything is evicted soon.
fn small(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let options = CacheOptions::default()
        .block_size(64 * 1024)
        .max_bytes(300_000)
        .max_keys(20);
    CacheStore::with_options(store, options)
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(CacheStore::new)
}

async fn small_over_memory() -> Fixture {
    memory().await.wrapped(small)
}

storehouse_conformance::tests!(of_memory, over_memory);
storehouse_conformance::tests!(of_memory_with_little_room, small_over_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(CacheStore::new)
    }

    async fn small_over_flatfs() -> Fixture {
        flatfs().await.wrapped(small)
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
    storehouse_conformance::tests!(of_flatfs_with_little_room, small_over_flatfs);
}
