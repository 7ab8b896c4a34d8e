//! The lock of a data directory.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use storehouse_objectstore::{Error, Result};

/// Directories that stores of this process have locked, and whether their store is closing.
static LOCKED: Mutex<Option<HashMap<PathBuf, bool>>> = Mutex::new(None);
static UNLOCKED: Condvar = Condvar::new();

/// The exclusive lock of a data directory, held until it is dropped.
///
/// The lock is an advisory lock on the file `name` in the directory, so it ends with the process
/// however that ends. A store whose last handle was dropped may need a moment until its threads
/// are done: it calls [`DirLock::closing`], and the next [`DirLock::acquire`] of this process waits
/// for it instead of failing.
#[derive(Debug)]
pub struct DirLock {
    path: PathBuf,
    /// Unlocked first, then taken out of the table.
    file: Option<File>,
}

impl DirLock {
    /// Makes the directory `path`, durably, if it does not exist, and locks it. Blocks.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this process, has the lock.
    /// [`Error::Config`], which names `setting`, if there can be no such directory or lock.
    ///
    /// ```
    /// use storehouse_engine::DirLock;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let lock = DirLock::acquire(dir.path(), "LOCK", "data_dir")?;
    /// assert!(DirLock::acquire(dir.path(), "LOCK", "data_dir").is_err());
    /// drop(lock);
    /// DirLock::acquire(dir.path(), "LOCK", "data_dir")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn acquire(path: &Path, name: &str, setting: &'static str) -> Result<Self> {
        let refused = |what: &str| {
            let reason = format!("{} {what}", path.display());
            move |e: io::Error| Error::Config {
                setting,
                reason,
                source: Some(Box::new(e)),
            }
        };
        create_dir(path).map_err(refused("is not a directory and cannot be made one"))?;
        let canonical = path.canonicalize().map_err(refused("cannot be resolved"))?;
        let in_use = || Error::InUse {
            path: path.to_owned(),
        };
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(closing) = locked.get_or_insert_default().get(&canonical) {
            if !closing {
                return Err(in_use());
            }
            locked = UNLOCKED
                .wait(locked)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(name));
        let file = file.map_err(refused("cannot be written"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use()),
            Err(TryLockError::Error(e)) => return Err(refused("cannot be locked")(e)),
        }
        locked
            .get_or_insert_default()
            .insert(canonical.clone(), false);
        Ok(Self {
            path: canonical,
            file: Some(file),
        })
    }

    /// Says that the lock will be dropped soon, so that [`DirLock::acquire`] waits for that.
    ///
    /// ```
    /// use storehouse_engine::DirLock;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let lock = DirLock::acquire(dir.path(), "LOCK", "data_dir")?;
    /// lock.closing();
    /// std::thread::spawn(move || drop(lock));
    /// assert!(DirLock::acquire(dir.path(), "LOCK", "data_dir").is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn closing(&self) {
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(closing) = locked.get_or_insert_default().get_mut(&self.path) {
            *closing = true;
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        let mut locked = LOCKED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = self.file.take() {
            // The lock itself, not the last handle of the file: a process that is being started
            // right now shares the handle until it has begun.
            let _ = file.unlock();
        }
        locked.get_or_insert_default().remove(&self.path);
        drop(locked);
        UNLOCKED.notify_all();
    }
}

/// Makes the directory, and syncs the name of each directory that was made.
fn create_dir(path: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut above = path;
    while !above.try_exists()? {
        missing.push(above);
        match above.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => above = parent,
            _ => break,
        }
    }
    fs::create_dir_all(path)?;
    for made in missing {
        let parent = made
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_and_locked_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        let lock = DirLock::acquire(&path, "LOCK", "setting").unwrap();
        let again = DirLock::acquire(&dir.path().join("a/./b/c"), "LOCK", "setting").unwrap_err();
        assert!(
            matches!(&again, Error::InUse { path } if path.ends_with("a/b/c")),
            "{again}"
        );
        drop(lock);
        DirLock::acquire(&path, "LOCK", "setting").unwrap();
    }

    #[test]
    fn a_file_is_no_directory() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "").unwrap();
        let error = DirLock::acquire(&path, "LOCK", "setting").unwrap_err();
        assert!(
            matches!(
                error,
                Error::Config {
                    setting: "setting",
                    ..
                }
            ),
            "{error}"
        );
    }
}
