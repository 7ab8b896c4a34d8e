//! Opening the stores that never leave the machine.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_local::Secret;
use storehouse_local::journal::{FsJournal, Journal, MemoryJournal, Recovery, RotatorOptions};
use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyStore, MemoryKeyStore};

use crate::config::RepoConfig;
use crate::{Error, Result, observed};

/// Where keys lie under the data directory. Not in Piri's `wallet`, which is a database: its engine
/// deletes files that it does not know.
pub(crate) const KEYSTORE_DIR: &str = "keystore";

/// Where the retrieval journal lies under the data directory, as Piri has it.
pub(crate) const JOURNAL_DIR: &str = "egress_tracker/journal";

/// The keystore and the retrieval journal. Clones share them.
///
/// `Display` says where they are.
#[derive(Clone, Debug)]
pub struct LocalStores {
    keys: Arc<dyn KeyStore>,
    journal: Arc<dyn Journal>,
    recovery: Arc<Recovery>,
    rotator: RotatorOptions,
    data_dir: Option<PathBuf>,
}

impl LocalStores {
    /// In files under `repo.data_dir`, keys sealed under the passphrase; in memory without it.
    pub(crate) async fn open(repo: &RepoConfig, passphrase: Option<Secret>) -> Result<Self> {
        let (options, rotator) = (repo.journal.options(), repo.journal.rotator());
        let Some(data_dir) = &repo.data_dir else {
            return Ok(Self {
                keys: observed::keys(Arc::new(MemoryKeyStore::new()), "memory"),
                journal: observed::journal(
                    Arc::new(MemoryJournal::new(options.rotate_at)),
                    "memory",
                ),
                recovery: Arc::default(),
                rotator,
                data_dir: None,
            });
        };
        let sealing = FileKeyStoreOptions {
            passphrase,
            ..FileKeyStoreOptions::default()
        };
        let keys = FileKeyStore::open(data_dir.join(KEYSTORE_DIR), sealing)
            .await
            .map_err(cannot_open)?;
        let journal = FsJournal::open(data_dir.join(JOURNAL_DIR), options)
            .await
            .map_err(cannot_open)?;
        let recovery = journal.recovery();
        let (keys, journal) = (
            observed::keys(Arc::new(keys), "files"),
            observed::journal(Arc::new(journal), "files"),
        );
        Ok(Self {
            keys,
            journal,
            recovery,
            rotator,
            data_dir: Some(data_dir.clone()),
        })
    }

    /// The keys: in `{data_dir}/keystore`, or in memory.
    #[must_use]
    pub fn keys(&self) -> &Arc<dyn KeyStore> {
        &self.keys
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
    let cause = error.source().map(|cause| cause.to_string().into());
    Error::setting("repo.data_dir", error.to_string()).caused_by(cause)
}
