//! Opening the stores that never leave the machine.

use std::error::Error as _;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_local::journal::{FsJournal, Journal, JournalOptions, MemoryJournal, Recovery};
use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyStore, MemoryKeyStore};

use crate::config::RepoConfig;
use crate::{Error, Result, observed};

/// Where keys lie under the data directory. Not in Piri's `wallet`, which is a database: its engine deletes files that it does not know.
const KEYSTORE_DIR: &str = "keystore";

/// Where the retrieval journal lies under the data directory, as Piri has it.
const JOURNAL_DIR: &str = "egress_tracker/journal";

/// The keystore and the retrieval journal. Clones share them.
///
/// `Display` says where they are.
#[derive(Clone, Debug)]
pub struct LocalStores {
    keys: Arc<dyn KeyStore>,
    journal: Arc<dyn Journal>,
    recovery: Arc<Recovery>,
    data_dir: Option<PathBuf>,
}

impl LocalStores {
    /// In files under `repo.data_dir`; in memory if nothing at all is configured; `None` with S3 alone.
    pub(crate) async fn open(repo: &RepoConfig) -> Result<Option<Self>> {
        match (&repo.data_dir, &repo.s3) {
            (Some(data_dir), _) => Self::in_files(data_dir).await.map(Some),
            (None, Some(_)) => Ok(None),
            (None, None) => Ok(Some(Self {
                keys: observed::keys(Arc::new(MemoryKeyStore::new()), "memory"),
                journal: observed::journal(Arc::new(MemoryJournal::new(JournalOptions::default().rotate_at)), "memory"),
                recovery: Arc::default(),
                data_dir: None,
            })),
        }
    }

    async fn in_files(data_dir: &Path) -> Result<Self> {
        let keys = FileKeyStore::open(data_dir.join(KEYSTORE_DIR), FileKeyStoreOptions::default()).await.map_err(cannot_open)?;
        let journal = FsJournal::open(data_dir.join(JOURNAL_DIR), JournalOptions::default()).await.map_err(cannot_open)?;
        let recovery = Arc::new(journal.recovery().clone());
        let (keys, journal) = (observed::keys(Arc::new(keys), "files"), observed::journal(Arc::new(journal), "files"));
        Ok(Self { keys, journal, recovery, data_dir: Some(data_dir.to_owned()) })
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

/// S3 is configured, and nothing that they could be in.
pub(crate) fn no_data_dir() -> Error {
    Error::setting(
        "repo.data_dir",
        "is not set: with repo.s3, the keystore and the journal still need a directory on this machine, and never go to S3",
    )
}

fn cannot_open(error: storehouse_local::Error) -> Error {
    let cause = error.source().map(|cause| cause.to_string().into());
    Error::setting("repo.data_dir", error.to_string()).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::S3Config;

    #[tokio::test]
    async fn with_s3_they_need_a_data_dir() {
        let dir = tempfile::tempdir().unwrap();
        let mut repo = RepoConfig { s3: Some(S3Config::new("127.0.0.1:1", "test-")), ..RepoConfig::default() };
        assert!(LocalStores::open(&repo).await.unwrap().is_none());
        assert!(no_data_dir().to_string().starts_with("repo.data_dir: is not set"));
        repo.data_dir = Some(dir.path().to_owned());
        let local = LocalStores::open(&repo).await.unwrap().unwrap();
        assert_eq!(local.data_dir(), Some(dir.path()));
        assert!(local.journal().pending().await.unwrap().is_empty());
    }
}
