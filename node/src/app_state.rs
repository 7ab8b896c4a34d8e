//! What every request can see.

use std::sync::{Arc, OnceLock};

use storehouse::blobstore::{Digest, KnownSizes};
use storehouse::local::journal::{Journal, Recovery, RotatorOptions};
use storehouse::local::keystore::{KeyName, KeyStore};
use storehouse::{Blobs, FreeSpace, Records, Stores};
use tokio::sync::mpsc::Sender;

use crate::blobs::AllocatedSizes;
use crate::blocking::Blocking;
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
    blobs: Blobs,
    records: Records,
    /// What compares the sizes of blobs with those of their allocations.
    sizes: Option<Arc<AllocatedSizes>>,
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
    ) -> storehouse::Result<Self> {
        let (mut blobs, records) = (stores.blobs().clone(), stores.records().clone());
        let sizes = AllocatedSizes::of(&stores);
        if let Some(sizes) = &sizes {
            blobs = blobs.with_known_sizes(Arc::clone(sizes) as Arc<dyn KnownSizes>);
        }
        // Of both the whole and each client's share there is enough for the largest record.
        let record = usize::try_from(limits.record_size.div_ceil(1024)).unwrap_or(usize::MAX);
        let record_memory = FairShare::new(
            RECORD_MEMORY.max(record),
            Some(record.max(RECORD_MEMORY / 8)),
        );
        let record_requests =
            FairShare::new(limits.record_requests, limits.record_requests_per_client);
        // Behind a proxy, where one address has the whole, it has every processor, too.
        let whole = limits.record_requests_per_client >= Some(limits.record_requests);
        Ok(Self {
            stores,
            blobs,
            records,
            sizes,
            limits,
            require_allocation,
            signers: Arc::new(signers),
            blocking: Blocking::new(whole.then_some(usize::MAX)),
            uploads: FairShare::new(limits.uploads, limits.uploads_per_client),
            record_requests,
            record_memory,
            retrievals: OnceLock::new(),
            metrics,
        })
    }

    pub(crate) fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// A blob was put, or allocated: what was found of its size may be otherwise now.
    pub(crate) fn forget_size(&self, digest: &Digest) {
        if let Some(sizes) = &self.sizes {
            sizes.forget(digest);
        }
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

    /// What is free on the disks that stores lie on, also as metrics.
    pub(crate) async fn free_space(&self) -> Vec<(String, FreeSpace)> {
        let stores = self.stores.clone();
        let spaces = tokio::task::spawn_blocking(move || stores.free_space());
        let spaces = spaces.await.unwrap_or_default();
        for (store, space) in &spaces {
            metrics::gauge!("node_free_bytes", "store" => store.clone()).set(space.free as f64);
        }
        spaces
    }

    /// How the journal rotates by the clock, and what of it is removed.
    pub(crate) fn rotator_options(&self) -> RotatorOptions {
        self.stores.local().rotator_options()
    }
}
