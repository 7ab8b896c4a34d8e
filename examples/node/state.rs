//! What every request can see.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use storehouse::local::journal::{Journal, RotatorOptions};
use storehouse::local::keystore::KeyStore;
use storehouse::{Blobs, Records, Stores};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;

use crate::retrieval::Retrieval;

/// What a request may take, and how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The largest blob that is taken, in bytes (inclusive).
    pub(crate) blob_size: u64,
    /// The largest record that is taken, in bytes (inclusive).
    pub(crate) record_size: u64,
    /// Blobs on their way in at once.
    pub(crate) uploads: usize,
    /// Connections at once.
    pub(crate) connections: usize,
    /// For the head of a request.
    pub(crate) header_timeout: Duration,
    /// For the next [`FLOW`](crate::upload::FLOW) bytes of a request's body.
    pub(crate) body_timeout: Duration,
    /// For a client to take some of an answer.
    pub(crate) write_timeout: Duration,
    /// For the requests in flight when the node stops.
    pub(crate) shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob_size: 256 << 30,
            record_size: 4 << 20,
            uploads: 64,
            connections: 4096,
            header_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(30),
        }
    }
}

/// The node: its stores, its limits, and what is in use of them.
#[derive(Debug)]
pub(crate) struct Node {
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
    /// What is counted.
    pub(crate) metrics: PrometheusHandle,
}

/// The memory for records on their way in, in KiB: 64 MiB, or what one of them takes.
const RECORD_MEMORY: u64 = 64 * 1024;

impl Node {
    /// # Errors
    /// Those of a configuration that does not give all stores of a node.
    pub(crate) fn new(
        stores: Stores,
        limits: Limits,
        require_allocation: bool,
        metrics: PrometheusHandle,
    ) -> storehouse::Result<Self> {
        let records = stores.records()?.clone();
        let (uploads, memory) = (
            Semaphore::new(limits.uploads),
            RECORD_MEMORY.max(limits.record_size.div_ceil(1024)),
        );
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
            uploads,
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
