//! What puts and deletes share.

use std::fs::File;
use std::sync::Arc;

use super::super::directory::Directory;
use super::super::version::Clock;
use super::super::wal::Wal;
use super::dirty_dirs::UnsyncedShards;
use super::temp::TempNames;

/// The longest body, in bytes (inclusive), that is received whole before its file is made, and that
/// can go through the log.
pub(crate) const INLINE: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) directory: Arc<Directory>,
    pub(crate) wal: Arc<Wal>,
    pub(crate) clock: Clock,
    pub(crate) temp_names: TempNames,
    pub(crate) unsynced_shards: UnsyncedShards,
}

impl Writer {
    pub(crate) fn new(directory: Arc<Directory>, wal: Arc<Wal>) -> Self {
        Self {
            directory,
            wal,
            clock: Clock::default(),
            temp_names: TempNames::default(),
            unsynced_shards: UnsyncedShards::default(),
        }
    }

    /// The store's directory, for a sync of its file system: opened before a group's first write,
    /// so that no failure of one is missed.
    pub(crate) fn file_system(&self) -> Option<File> {
        self.directory.reopen().ok()
    }
}
