//! The lock file, which keeps other stores out of the directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tokio::sync::watch;

/// The lock file's name. Go ignores names that begin with a dot.
pub(super) const LOCK: &str = ".lock";

/// A locked lock file. Unlocks when it is dropped, and then lets those know that wait for it.
#[derive(Debug)]
pub(super) struct LockFile {
    file: File,
    /// Dropped after the file is unlocked.
    released: watch::Sender<()>,
}

impl LockFile {
    /// Locks the directory `path`; `None` if another store has it.
    pub(super) fn acquire(path: &Path) -> io::Result<Option<Self>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .open(path.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self {
                file,
                released: watch::Sender::new(()),
            })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => Err(e),
        }
    }

    /// Completes, with an error, once the lock is released.
    pub(super) fn released(&self) -> watch::Receiver<()> {
        self.released.subscribe()
    }
}

impl Drop for LockFile {
    fn drop(&mut self) {
        // Closing alone would not do: a child process that is being started shares the open file,
        // and with it the lock, until it runs its program.
        let _ = self.file.unlock();
    }
}
