//! A file that keeps some space of a disk back, to be given up when the disk is full.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const NAME: &str = "RESERVE";
const PIECE: usize = 64 << 10;
/// How long after an attempt to take the space back the next one may come.
const RETAKE_AFTER: Duration = Duration::from_secs(1);
/// What must be free before space is taken back, in reserves: the writes come first.
const FREE_BEFORE: u64 = 8;

/// Space on a disk, held by the file `RESERVE` in a store's directory.
///
/// A store that meets a full disk gives it up and so can still open, and delete. Once there is
/// room again it takes the space back. All methods block. None fails: a store works without its
/// reserve too, only not on a full disk.
///
/// ```
/// use storehouse_engine::Reserve;
///
/// let dir = tempfile::tempdir()?;
/// let reserve = Reserve::open(dir.path(), 64 << 10);
/// reserve.take_back();
/// assert_eq!(std::fs::metadata(dir.path().join("RESERVE"))?.len(), 64 << 10);
/// // The disk is full:
/// assert!(reserve.give_up());
/// assert!(!dir.path().join("RESERVE").exists());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Reserve {
    dir: PathBuf,
    bytes: u64,
    held: AtomicBool,
    tried: Mutex<Option<Instant>>,
}

impl Reserve {
    /// The name of its file.
    pub const NAME: &str = NAME;

    /// The reserve of `bytes` in the directory `dir`. Looks whether it is held, and takes nothing
    /// yet.
    #[must_use]
    pub fn open(dir: &Path, bytes: u64) -> Self {
        let found = fs::metadata(dir.join(NAME));
        Self {
            dir: dir.to_owned(),
            bytes,
            held: AtomicBool::new(found.is_ok_and(|found| bytes > 0 && holds(&found, bytes))),
            tried: Mutex::new(None),
        }
    }

    /// Gives the space up. False if there was none.
    pub fn give_up(&self) -> bool {
        let _tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        self.held.swap(false, Ordering::AcqRel) && fs::remove_file(self.dir.join(NAME)).is_ok()
    }

    /// Takes the space back if it was given up, there is plenty, and the last attempt is a second
    /// ago.
    pub fn take_back(&self) {
        if self.bytes == 0 || self.held.load(Ordering::Acquire) {
            return;
        }
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if tried.is_some_and(|tried| now - tried < RETAKE_AFTER) {
            return;
        }
        *tried = Some(now);
        if free_space(&self.dir).is_some_and(|free| free < FREE_BEFORE.saturating_mul(self.bytes)) {
            return;
        }
        let path = self.dir.join(NAME);
        match fill(&path, self.bytes) {
            Ok(()) => self.held.store(true, Ordering::Release),
            Err(_) => drop(fs::remove_file(path)),
        }
    }
}

/// Writes bytes that no file system makes smaller.
fn fill(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let (mut piece, mut random) = (vec![0; PIECE], 0x9e37_79b9_7f4a_7c15_u64);
    let mut left = bytes;
    while left > 0 {
        for place in piece.chunks_exact_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            place.copy_from_slice(&random.to_le_bytes());
        }
        let len = left.min(PIECE as u64);
        file.write_all(&piece[..len as usize])?;
        left -= len;
    }
    Ok(())
}

/// The free bytes of the disk that `path` lies on, if the system tells.
#[cfg(unix)]
pub(crate) fn free_space(path: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
pub(crate) fn free_space(_: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
fn holds(found: &fs::Metadata, bytes: u64) -> bool {
    use std::os::unix::fs::MetadataExt;
    found.len() == bytes && found.blocks() * 512 >= bytes
}

#[cfg(not(unix))]
fn holds(found: &fs::Metadata, bytes: u64) -> bool {
    found.len() == bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_up_is_taken_back_later() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(NAME);
        let reserve = Reserve::open(dir.path(), 100_000);
        assert!(!reserve.give_up());
        reserve.take_back();
        assert_eq!(fs::metadata(&file).unwrap().len(), 100_000);
        assert!(reserve.give_up() && !reserve.give_up() && !file.exists());
        reserve.take_back();
        assert!(!file.exists(), "too early");
        *reserve.tried.lock().unwrap() = None;
        reserve.take_back();
        assert!(file.exists());
        assert!(Reserve::open(dir.path(), 100_000).give_up());
        // One that a power cut made shorter holds nothing.
        fs::write(&file, "short").unwrap();
        let short = Reserve::open(dir.path(), 100_000);
        assert!(!short.give_up());
        short.take_back();
        assert_eq!(fs::metadata(&file).unwrap().len(), 100_000);
    }

    #[test]
    fn nothing_is_taken_of_a_disk_that_has_little() {
        let dir = tempfile::tempdir().unwrap();
        let reserve = Reserve::open(dir.path(), u64::MAX / 2);
        reserve.take_back();
        assert!(!dir.path().join(NAME).exists());
    }
}
