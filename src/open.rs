//! From the place of a store to the store. A backend that was not compiled in is an error that says
//! so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_blobstore::{BlobStore, FlatfsKeys, KeyEncoder, PlainKeys, S3Keys};
use storehouse_objectstore::ObjectStore;
use storehouse_stores::{
    AcceptanceStore, AllocationStore, ConsolidationStore, DelegationStore, Layout, ReceiptStore,
};

use crate::config::{FlatfsConfig, RepoConfig, S3Config};
use crate::place::Place;
use crate::{Backend, Blobs, Error, Records, Result, StoreName, observed};

type Opened = Result<Arc<dyn ObjectStore>>;

/// Opens stores, and each database once.
pub(crate) struct Opener {
    databases: BTreeMap<PathBuf, Arc<dyn ObjectStore>>,
    credentials: Credentials,
    flatfs: FlatfsConfig,
}

impl Opener {
    pub(crate) fn new(config: &RepoConfig) -> Self {
        Self {
            databases: BTreeMap::new(),
            credentials: Credentials::default(),
            flatfs: config.flatfs.clone(),
        }
    }

    pub(crate) async fn blobs(&mut self, places: &[Place<'_>]) -> Result<Blobs> {
        let (store, backend) = self.open(places, StoreName::Blobs).await?;
        let keys: Arc<dyn KeyEncoder> = match backend {
            Backend::Flatfs { .. } => Arc::new(FlatfsKeys),
            Backend::S3 { .. } => Arc::new(S3Keys),
            Backend::Memory | Backend::Fjall { .. } | Backend::Redb { .. } => Arc::new(PlainKeys),
        };
        Ok(BlobStore::new(store, keys))
    }

    /// `None` in a build without the database that records go to by default, where it was not asked
    /// for by name.
    pub(crate) async fn records(&mut self, places: &[Place<'_>]) -> Result<Option<Records>> {
        let missing = |place: &Place<'_>| match place.backend {
            Backend::Fjall { .. } => !cfg!(feature = "fjall") && !place.chosen,
            Backend::Redb { .. } => !cfg!(feature = "redb") && !place.chosen,
            _ => false,
        };
        if places.iter().any(missing) {
            return Ok(None);
        }
        let (store, backend) = self.open(places, StoreName::Allocations).await?;
        let allocations = AllocationStore::new(store, &layout(backend));
        let (store, backend) = self.open(places, StoreName::Acceptances).await?;
        let acceptances = AcceptanceStore::new(store, &layout(backend));
        let (store, backend) = self.open(places, StoreName::Delegations).await?;
        let delegations = DelegationStore::new(store, &layout(backend));
        let (store, backend) = self.open(places, StoreName::Receipts).await?;
        let receipts = ReceiptStore::new(store, &layout(backend))
            .map_err(|e| Error::setting("repo.stores.receipts", e.to_string()))?;
        let (store, backend) = self.open(places, StoreName::Consolidations).await?;
        let consolidations = ConsolidationStore::new(store, &layout(backend));
        Ok(Some(Records {
            allocations,
            acceptances,
            delegations,
            receipts,
            consolidations,
        }))
    }

    async fn open<'a>(
        &mut self,
        places: &'a [Place<'_>],
        name: StoreName,
    ) -> Result<(Arc<dyn ObjectStore>, &'a Backend)> {
        let Some(place) = places.iter().find(|place| place.name == name) else {
            return Err(Error::setting(
                format!("repo.stores.{name}"),
                "has no place",
            ));
        };
        let (store, label) = match (&place.backend, place.server) {
            (Backend::Flatfs { path }, _) => {
                (flatfs(path, &self.flatfs, &place.setting).await?, "flatfs")
            }
            (Backend::Fjall { .. }, _) => (self.database(place).await?, "fjall"),
            (Backend::Redb { .. }, _) => (self.database(place).await?, "redb"),
            (Backend::S3 { bucket, .. }, Some(server)) => {
                let keys = &mut self.credentials;
                let store = s3(server, bucket, &place.setting, name, keys).await?;
                (store, "s3")
            }
            (Backend::Memory | Backend::S3 { .. }, _) => (memory(&place.setting)?, "memory"),
        };
        Ok((observed::store(store, name.as_str(), label), &place.backend))
    }

    async fn database(&mut self, place: &Place<'_>) -> Opened {
        let (Backend::Fjall { path } | Backend::Redb { path }) = &place.backend else {
            return memory(&place.setting);
        };
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if let Some(open) = self.databases.get(&absolute) {
            return Ok(Arc::clone(open));
        }
        let store = match place.backend {
            Backend::Redb { .. } => redb(path, &place.setting).await?,
            _ => fjall(path, &place.setting).await?,
        };
        self.databases.insert(absolute, Arc::clone(&store));
        Ok(store)
    }
}

/// Piri's keys of records, for what they lie in.
fn layout(backend: &Backend) -> Layout {
    match backend {
        Backend::S3 { .. } => Layout::s3(),
        _ => Layout::database(),
    }
}

#[allow(dead_code, reason = "unused in a build with every backend")]
fn not_built(setting: &str, feature: &str) -> Error {
    Error::setting(
        setting,
        format!(
            "this build of storehouse has no such backend; build it with the feature {feature:?}"
        ),
    )
}

/// Why there are no record stores.
pub(crate) fn no_database() -> Error {
    Error::setting(
        "repo.data_dir",
        "this build of storehouse has no backend for records under it; build it with the feature \"datastore\"",
    )
}

#[cfg(feature = "memory")]
fn memory(_: &str) -> Opened {
    Ok(Arc::new(storehouse_objectstore::Memory::new()))
}

#[cfg(not(feature = "memory"))]
fn memory(setting: &str) -> Opened {
    Err(not_built(setting, "memory"))
}

#[cfg(feature = "flatfs")]
async fn flatfs(path: &Path, config: &FlatfsConfig, setting: &str) -> Opened {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let store = FlatFs::open(path, FlatFsOptions::default().log(config.log))
        .await
        .map_err(|e| cannot_open(setting, e))?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "flatfs"))]
async fn flatfs(_: &Path, _: &FlatfsConfig, setting: &str) -> Opened {
    Err(not_built(setting, "flatfs"))
}

#[cfg(feature = "fjall")]
async fn fjall(path: &Path, setting: &str) -> Opened {
    use storehouse_fjall::{Fjall, FjallOptions};

    let opened = Fjall::open(path, FjallOptions::default()).await;
    Ok(Arc::new(opened.map_err(|e| cannot_open(setting, e))?))
}

#[cfg(not(feature = "fjall"))]
async fn fjall(_: &Path, setting: &str) -> Opened {
    Err(not_built(setting, "fjall"))
}

#[cfg(feature = "redb")]
async fn redb(path: &Path, setting: &str) -> Opened {
    use storehouse_redb::{Redb, RedbOptions};

    let opened = Redb::open(path, RedbOptions::default()).await;
    Ok(Arc::new(opened.map_err(|e| cannot_open(setting, e))?))
}

#[cfg(not(feature = "redb"))]
async fn redb(_: &Path, setting: &str) -> Opened {
    Err(not_built(setting, "redb"))
}

/// The sources of keys that are open, by the setting of their section: all stores of one section
/// share one.
#[cfg(feature = "s3")]
type Credentials = BTreeMap<String, storehouse_s3::SharedCredentials>;

#[cfg(not(feature = "s3"))]
type Credentials = ();

#[cfg(feature = "s3")]
async fn s3(
    config: &S3Config,
    bucket: &str,
    setting: &str,
    name: StoreName,
    credentials: &mut Credentials,
) -> Opened {
    let wrong = |e| cannot_open(setting, e);
    let mut options = s3_options(config, bucket);
    if !config.anonymous {
        let shared = match credentials.get(setting) {
            Some(shared) => shared.clone(),
            None => storehouse_s3::SharedCredentials::from_options(&options).map_err(wrong)?,
        };
        credentials.insert(setting.to_owned(), shared.clone());
        options.credentials = None;
        options.provider = Some(shared);
    }
    if name != StoreName::Blobs {
        // Records go up in one piece.
        options.sweep_uploads_after = None;
    }
    let store = storehouse_s3::S3::open(options).await.map_err(wrong)?;
    Ok(Arc::new(store))
}

#[cfg(feature = "s3")]
fn s3_options(config: &S3Config, bucket: &str) -> storehouse_s3::S3Options {
    use storehouse_s3::{Addressing, Encryption, KeyFilter, S3Options};

    use crate::config::{AddressingConfig, SseConfig, SweepConfig};

    fn set<T>(field: &mut T, value: Option<T>) {
        if let Some(value) = value {
            *field = value;
        }
    }

    let mut options = S3Options::new(config.endpoint.clone(), bucket);
    options.insecure = config.insecure;
    options.region = config.region.clone();
    options.ca_file = config.ca_file.clone();
    options.credentials = config.credentials.as_ref().map(|given| {
        let mut keys = storehouse_s3::Credentials::default();
        keys.access_key_id = given.access_key_id.clone();
        keys.secret_access_key = given.secret_access_key.clone();
        keys.session_token = given.session_token.clone();
        keys
    });
    options.profile = config.profile.clone();
    options.anonymous = config.anonymous;
    options.addressing = match config.addressing {
        AddressingConfig::Auto => Addressing::Auto,
        AddressingConfig::Path => Addressing::Path,
        AddressingConfig::Virtual => Addressing::Virtual,
    };
    set(&mut options.create_bucket, config.create_bucket);
    set(&mut options.connect_timeout, config.connect_timeout);
    set(&mut options.stall_timeout, config.stall_timeout);
    set(&mut options.max_attempts, config.max_attempts);
    set(&mut options.retry_budget, config.retry_budget);
    set(&mut options.part_size, config.part_size);
    set(&mut options.part_memory, config.part_memory);
    set(&mut options.max_requests, config.max_requests);
    options.storage_class = config.storage_class.clone();
    let key_id = || config.sse_kms_key_id.clone();
    options.encryption = config.sse.map(|sse| match sse {
        SseConfig::S3 => Encryption::S3,
        SseConfig::Kms => Encryption::Kms { key_id: key_id() },
        SseConfig::KmsDouble => Encryption::KmsDouble { key_id: key_id() },
    });
    options.sweep_uploads_after = match config.sweep_uploads_after {
        SweepConfig::After(age) => Some(age),
        SweepConfig::Never => None,
    };
    // The bucket may be shared with others: only what a put of a blob began is ours.
    options.sweep_only = Some(KeyFilter::new(|key| S3Keys.decode(key).is_some()));
    options
}

#[cfg(not(feature = "s3"))]
async fn s3(_: &S3Config, _: &str, setting: &str, _: StoreName, (): &mut Credentials) -> Opened {
    Err(not_built(setting, "s3"))
}

/// The store's error under the setting's full name: the store knows its settings by shorter ones.
#[cfg(any(
    feature = "fjall",
    feature = "flatfs",
    feature = "redb",
    feature = "s3"
))]
fn cannot_open(section: &str, error: storehouse_objectstore::Error) -> Error {
    use storehouse_objectstore::Error as Store;
    match error {
        Store::Config {
            setting,
            reason,
            source,
        } => {
            // A section has settings of its own; a directory is one already, whatever name it was
            // put there under, and so is a variable.
            let variable = setting.starts_with(|c: char| c.is_ascii_uppercase());
            let setting = if variable {
                setting.to_owned()
            } else if section.ends_with("s3") {
                format!("{section}.{setting}")
            } else {
                section.to_owned()
            };
            Error::setting(setting, reason).caused_by(source)
        }
        Store::Backend {
            message, source, ..
        } => Error::setting(section, message).caused_by(source),
        Store::InUse { path } => {
            let reason = format!("{} is in use by another store", path.display());
            Error::setting(section, reason)
        }
        other => Error::setting(section, "cannot be opened").caused_by(Some(other.into())),
    }
}
