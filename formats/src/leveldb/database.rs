//! Opening a database.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::error::{Damage, IoContext, LevelDbError, Result};
use super::file::read_file;
use super::manifest::Files;
use super::merge::Records;

/// A database, open for reading, and closed to its owner meanwhile.
///
/// ```
/// use storehouse_formats::leveldb::{Database, LevelDbError};
///
/// # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../stores/tests/vectors/data_dir/allocation");
/// let database = Database::open(dir)?;
/// let mut last = Vec::new();
/// for record in database.records()? {
///     let (key, value) = record?;
///     assert!(last < key.to_vec() && !value.is_empty());
///     last = key.to_vec();
/// }
/// assert!(!last.is_empty());
/// let missing = Database::open("/nonexistent");
/// assert!(matches!(missing, Err(LevelDbError::NotADatabase { .. })));
/// # Ok::<(), storehouse_formats::leveldb::LevelDbError>(())
/// ```
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    files: Files,
    _lock: Option<File>,
}

impl Database {
    /// Opens the database in `dir`. Blocks, as all of this does.
    ///
    /// # Errors
    /// [`LevelDbError::NotADatabase`], [`LevelDbError::InUse`], [`LevelDbError::Damaged`],
    /// [`LevelDbError::Io`].
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self> {
        let dir = dir.into();
        let current = dir.join("CURRENT");
        if !current.is_file() {
            return Err(LevelDbError::NotADatabase { path: dir });
        }
        let lock = lock(&dir)?;
        let manifest = read_file(&current)?;
        let manifest = std::str::from_utf8(&manifest)
            .ok()
            .and_then(|text| text.strip_suffix('\n'));
        let manifest = manifest.filter(|name| name.starts_with("MANIFEST-") && !name.contains('/'));
        let manifest = dir.join(
            manifest
                .ok_or(Damage("it does not name a manifest"))
                .map_err(|damage| damage.of(&current))?,
        );
        let files = Files::parse(&read_file(&manifest)?).map_err(|damage| damage.of(&manifest))?;
        Ok(Self {
            dir,
            files,
            _lock: lock,
        })
    }

    /// Its live records, in key order.
    ///
    /// # Errors
    /// As [`open`](Self::open). After an error of an item there are no more.
    pub fn records(&self) -> Result<Records<'_>> {
        Records::new(&self.dir, &self.files)
    }
}

/// Keeps the database's owner out while it is read, or finds that it is there. Locking does not
/// change the file.
fn lock(dir: &Path) -> Result<Option<File>> {
    let path = dir.join("LOCK");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).context("open", &path),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(LevelDbError::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(e)) => Err(e).context("lock", &path),
    }
}
