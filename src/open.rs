//! Two functions a backend: from its settings to the blob store and to the record stores over it. A backend that was not compiled in is an error that says so.

use std::path::Path;
use std::sync::Arc;

use storehouse_blobstore::{BlobStore, KeyEncoder};
use storehouse_objectstore::ObjectStore;
use storehouse_stores::{AcceptanceStore, AllocationStore, ConsolidationStore, DelegationStore, Layout, ReceiptStore};

use crate::config::S3Config;
use crate::{Backend, Blobs, Error, Records, Result, observed};

/// Where blobs lie under the data directory, as Piri has it.
#[cfg(feature = "flatfs")]
const BLOBS_DIR: &str = "pdp/datastore";

/// What follows the prefix in the name of the blobs' bucket, as Piri has it.
#[cfg(feature = "s3")]
const BLOBS_BUCKET: &str = "pdp";

/// Where records lie under the data directory. None of Piri's own directories: its databases stay as they are.
#[cfg(feature = "datastore")]
const RECORDS_DIR: &str = "records";

type Opened = Result<(Blobs, Backend)>;

#[allow(dead_code, reason = "unused in a build without any backend")]
fn blobs(store: impl ObjectStore, keys: impl KeyEncoder, backend: &'static str) -> Blobs {
    BlobStore::new(observed::store(Arc::new(store), "blobs", backend), Arc::new(keys))
}

#[allow(dead_code, reason = "unused in a build with every backend")]
fn not_built(setting: &str, feature: &str) -> Error {
    Error::setting(setting, format!("this build of storehouse has no such backend; build it with the feature {feature:?}"))
}

#[cfg(feature = "memory")]
pub(crate) fn memory() -> Opened {
    Ok((blobs(storehouse_objectstore::Memory::new(), storehouse_blobstore::PlainKeys, "memory"), Backend::Memory))
}

#[cfg(not(feature = "memory"))]
pub(crate) fn memory() -> Opened {
    Err(not_built("repo", "memory"))
}

#[cfg(feature = "flatfs")]
pub(crate) async fn flatfs(data_dir: &Path) -> Opened {
    use storehouse_objectstore::flatfs::{FlatFs, FlatFsOptions};

    let path = data_dir.join(BLOBS_DIR);
    let store = FlatFs::open(&path, FlatFsOptions::default()).await.map_err(|e| cannot_open("repo.data_dir", e))?;
    Ok((blobs(store, storehouse_blobstore::FlatfsKeys, "flatfs"), Backend::Flatfs { path }))
}

#[cfg(not(feature = "flatfs"))]
pub(crate) async fn flatfs(_: &Path) -> Opened {
    Err(not_built("repo.data_dir", "flatfs"))
}

#[cfg(feature = "s3")]
pub(crate) async fn s3(config: &S3Config) -> Opened {
    let (store, bucket) = s3_bucket(config, BLOBS_BUCKET).await?;
    Ok((blobs(store, storehouse_blobstore::S3Keys, "s3"), Backend::S3 { endpoint: config.endpoint.clone(), bucket }))
}

/// A bucket by what follows the prefix in its name, and its name.
#[cfg(feature = "s3")]
async fn s3_bucket(config: &S3Config, name: &str) -> Result<(storehouse_objectstore::s3::S3, String)> {
    use storehouse_objectstore::s3::{Credentials, S3, S3Options};

    let bucket = format!("{}{name}", config.bucket_prefix);
    let credentials = config.credentials.as_ref().map(|given| Credentials {
        access_key_id: given.access_key_id.clone(),
        secret_access_key: given.secret_access_key.clone(),
        session_token: given.session_token.clone(),
    });
    let options = S3Options {
        endpoint: config.endpoint.clone(),
        insecure: config.insecure,
        region: config.region.clone(),
        bucket: bucket.clone(),
        ca_file: config.ca_file.clone(),
        credentials,
        ..S3Options::default()
    };
    let store = S3::open(options).await.map_err(|e| cannot_open("repo.s3", e))?;
    Ok((store, bucket))
}

#[cfg(not(feature = "s3"))]
pub(crate) async fn s3(_: &S3Config) -> Opened {
    Err(not_built("repo.s3", "s3"))
}

/// The record stores in Piri's buckets.
#[cfg(feature = "s3")]
pub(crate) async fn s3_records(config: &S3Config) -> Result<Records> {
    let bucket = async |name| s3_bucket(config, name).await.map(|(store, _)| -> Arc<dyn ObjectStore> { Arc::new(store) });
    let stores = RecordBackends {
        allocations: bucket("allocations").await?,
        acceptances: bucket("acceptances").await?,
        delegations: bucket("claims").await?,
        receipts: bucket("receipts").await?,
        consolidations: bucket("consolidation").await?,
    };
    stores.records("s3", &Layout::s3(), "repo.s3")
}

#[cfg(not(feature = "s3"))]
pub(crate) async fn s3_records(_: &S3Config) -> Result<Records> {
    Err(not_built("repo.s3", "s3"))
}

#[cfg(feature = "memory")]
pub(crate) fn memory_records() -> Result<Records> {
    RecordBackends::one(Arc::new(storehouse_objectstore::Memory::new())).records("memory", &Layout::database(), "repo")
}

#[cfg(not(feature = "memory"))]
pub(crate) fn memory_records() -> Result<Records> {
    Err(not_built("repo", "memory"))
}

/// The record stores in one database under the data directory; `None` in a build without it.
#[cfg(feature = "datastore")]
pub(crate) async fn database_records(data_dir: &Path) -> Result<Option<Records>> {
    use storehouse_objectstore::datastore::{Datastore, DatastoreOptions};

    let store = Datastore::open(data_dir.join(RECORDS_DIR), DatastoreOptions::default());
    let store = store.await.map_err(|e| cannot_open("repo.data_dir", e))?;
    RecordBackends::one(Arc::new(store)).records("datastore", &Layout::database(), "repo.data_dir").map(Some)
}

#[cfg(not(feature = "datastore"))]
pub(crate) async fn database_records(_: &Path) -> Result<Option<Records>> {
    Ok(None)
}

/// Why there are no record stores.
pub(crate) fn no_database() -> Error {
    Error::setting("repo.data_dir", "this build of storehouse has no backend for records under it; build it with the feature \"datastore\"")
}

/// What each kind of record lies in.
#[allow(dead_code, reason = "unused in a build without the backends that it is for")]
struct RecordBackends {
    allocations: Arc<dyn ObjectStore>,
    acceptances: Arc<dyn ObjectStore>,
    delegations: Arc<dyn ObjectStore>,
    receipts: Arc<dyn ObjectStore>,
    consolidations: Arc<dyn ObjectStore>,
}

#[allow(dead_code, reason = "unused in a build without the backends that it is for")]
impl RecordBackends {
    /// All in one store, whose layout keeps them apart.
    fn one(store: Arc<dyn ObjectStore>) -> Self {
        let same = || Arc::clone(&store);
        Self { allocations: same(), acceptances: same(), delegations: same(), receipts: same(), consolidations: store }
    }

    fn records(self, backend: &'static str, layout: &Layout, setting: &'static str) -> Result<Records> {
        Ok(Records {
            allocations: AllocationStore::new(observed::store(self.allocations, "allocations", backend), layout),
            acceptances: AcceptanceStore::new(observed::store(self.acceptances, "acceptances", backend), layout),
            delegations: DelegationStore::new(observed::store(self.delegations, "delegations", backend), layout),
            receipts: ReceiptStore::new(observed::store(self.receipts, "receipts", backend), layout)
                .map_err(|e| Error::setting(setting, e.to_string()))?,
            consolidations: ConsolidationStore::new(observed::store(self.consolidations, "consolidations", backend), layout),
        })
    }
}

/// The store's error under the setting's full name: the store knows its settings by shorter ones.
#[cfg(any(feature = "datastore", feature = "flatfs", feature = "s3"))]
fn cannot_open(section: &str, error: storehouse_objectstore::Error) -> Error {
    use std::error::Error as _;
    use storehouse_objectstore::Error as Store;
    match error {
        Store::Config { setting, reason, source } => {
            let setting = if section.ends_with(setting) { section.to_owned() } else { format!("{section}.{setting}") };
            Error::setting(setting, reason).caused_by(source)
        }
        other => {
            let sentence = other.to_string();
            let reason = sentence.strip_prefix("open: ").unwrap_or(&sentence).to_owned();
            let cause = other.source().map(|cause| cause.to_string().into());
            Error::setting(section, reason).caused_by(cause)
        }
    }
}
