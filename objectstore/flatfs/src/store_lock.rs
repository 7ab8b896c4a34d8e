//! Who holds the directory's lock.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::lock::LockFile;
use super::wal::Wal;

/// The lock of an open store, held by its handles and by every change under way, which give it up
/// before their callers hear of the end.
///
/// The last of them to go has the log emptied, if there is one: the lock is released after that.
#[derive(Debug)]
pub(super) struct StoreLock {
    file: Option<LockFile>,
    wal: Arc<Wal>,
}

impl Drop for StoreLock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            self.wal.close(file);
        }
    }
}

/// The lock as the store's handles hold it, until the store is closed.
#[derive(Debug)]
pub(super) struct LockHandle {
    lock: Mutex<Option<Arc<StoreLock>>>,
    released: watch::Receiver<()>,
}

impl LockHandle {
    pub(super) fn new(file: LockFile, wal: Arc<Wal>) -> Self {
        let released = file.released();
        let lock = StoreLock {
            file: Some(file),
            wal,
        };
        Self {
            lock: Mutex::new(Some(Arc::new(lock))),
            released,
        }
    }

    /// The lock, for a change; `None` once the store is closed.
    pub(super) fn get(&self) -> Option<Arc<StoreLock>> {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Gives the lock up, and returns once it is released.
    pub(super) async fn release(&self) {
        drop(
            self.lock
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take(),
        );
        let mut released = self.released.clone();
        // Fails once the sender is gone, which is what this waits for.
        while released.changed().await.is_ok() {}
    }
}
