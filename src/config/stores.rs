//! Where each store lies, if not where the rest does.

use std::path::PathBuf;

use serde::Deserialize;

use super::S3Config;
use crate::{Error, Result, StoreName};

/// The section `[repo.stores]`: stores that lie elsewhere than the rest.
///
/// ```
/// use storehouse::{Config, StoreName};
///
/// let config = Config::from_toml("[repo.stores.blobs]\nbackend = 'memory'")?;
/// assert!(config.repo.stores.get(StoreName::Blobs).is_some());
/// assert!(config.repo.stores.get(StoreName::Receipts).is_none());
/// # Ok::<(), storehouse::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoresConfig {
    /// The section `[repo.stores.blobs]`.
    pub blobs: Option<StoreConfig>,
    /// The section `[repo.stores.allocations]`.
    pub allocations: Option<StoreConfig>,
    /// The section `[repo.stores.acceptances]`.
    pub acceptances: Option<StoreConfig>,
    /// The section `[repo.stores.delegations]`.
    pub delegations: Option<StoreConfig>,
    /// The section `[repo.stores.receipts]`.
    pub receipts: Option<StoreConfig>,
    /// The section `[repo.stores.consolidations]`.
    pub consolidations: Option<StoreConfig>,
}

impl StoresConfig {
    /// What is said of one store.
    #[must_use]
    pub fn get(&self, store: StoreName) -> Option<&StoreConfig> {
        match store {
            StoreName::Blobs => self.blobs.as_ref(),
            StoreName::Allocations => self.allocations.as_ref(),
            StoreName::Acceptances => self.acceptances.as_ref(),
            StoreName::Delegations => self.delegations.as_ref(),
            StoreName::Receipts => self.receipts.as_ref(),
            StoreName::Consolidations => self.consolidations.as_ref(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        StoreName::ALL
            .iter()
            .try_for_each(|&name| self.get(name).map_or(Ok(()), |store| store.check(name)))
    }
}

/// The section `[repo.stores.NAME]`: where one store lies. What is not said is as for the rest.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// What it lies in. Without it what `path`, `bucket` or `s3` fits, else what the rest lies in.
    pub backend: Option<BackendKind>,
    /// Its directory, with `flatfs` and the databases. Without it the usual one under
    /// `repo.data_dir`. Record stores with one directory share its database.
    pub path: Option<PathBuf>,
    /// The whole name of its bucket, with `s3`. Without it the prefix and Piri's name.
    pub bucket: Option<String>,
    /// The section `[repo.stores.NAME.s3]`: its server, with `s3`. Without it `repo.s3`.
    pub s3: Option<S3Config>,
    /// A store of the section `[stores]` by its name, instead of all of these.
    pub store: Option<String>,
    /// With `store`: the keys under which it keeps what it keeps. Without it `s3` if nothing but
    /// buckets is under it, `flatfs` for blobs if a flatfs directory is, else `plain`.
    pub keys: Option<KeysConfig>,
}

/// The setting `keys` of a store: how names become keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeysConfig {
    /// Those of a store in memory or a database.
    Plain,
    /// Those that a flatfs directory of Piri's has: for blobs.
    Flatfs,
    /// Those that Piri's buckets have.
    S3,
}

/// What a store can lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum BackendKind {
    /// This process's memory: for any store.
    Memory,
    /// Files: for blobs.
    Flatfs,
    /// An embedded database, the default one: for records.
    Datastore,
    /// A redb database: for records.
    Redb,
    /// A bucket of an S3 server: for any store.
    S3,
}

impl BackendKind {
    /// The word for it in a configuration.
    ///
    /// ```
    /// assert_eq!(storehouse::BackendKind::Datastore.as_str(), "datastore");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Flatfs => "flatfs",
            Self::Datastore => "datastore",
            Self::Redb => "redb",
            Self::S3 => "s3",
        }
    }

    fn is_database(self) -> bool {
        matches!(self, Self::Datastore | Self::Redb)
    }

    fn takes_path(self) -> bool {
        self == Self::Flatfs || self.is_database()
    }
}

impl StoreConfig {
    /// The backend, as far as this section says it.
    pub(crate) fn kind(&self, store: StoreName) -> Option<BackendKind> {
        let on_disk = if store == StoreName::Blobs {
            BackendKind::Flatfs
        } else {
            BackendKind::Datastore
        };
        let told = self
            .path
            .is_some()
            .then_some(on_disk)
            .or((self.bucket.is_some() || self.s3.is_some()).then_some(BackendKind::S3));
        self.backend.or(told)
    }

    fn check(&self, store: StoreName) -> Result<()> {
        let section = format!("repo.stores.{store}");
        let wrong =
            |name: &str, reason: String| Err(Error::setting(format!("{section}.{name}"), reason));
        if self
            .path
            .as_ref()
            .is_some_and(|path| path.as_os_str().is_empty())
        {
            return wrong("path", "is empty".into());
        }
        if self.bucket.as_deref() == Some("") {
            return wrong("bucket", "is empty".into());
        }
        match (store, self.backend) {
            (StoreName::Blobs, Some(backend)) if backend.is_database() => {
                return wrong(
                    "backend",
                    format!(
                        "is {:?}, which keeps small records and no blobs; \
                         blobs take memory, flatfs or s3",
                        backend.as_str()
                    ),
                );
            }
            (StoreName::Blobs, _) => {}
            (_, Some(BackendKind::Flatfs)) => {
                return wrong(
                    "backend",
                    "is \"flatfs\", which does not take the keys of records; they take memory, datastore, redb or s3".into(),
                );
            }
            _ => {}
        }
        if let Some(name) = &self.store {
            if name.is_empty() {
                return wrong("store", "is empty".into());
            }
            let others = [
                ("backend", self.backend.is_some()),
                ("path", self.path.is_some()),
                ("bucket", self.bucket.is_some()),
                ("s3", self.s3.is_some()),
            ];
            if let Some((other, _)) = others.iter().find(|(_, set)| *set) {
                return wrong(
                    other,
                    "is set beside store, which says all of it; leave one out".into(),
                );
            }
            if store != StoreName::Blobs && self.keys == Some(KeysConfig::Flatfs) {
                return wrong("keys", "is \"flatfs\", which is for blobs".into());
            }
        } else if self.keys.is_some() {
            return wrong("keys", "is for a store that is named by store".into());
        }
        let Some(kind) = self.kind(store) else {
            return Ok(());
        };
        let needs = |name: &str, backend: &str| {
            wrong(
                name,
                format!(
                    "is for {backend}, and this store's backend is {:?}",
                    kind.as_str()
                ),
            )
        };
        if self.path.is_some() && !kind.takes_path() {
            return needs("path", "a directory");
        }
        if self.bucket.is_some() && kind != BackendKind::S3 {
            return needs("bucket", "s3");
        }
        match &self.s3 {
            Some(_) if kind != BackendKind::S3 => needs("s3", "s3"),
            Some(s3) => s3.check(&format!("{section}.s3"), self.bucket.is_none()),
            None => Ok(()),
        }
    }
}
