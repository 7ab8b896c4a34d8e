//! Opening the stores that never leave the machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_local::Secret;
use storehouse_local::journal::{FsJournal, Journal, MemoryJournal, Recovery, RotatorOptions};
use storehouse_local::keystore::{FileKeyStore, KeyName, KeyStore, MemoryKeyStore};

use super::observed;
use crate::config::RepoConfig;
use crate::free_space::Disk;
use crate::{Error, Result};

/// Where keys lie under the data directory. Not in Piri's `wallet`, which is a database: its engine
/// deletes files that it does not know.
pub(crate) const KEYSTORE_DIR: &str = "keystore";

/// Where the retrieval journal lies under the data directory, as Piri has it.
pub(crate) const JOURNAL_DIR: &str = "egress_tracker/journal";

/// The keystore and the retrieval journal. Clones share them.
///
/// `Display` says where they are.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse::{Config, Stores};
///
/// let stores = Stores::open(&Config::default()).await?;
/// let local = stores.local();
/// assert!(local.keys().list().await.unwrap().is_empty());
/// assert!(local.journal().pending().await.unwrap().is_empty());
/// assert_eq!(local.journal_recovery().torn, 0);
/// assert!(local.data_dir().is_none(), "in memory");
/// let every = local.rotator_options().rotate_every;
/// assert!(!every.is_zero());
/// # Ok::<(), storehouse::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct LocalStores {
    keys: Arc<dyn KeyStore>,
    journal: Arc<dyn Journal>,
    files: Option<FileKeyStore>,
    unsealed: Arc<[KeyName]>,
    recovery: Arc<Recovery>,
    rotator: RotatorOptions,
    data_dir: Option<PathBuf>,
    disk: Option<Arc<Disk>>,
}

impl LocalStores {
    /// In files under `repo.data_dir`, keys sealed under the passphrase; in memory without it.
    pub(crate) async fn open(
        repo: &RepoConfig,
        passphrase: Option<Secret>,
        observed: bool,
    ) -> Result<Self> {
        let wrap_keys = |keys: Arc<dyn KeyStore>, backend| match observed {
            true => observed::keys(keys, backend),
            false => keys,
        };
        let wrap_journal = |journal: Arc<dyn Journal>, backend| match observed {
            true => observed::journal(journal, backend),
            false => journal,
        };
        let (options, rotator) = (repo.journal.options(), repo.journal.rotator());
        let Some(data_dir) = &repo.data_dir else {
            return Ok(Self {
                keys: wrap_keys(Arc::new(MemoryKeyStore::new()), "memory"),
                journal: wrap_journal(Arc::new(MemoryJournal::new(options.rotate_at)), "memory"),
                files: None,
                unsealed: Arc::default(),
                recovery: Arc::default(),
                rotator,
                data_dir: None,
                disk: None,
            });
        };
        let sealed = passphrase.is_some();
        let keys = FileKeyStore::open(
            data_dir.join(KEYSTORE_DIR),
            repo.keystore.options(passphrase),
        )
        .await
        .map_err(cannot_open)?;
        let unsealed = if sealed {
            keys.unsealed().await.map_err(cannot_open)?
        } else {
            Vec::new()
        };
        let journal = FsJournal::open(data_dir.join(JOURNAL_DIR), options)
            .await
            .map_err(cannot_open)?;
        let recovery = journal.recovery();
        let files = Some(keys.clone());
        let (keys, journal) = (
            wrap_keys(Arc::new(keys), "files"),
            wrap_journal(Arc::new(journal), "files"),
        );
        Ok(Self {
            keys,
            journal,
            files,
            unsealed: unsealed.into(),
            recovery,
            rotator,
            data_dir: Some(data_dir.clone()),
            disk: Some(Arc::new(Disk::new(data_dir.clone(), repo.min_free))),
        })
    }

    /// The keys: in `{data_dir}/keystore`, or in memory.
    #[must_use]
    pub fn keys(&self) -> &Arc<dyn KeyStore> {
        &self.keys
    }

    /// The keys that opening found stored unsealed although a passphrase is set. They are refused
    /// unless `repo.keystore.allow_unsealed` says otherwise, and
    /// [`LocalStores::seal_unsealed_keys`] seals them.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await?;
    /// assert!(stores.local().unsealed_keys().is_empty());
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn unsealed_keys(&self) -> &[KeyName] {
        &self.unsealed
    }

    /// Seals the keys that are stored unsealed, and returns their names. In memory there are none.
    ///
    /// # Errors
    /// Those of [`FileKeyStore::seal_unsealed`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse::{Config, Stores};
    ///
    /// let stores = Stores::open(&Config::default()).await.unwrap();
    /// assert!(stores.local().seal_unsealed_keys().await?.is_empty());
    /// # Ok::<(), storehouse::local::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn seal_unsealed_keys(&self) -> storehouse_local::Result<Vec<KeyName>> {
        match &self.files {
            Some(files) => files.seal_unsealed().await,
            None => Ok(Vec::new()),
        }
    }

    /// The retrieval journal: in `{data_dir}/egress_tracker/journal`, or in memory.
    #[must_use]
    pub fn journal(&self) -> &Arc<dyn Journal> {
        &self.journal
    }

    /// What opening found wrong in the journal, and did about it.
    #[must_use]
    pub fn journal_recovery(&self) -> &Recovery {
        &self.recovery
    }

    /// How a [`Rotator`](storehouse_local::journal::Rotator) of the journal is configured: how
    /// often it rotates, and what it removes. Nothing rotates by the clock until one is spawned
    /// with it.
    #[must_use]
    pub fn rotator_options(&self) -> RotatorOptions {
        self.rotator
    }

    /// The disk that they lie on.
    pub(crate) fn disk(&self) -> Option<&Disk> {
        self.disk.as_deref()
    }

    /// The data directory that they lie in; `None` if they are in memory and end with the process.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }
}

impl fmt::Display for LocalStores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data_dir {
            Some(data_dir) => write!(f, "files under {}", data_dir.display()),
            None => f.write_str("memory, gone with the process"),
        }
    }
}

fn cannot_open(error: storehouse_local::Error) -> Error {
    Error::setting("repo.data_dir", "its keystore or journal cannot be opened")
        .caused_by(Some(Box::new(error)))
}
