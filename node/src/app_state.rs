//! What every request can see.

use std::sync::{Arc, OnceLock};

use storehouse::local::journal::{Journal, Recovery, RotatorOptions};
use storehouse::local::keystore::{KeyName, KeyStore};
use storehouse::{Blobs, Records, Stores};
use tokio::sync::mpsc::Sender;

use crate::blocking::Blocking;
use crate::disks::{Disk, Disks};
use crate::fair_share::FairShare;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::receipts::retrieval::Retrieval;
use crate::signers::Signers;

/// The memory for records on their way in, in KiB: 64 MiB, or what one of them takes.
const RECORD_MEMORY: usize = 64 * 1024;

/// The stores, the limits, and what is in use of them.
#[derive(Debug)]
pub(crate) struct AppState {
    stores: Stores,
    records: Records,
    pub(crate) limits: Limits,
    pub(crate) require_allocation: bool,
    pub(crate) signers: Arc<Signers>,
    /// Where work goes that takes long.
    pub(crate) blocking: Blocking,
    /// Permits for blobs on their way in.
    pub(crate) uploads: FairShare,
    /// Permits for requests for records.
    pub(crate) record_requests: FairShare,
    /// Permits for KiB of records on their way in, which are held in memory.
    pub(crate) record_memory: FairShare,
    /// Where retrievals are told, if they are to have receipts.
    pub(crate) retrievals: OnceLock<Sender<Retrieval>>,
    disks: Arc<Disks>,
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
        signers: Signers,
        metrics: Option<Metrics>,
        min_free: Option<u64>,
    ) -> storehouse::Result<Self> {
        let records = stores.records().clone();
        // Of both the whole and each client's share there is enough for the largest record.
        let record = usize::try_from(limits.record_size.div_ceil(1024)).unwrap_or(usize::MAX);
        let record_memory = FairShare::new(
            RECORD_MEMORY.max(record),
            Some(record.max(RECORD_MEMORY / 8)),
        );
        let record_requests =
            FairShare::new(limits.record_requests, limits.record_requests_per_client);
        Ok(Self {
            disks: Arc::new(Disks::of(&stores, min_free)),
            stores,
            records,
            limits,
            require_allocation,
            signers: Arc::new(signers),
            blocking: Blocking::new(),
            uploads: FairShare::new(limits.uploads, limits.uploads_per_client),
            record_requests,
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

    /// What opening the journal found wrong, and did about it.
    pub(crate) fn journal_recovery(&self) -> &Recovery {
        self.stores.local().journal_recovery()
    }

    /// The keys that are stored unsealed although a passphrase is set.
    pub(crate) fn unsealed_keys(&self) -> &[KeyName] {
        self.stores.local().unsealed_keys()
    }

    /// The room on the disks that stores lie on, also as metrics.
    pub(crate) async fn look_at_disks(&self) -> Vec<Disk> {
        let disks = Arc::clone(&self.disks);
        let disks = tokio::task::spawn_blocking(move || disks.look());
        let disks = disks.await.unwrap_or_default();
        for disk in &disks {
            metrics::gauge!("node_free_bytes", "store" => disk.store).set(disk.free as f64);
        }
        disks
    }

    /// How the journal rotates by the clock, and what of it is removed.
    pub(crate) fn rotator_options(&self) -> RotatorOptions {
        self.stores.local().rotator_options()
    }
}
