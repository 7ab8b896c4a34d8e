//! What puts and deletes share.

use std::fs::File;
use std::sync::Arc;

use storehouse_engine::files::{Clock, TempDir, open_dir};

use super::super::directory::{Directory, TEMP};
use super::durable_dirs::DurableDirs;
use super::teller::Teller;

/// The longest body, in bytes (inclusive), that is received whole before its file is made.
pub(crate) const INLINE: u64 = 64 * 1024;

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) directory: Arc<Directory>,
    pub(crate) clock: Clock,
    pub(crate) temp: Arc<TempDir>,
    pub(crate) durable: DurableDirs,
    pub(crate) teller: Teller,
}

impl Writer {
    pub(crate) fn new(directory: Arc<Directory>) -> Self {
        let (root, sys) = (Arc::clone(&directory.file), Arc::clone(&directory.sys));
        Self {
            temp: Arc::new(TempDir::new(root, TEMP, sys)),
            directory,
            clock: Clock::default(),
            durable: DurableDirs::default(),
            teller: Teller::default(),
        }
    }

    /// The store's directory, for a sync of its file system: opened before a group's first write,
    /// so that no failure of one is missed.
    pub(crate) fn file_system(&self) -> Option<File> {
        open_dir(&self.directory.file, ".").ok()
    }
}
