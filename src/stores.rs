//! Opening: from a configuration to stores that are ready.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::handles::{Blobs, Records};
use crate::open::{self, Opener};
use crate::{Backend, Config, LocalStores, Result, StoreName, place};

/// Every store of a node, open and ready. Clones share them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse::{Config, Stores};
///
/// let stores = Stores::open(&Config::default()).await?; // nothing configured: memory
/// assert_eq!(stores.backend().to_string(), "memory");
/// # Ok::<(), storehouse::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Stores {
    blobs: Blobs,
    records: Option<Records>,
    backends: Arc<BTreeMap<StoreName, Backend>>,
    local: LocalStores,
}

impl Stores {
    /// Opens what `config` picks: S3 if it is configured, else the file system if `data_dir` is
    /// set, else memory. Blobs go to the bucket `{bucket_prefix}pdp`, to flatfs in
    /// `{data_dir}/pdp/datastore`, or to memory; records to a bucket a kind, to one database in
    /// `{data_dir}/records`, or to memory. A store with a section of its own, `repo.stores.NAME`,
    /// goes where that says. The keystore and the journal go under `data_dir` in every case, or to
    /// memory if nothing else is kept either. Missing directories and buckets are created.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting), which names the setting that is wrong or whose
    /// store cannot be opened: a directory that cannot be written or is in use, a server that is
    /// not there or refuses the credentials, a backend that this build was made without, S3 without
    /// a `data_dir` for what never goes there.
    pub async fn open(config: &Config) -> Result<Self> {
        config.check()?;
        let places = place::places(&config.repo)?;
        let passphrase = config.repo.keystore.passphrase()?;
        let mut opener = Opener::new(&config.repo);
        let blobs = opener.blobs(&places).await?;
        let records = opener.records(&places).await?;
        let local = LocalStores::open(&config.repo, passphrase).await?;
        let backends: BTreeMap<_, _> = places
            .into_iter()
            .map(|place| (place.name, place.backend))
            .collect();
        Ok(Self {
            blobs,
            records,
            backends: Arc::new(backends),
            local,
        })
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The record stores: allocations, acceptances, delegations, receipts, consolidations.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if this build has no backend for records under
    /// `data_dir`.
    pub fn records(&self) -> Result<&Records> {
        self.records.as_ref().ok_or_else(open::no_database)
    }

    /// The stores that never leave the machine: keystore and retrieval journal.
    #[must_use]
    pub fn local(&self) -> &LocalStores {
        &self.local
    }

    /// What the blobs lie in.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        self.backend_of(StoreName::Blobs)
    }

    /// What a store lies in.
    #[must_use]
    pub fn backend_of(&self, store: StoreName) -> &Backend {
        self.backends.get(&store).unwrap_or(&Backend::Memory)
    }
}
