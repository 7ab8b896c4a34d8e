//! `ExistenceStore`.

use std::sync::Arc;

use storehouse_conformance::Fixture;
use storehouse_layers::{ExistenceOptions, ExistenceStore};
use storehouse_objectstore::ObjectStore;

use crate::fixtures::memory;

/// It remembers little, so that much is taken back.
fn forgetful(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    ExistenceStore::with_options(store, ExistenceOptions::default().max_keys(20))
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(ExistenceStore::new)
}

async fn forgetful_over_memory() -> Fixture {
    memory().await.wrapped(forgetful)
}

storehouse_conformance::tests!(of_memory, over_memory);
storehouse_conformance::tests!(of_memory_with_few_keys, forgetful_over_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(ExistenceStore::new)
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
}
