//! What every store that is opened is wrapped with: the feature `observe` has its operations
//! counted and traced, and without it there is nothing.

use std::sync::Arc;

use storehouse_local::journal::Journal;
use storehouse_local::keystore::KeyStore;
use storehouse_objectstore::ObjectStore;

#[cfg(feature = "observe")]
mod wrapped {
    use super::*;
    use storehouse_layers::ObservedStore;
    use storehouse_local::journal::ObservedJournal;
    use storehouse_local::keystore::ObservedKeyStore;

    pub(crate) fn store(
        store: Arc<dyn ObjectStore>,
        name: &'static str,
        backend: &'static str,
    ) -> Arc<dyn ObjectStore> {
        Arc::new(ObservedStore::new(store, name, backend))
    }

    pub(crate) fn journal(journal: Arc<dyn Journal>, backend: &'static str) -> Arc<dyn Journal> {
        Arc::new(ObservedJournal::new(journal, backend))
    }

    pub(crate) fn keys(keys: Arc<dyn KeyStore>, backend: &'static str) -> Arc<dyn KeyStore> {
        Arc::new(ObservedKeyStore::new(keys, backend))
    }
}

#[cfg(not(feature = "observe"))]
mod wrapped {
    use super::*;

    #[allow(dead_code, reason = "unused in a build without any backend")]
    pub(crate) fn store(
        store: Arc<dyn ObjectStore>,
        _: &'static str,
        _: &'static str,
    ) -> Arc<dyn ObjectStore> {
        store
    }

    pub(crate) fn journal(journal: Arc<dyn Journal>, _: &'static str) -> Arc<dyn Journal> {
        journal
    }

    pub(crate) fn keys(keys: Arc<dyn KeyStore>, _: &'static str) -> Arc<dyn KeyStore> {
        keys
    }
}

pub(crate) use wrapped::{journal, keys, store};
