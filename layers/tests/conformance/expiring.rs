//! `ExpiringStore`.

use std::sync::Arc;
use std::time::Duration;

use storehouse_conformance::Fixture;
use storehouse_layers::{AttributeStore, ExpiringOptions, ExpiringStore};
use storehouse_objectstore::ObjectStore;

use crate::fixtures::memory;

/// It sweeps all the time, and finds nothing.
fn sweeping(store: impl ObjectStore) -> impl ObjectStore {
    let options = ExpiringOptions::default().sweep_every(Duration::from_millis(20));
    ExpiringStore::new(store, options).unwrap()
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(sweeping)
}

storehouse_conformance::tests!(of_memory, over_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs()
            .await
            .wrapped(|store: Arc<dyn ObjectStore>| sweeping(AttributeStore::new(store)))
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
}
