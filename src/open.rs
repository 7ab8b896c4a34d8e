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

use crate::config::S3Config;
use crate::place::Place;
use crate::{Backend, Blobs, Error, Records, Result, StoreName, observed};

type Opened = Result<Arc<dyn ObjectStore>>;

/// Opens stores, and each database once.
#[derive(Default)]
pub(crate) struct Opener {
    databases: BTreeMap<PathBuf, Arc<dyn ObjectStore>>,
}

impl Opener {
    pub(crate) async fn blobs(&mut self, places: &[Place<'_>]) -> Result<Blobs> {
        let (store, backend) = self.open(places, StoreName::Blobs).await?;
        let keys: Arc<dyn KeyEncoder> = match backend {
            Backend::Flatfs { .. } => Arc::new(FlatfsKeys),
            Backend::S3 { .. } => Arc::new(S3Keys),
            Backend::Memory | Backend::Fjall { .. } | Backend::Redb { .. } => Arc::new(PlainKeys),
        };
        Ok(BlobStore::new(store, keys))
    }

    /// `None` in a build without the database that records go to by default, where nobody asked for
    /// it by name.
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
            (Backend::Flatfs { path }, _) => (flatfs(path, &place.setting).await?, "flatfs"),
            (Backend::Fjall { .. }, _) => (self.database(place).await?, "fjall"),
            (Backend::Redb { .. }, _) => (self.database(place).await?, "redb"),
            (Backend::S3 { bucket, .. }, Some(server)) => {
                (s3(server, bucket, &place.setting).await?, "s3")
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
async fn flatfs(path: &Path, setting: &str) -> Opened {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let store = FlatFs::open(path, FlatFsOptions::default())
        .await
        .map_err(|e| cannot_open(setting, e))?;
    Ok(Arc::new(store))
}

#[cfg(not(feature = "flatfs"))]
async fn flatfs(_: &Path, setting: &str) -> Opened {
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

#[cfg(feature = "s3")]
async fn s3(config: &S3Config, bucket: &str, setting: &str) -> Opened {
    use storehouse_s3::{Credentials, S3, S3Options};

    let credentials = config.credentials.as_ref().map(|given| Credentials {
        access_key_id: given.access_key_id.clone(),
        secret_access_key: given.secret_access_key.clone(),
        session_token: given.session_token.clone(),
    });
    let options = S3Options {
        endpoint: config.endpoint.clone(),
        insecure: config.insecure,
        region: config.region.clone(),
        bucket: bucket.to_owned(),
        ca_file: config.ca_file.clone(),
        credentials,
        ..S3Options::default()
    };
    Ok(Arc::new(
        S3::open(options)
            .await
            .map_err(|e| cannot_open(setting, e))?,
    ))
}

#[cfg(not(feature = "s3"))]
async fn s3(_: &S3Config, _: &str, setting: &str) -> Opened {
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
    use std::error::Error as _;
    use storehouse_objectstore::Error as Store;
    match error {
        Store::Config {
            setting,
            reason,
            source,
        } => {
            // A section has settings of its own; a directory is one already, whatever name it was
            // put there under.
            let setting = if section.ends_with("s3") {
                format!("{section}.{setting}")
            } else {
                section.to_owned()
            };
            Error::setting(setting, reason).caused_by(source)
        }
        other => {
            let sentence = other.to_string();
            let reason = sentence
                .strip_prefix("open: ")
                .unwrap_or(&sentence)
                .to_owned();
            let cause = other.source().map(|cause| cause.to_string().into());
            Error::setting(section, reason).caused_by(cause)
        }
    }
}
