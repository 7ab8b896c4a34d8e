//! Opening each backend. One that was not compiled in is an error that names the feature.

use std::path::Path;
use std::sync::Arc;

use storehouse_objectstore::ObjectStore;

use crate::config::{FlatfsConfig, S3Config};
use crate::free_space::{Disk, MinFreeStore};
use crate::{Error, Result, StoreName};

type Opened = Result<Arc<dyn ObjectStore>>;

/// What a program changes of a backend's options, after the configuration was applied.
#[allow(
    dead_code,
    reason = "a build without some backend does not use all of it"
)]
pub(crate) type Change<T> = Option<Box<dyn Fn(T) -> T + Send + Sync>>;

/// Options of backends that no configuration has.
#[derive(Default)]
pub(crate) struct BackendOptions {
    #[cfg(feature = "flatfs")]
    pub(crate) flatfs: Change<storehouse_flatfs::FlatFsOptions>,
    #[cfg(feature = "redb")]
    pub(crate) redb: Change<storehouse_redb::RedbOptions>,
    #[cfg(feature = "s3")]
    pub(crate) s3: Change<storehouse_s3::S3Options>,
}

/// Opens backends.
#[allow(
    dead_code,
    reason = "a build without some backend does not use all of it"
)]
pub(crate) struct Backends {
    options: BackendOptions,
    flatfs: FlatfsConfig,
    min_free: Option<u64>,
    /// The disks that stores of the section `[stores]` lie on.
    disks: Vec<(String, Disk)>,
    /// The sources of keys that are open, by the setting of their section: all stores of one
    /// section share one.
    #[cfg(feature = "s3")]
    credentials: std::collections::BTreeMap<String, storehouse_s3::SharedCredentials>,
}

#[cfg(any(feature = "flatfs", feature = "redb", feature = "s3"))]
fn changed<T>(change: &Change<T>, options: T) -> T {
    match change {
        Some(change) => change(options),
        None => options,
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

#[cfg_attr(
    not(all(feature = "flatfs", feature = "fs", feature = "redb", feature = "s3")),
    allow(
        clippy::unused_async,
        clippy::unused_self,
        unused_variables,
        dead_code,
        reason = "a backend that is not in this build is an error"
    )
)]
impl Backends {
    pub(crate) fn new(
        options: BackendOptions,
        flatfs: FlatfsConfig,
        min_free: Option<u64>,
    ) -> Self {
        Self {
            options,
            flatfs,
            min_free,
            disks: Vec::new(),
            #[cfg(feature = "s3")]
            credentials: std::collections::BTreeMap::new(),
        }
    }

    /// Enters the disk of a store of the section `[stores]`.
    pub(crate) fn note_disk(&mut self, store: &str, path: &Path) {
        let disk = Disk::new(path.to_owned(), self.min_free);
        self.disks.push((store.to_owned(), disk));
    }

    /// What was entered.
    pub(super) fn into_disks(self) -> Vec<(String, Disk)> {
        self.disks
    }

    /// The store in `path`, which leaves some of its disk free.
    fn on_disk(&self, store: impl ObjectStore, path: &Path) -> Arc<dyn ObjectStore> {
        let disk = Disk::new(path.to_owned(), self.min_free);
        Arc::new(MinFreeStore::new(store, disk))
    }

    pub(crate) fn memory(&self, setting: &str) -> Opened {
        #[cfg(feature = "memory")]
        {
            let _ = setting;
            Ok(Arc::new(storehouse_objectstore::Memory::new()))
        }
        #[cfg(not(feature = "memory"))]
        Err(not_built(setting, "memory"))
    }

    pub(super) async fn flatfs(&self, path: &Path, setting: &str) -> Opened {
        self.flatfs_with(path, self.flatfs.log, setting).await
    }

    pub(crate) async fn flatfs_with(&self, path: &Path, log: bool, setting: &str) -> Opened {
        #[cfg(feature = "flatfs")]
        {
            let options = storehouse_flatfs::FlatFsOptions::default().log(log);
            let options = changed(&self.options.flatfs, options);
            let opened = storehouse_flatfs::FlatFs::open(path, options).await;
            let opened = opened.map_err(|e| cannot_open(setting, e, false))?;
            Ok(self.on_disk(opened, path))
        }
        #[cfg(not(feature = "flatfs"))]
        Err(not_built(setting, "flatfs"))
    }

    pub(crate) async fn fs(&self, path: &Path, setting: &str) -> Opened {
        #[cfg(feature = "fs")]
        {
            let opened = storehouse_fs::Fs::open(path, Default::default()).await;
            let opened = opened.map_err(|e| cannot_open(setting, e, false))?;
            Ok(self.on_disk(opened, path))
        }
        #[cfg(not(feature = "fs"))]
        Err(not_built(setting, "fs"))
    }

    pub(crate) async fn redb(&self, path: &Path, setting: &str) -> Opened {
        #[cfg(feature = "redb")]
        {
            let options = changed(&self.options.redb, Default::default());
            let opened = storehouse_redb::Redb::open(path, options).await;
            let opened = opened.map_err(|e| cannot_open(setting, e, false))?;
            Ok(self.on_disk(opened, path))
        }
        #[cfg(not(feature = "redb"))]
        Err(not_built(setting, "redb"))
    }

    /// A bucket of the section `[stores]`; `setting` is the store's table.
    pub(crate) async fn s3_bucket(
        &mut self,
        config: &S3Config,
        bucket: &str,
        setting: &str,
    ) -> Opened {
        self.s3(config, bucket, setting, StoreName::Blobs).await
    }

    pub(super) async fn s3(
        &mut self,
        config: &S3Config,
        bucket: &str,
        setting: &str,
        name: StoreName,
    ) -> Opened {
        #[cfg(feature = "s3")]
        {
            let wrong = |e| cannot_open(setting, e, true);
            let mut options = super::s3_options::s3_options(config, bucket);
            if !config.anonymous {
                let shared = match self.credentials.get(setting) {
                    Some(shared) => shared.clone(),
                    None => {
                        storehouse_s3::SharedCredentials::from_options(&options).map_err(wrong)?
                    }
                };
                self.credentials.insert(setting.to_owned(), shared.clone());
                options.credentials = None;
                options.provider = Some(shared);
            }
            if name != StoreName::Blobs {
                // Records go up in one piece.
                options.sweep_uploads_after = None;
            }
            let options = changed(&self.options.s3, options);
            let store = storehouse_s3::S3::open(options).await.map_err(wrong)?;
            Ok(Arc::new(store))
        }
        #[cfg(not(feature = "s3"))]
        Err(not_built(setting, "s3"))
    }
}

/// The store's error under the setting's full name: the store knows its settings by shorter
/// ones. `has_settings` if `section` is a section, and not a setting itself.
#[cfg(any(feature = "flatfs", feature = "fs", feature = "redb", feature = "s3"))]
fn cannot_open(section: &str, error: storehouse_objectstore::Error, has_settings: bool) -> Error {
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
            } else if has_settings {
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
