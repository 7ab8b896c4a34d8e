//! Opening: from a configuration to stores that are ready.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use storehouse_blobstore::{BlobStore, KeyEncoder};
use storehouse_objectstore::ObjectStore;
use storehouse_stores::RecordStores;

use crate::{Config, LocalStores, Result, local_stores, open};

/// The blob store on whichever backend the configuration picked.
pub type Blobs = BlobStore<Arc<dyn ObjectStore>, Arc<dyn KeyEncoder>>;

/// The record stores on whichever backend the configuration picked.
pub type Records = RecordStores<Arc<dyn ObjectStore>>;

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
    backend: Backend,
    local: Option<LocalStores>,
}

/// Where the blobs are.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// In this process's memory, gone with it.
    Memory,
    /// In files under a directory.
    Flatfs {
        /// The flatfs directory.
        path: PathBuf,
    },
    /// In a bucket of an S3 server.
    S3 {
        /// The server, as it was configured.
        endpoint: String,
        /// The bucket.
        bucket: String,
    },
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Flatfs { path } => write!(f, "flatfs at {}", path.display()),
            Self::S3 { endpoint, bucket } => write!(f, "s3 bucket {bucket} at {endpoint}"),
        }
    }
}

impl Stores {
    /// Opens what `config` picks: S3 if it is configured, else the file system if `data_dir` is set, else memory. Blobs go to the bucket
    /// `{bucket_prefix}pdp`, to flatfs in `{data_dir}/pdp/datastore`, or to memory. The keystore and the journal go under `data_dir` in every case, or to memory if nothing is
    /// configured. Missing directories and buckets are created.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting), which names the setting that is wrong or whose store cannot be opened: a directory that cannot be written or is in use,
    /// a server that is not there or refuses the credentials, a backend that this build was made without.
    pub async fn open(config: &Config) -> Result<Self> {
        config.check()?;
        let (blobs, backend) = match (&config.repo.s3, &config.repo.data_dir) {
            (Some(s3), _) => open::s3(s3).await?,
            (None, Some(data_dir)) => open::flatfs(data_dir).await?,
            (None, None) => open::memory()?,
        };
        let records = match (&config.repo.s3, &config.repo.data_dir) {
            (Some(s3), _) => Some(open::s3_records(s3).await?),
            (None, Some(data_dir)) => open::database_records(data_dir).await?,
            (None, None) => Some(open::memory_records()?),
        };
        let local = LocalStores::open(&config.repo).await?;
        Ok(Self { blobs, records, backend, local })
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs {
        &self.blobs
    }

    /// The record stores: allocations, acceptances, delegations, receipts, consolidations. On S3 each has Piri's bucket for it; otherwise they share one
    /// store, a database in `{data_dir}/records` or memory.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) if this build has no backend for records under `data_dir`.
    pub fn records(&self) -> Result<&Records> {
        self.records.as_ref().ok_or_else(open::no_database)
    }

    /// The stores that never leave the machine: keystore and retrieval journal.
    ///
    /// # Errors
    /// [`Error::Setting`](crate::Error::Setting) for `repo.data_dir` if S3 is configured without it.
    pub fn local(&self) -> Result<&LocalStores> {
        self.local.as_ref().ok_or_else(local_stores::no_data_dir)
    }

    /// Which backend the configuration picked.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.backend
    }
}
