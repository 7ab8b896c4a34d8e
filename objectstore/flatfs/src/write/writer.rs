//! What puts and deletes share.

use std::fs::File;
use std::sync::Arc;

use storehouse_engine::files::{Clock, TempDir};

use super::super::directory::{Directory, TEMP};
use super::super::wal::Wal;
use super::dirty_dirs::UnsyncedShards;

/// The longest body, in bytes (inclusive), that is received whole before its file is made, and that
/// can go through the log.
pub(crate) const INLINE: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) directory: Arc<Directory>,
    pub(crate) wal: Arc<Wal>,
    pub(crate) clock: Clock,
    pub(crate) temp: Arc<TempDir>,
    pub(crate) unsynced_shards: UnsyncedShards,
}

impl Writer {
    pub(crate) fn new(directory: Arc<Directory>, wal: Arc<Wal>) -> Self {
        let (root, sys) = (Arc::clone(&directory.file), Arc::clone(&directory.sys));
        Self {
            temp: Arc::new(TempDir::new(root, TEMP, sys)),
            directory,
            wal,
            clock: Clock::default(),
            unsynced_shards: UnsyncedShards::default(),
        }
    }

    /// The store's directory, for a sync of its file system: opened before a group's first write,
    /// so that no failure of one is missed.
    pub(crate) fn file_system(&self) -> Option<File> {
        self.directory.reopen().ok()
    }
}
