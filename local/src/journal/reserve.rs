//! Space kept for the day on which the disk is full.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::Result;

/// The reserve's size, in bytes: some blocks of a file system, for an acknowledgement, a header and
/// their directories.
const SIZE: usize = 64 << 10;

/// A file that is deleted when the disk is full, so that batches can still be acknowledged and
/// removed, and that is made again when there is space.
#[derive(Debug)]
pub(super) struct Reserve {
    path: PathBuf,
    held: bool,
}

impl Reserve {
    /// The reserve at `path`, which may or may not exist.
    pub(super) fn new(path: &Path) -> Self {
        let held = fs::symlink_metadata(path)
            .is_ok_and(|found| found.is_file() && found.len() == SIZE as u64);
        Self {
            path: path.to_owned(),
            held,
        }
    }

    /// Makes the file if it does not exist. The journal works without it, so no error is reported:
    /// a later call tries again.
    pub(super) fn refill(&mut self) {
        // Opening a FIFO in its place would wait for a reader.
        let special = fs::symlink_metadata(&self.path).is_ok_and(|found| !found.is_file());
        if self.held || special {
            return;
        }
        // Random bytes take their space on file systems that compress, too.
        let mut bytes = vec![0; SIZE];
        if getrandom::fill(&mut bytes).is_err() {
            return;
        }
        let made = File::create(&self.path).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_all()
        });
        self.held = made.is_ok();
        if !self.held {
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Does `work`. If the disk is full, gives the reserve up and does it again.
    pub(super) fn spend<T>(&mut self, mut work: impl FnMut() -> Result<T>) -> Result<T> {
        match work() {
            Err(error) if error.is_full() && self.give_up() => work(),
            result => result,
        }
    }

    fn give_up(&mut self) -> bool {
        std::mem::take(&mut self.held) && fs::remove_file(&self.path).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::error::Error;

    fn full() -> Error {
        Error::Io {
            operation: "write",
            path: "file".into(),
            source: Arc::new(io::ErrorKind::StorageFull.into()),
        }
    }

    #[test]
    fn a_full_disk_takes_the_reserve_once_and_gives_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        let mut reserve = Reserve::new(&path);
        // A disk on which nothing but the reserve's space is left.
        let write = || if path.exists() { Err(full()) } else { Ok(()) };

        reserve.refill();
        assert_eq!(fs::metadata(&path).unwrap().len(), SIZE as u64);
        assert!(write().is_err());
        reserve.spend(write).unwrap();
        assert!(!path.exists());
        // There is none to give up a second time.
        assert!(
            reserve
                .spend(|| Err::<(), _>(full()))
                .unwrap_err()
                .is_full()
        );

        reserve.refill();
        assert!(path.exists() && Reserve::new(&path).held);
        // Other errors leave it alone.
        let missing = || Err::<(), _>(Error::Stopped);
        assert!(reserve.spend(missing).is_err() && path.exists());
    }

    #[test]
    fn a_reserve_that_cannot_be_made_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("reserve");
        fs::create_dir(&path).unwrap();
        let mut reserve = Reserve::new(&path);
        reserve.refill();
        assert!(!reserve.held && path.is_dir());
        fs::remove_dir(&path).unwrap();
        reserve.refill();
        assert!(reserve.held);
    }
}
