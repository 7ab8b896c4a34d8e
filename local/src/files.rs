//! What the keystore and the journal both do with files and directories.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;

use crate::error::{Error, IoContext, Result};

/// Creates the directory, and its parents, if they are not there: durably, so that no power failure
/// takes them away with what was synced in them.
pub(crate) fn create_dirs(dir: &Path) -> Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_dirs(parent)?;
    match fs::create_dir(dir) {
        Ok(()) => sync_dir(parent).inspect_err(|_| {
            // So that the next call does not take it for durable.
            let _ = fs::remove_dir(dir);
        }),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(e) => Err(e).context("create directory", dir),
    }
}

/// Makes the directory's entries durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<()> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .context("sync directory", dir)
}

/// Removes a file. Returns whether there was one.
pub(crate) fn remove_if_there(path: &Path) -> Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e).context("remove", path),
    }
}

/// Opens `dir` and locks it for this handle alone. The lock is the kernel's (`flock` on the
/// directory itself), so it leaves no file behind and ends with the process.
pub(crate) fn lock_dir(dir: &Path) -> Result<File> {
    let handle = File::open(dir).context("open directory", dir)?;
    match handle.try_lock() {
        Ok(()) => Ok(handle),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(e).context("lock directory", dir),
    }
}

/// `bytes` random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Random)?;
    Ok(bytes)
}
