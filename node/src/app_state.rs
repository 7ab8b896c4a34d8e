//! What every request can see.

use std::sync::{Arc, OnceLock};

use storehouse::local::journal::{Journal, RotatorOptions};
use storehouse::local::keystore::KeyStore;
use storehouse::{Blobs, Records, Stores};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::receipts::retrieval::Retrieval;

/// The memory for records on their way in, in KiB: 64 MiB, or what one of them takes.
const RECORD_MEMORY: u64 = 64 * 1024;

/// The stores, the limits, and what is in use of them.
#[derive(Debug)]
pub(crate) struct AppState {
    stores: Stores,
    records: Records,
    pub(crate) limits: Limits,
    pub(crate) require_allocation: bool,
    /// Permits for blobs on their way in.
    pub(crate) uploads: Semaphore,
    /// Permits for KiB of records on their way in, which are held in memory.
    pub(crate) record_memory: Semaphore,
    /// Where retrievals are told, if they are to have receipts.
    pub(crate) retrievals: OnceLock<Sender<Retrieval>>,
    /// What is counted, if it is gathered.
    pub(crate) metrics: Option<Metrics>,
}

impl AppState {
    /// # Errors
    /// Those of a configuration that does not give all stores of a node.
    pub(crate) fn new(
        stores: Stores,
        limits: Limits,
        require_allocation: bool,
        metrics: Option<Metrics>,
    ) -> storehouse::Result<Self> {
        let records = stores.records()?.clone();
        let memory = RECORD_MEMORY.max(limits.record_size.div_ceil(1024));
        let record_memory = Semaphore::new(
            usize::try_from(memory)
                .unwrap_or(Semaphore::MAX_PERMITS)
                .min(Semaphore::MAX_PERMITS),
        );
        Ok(Self {
            stores,
            records,
            limits,
            require_allocation,
            uploads: Semaphore::new(limits.uploads),
            record_memory,
            retrievals: OnceLock::new(),
            metrics,
        })
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        self.stores.blobs()
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    pub(crate) fn keys(&self) -> &Arc<dyn KeyStore> {
        self.stores.local().keys()
    }

    pub(crate) fn journal(&self) -> &Arc<dyn Journal> {
        self.stores.local().journal()
    }

    /// How the journal rotates by the clock, and what of it is removed.
    pub(crate) fn rotator_options(&self) -> RotatorOptions {
        self.stores.local().rotator_options()
    }
}
