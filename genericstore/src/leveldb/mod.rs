//! A reader of LevelDB databases, as LevelDB's own documents describe them (`doc/log_format.md`,
//! `doc/table_format.md`, `doc/impl.md`).
//!
//! It reads and changes nothing: opening a database with an engine rewrites its files. Nor does it
//! make a copy, which for a database of keys would leave one of each on the disk; what it holds of
//! values is wiped when dropped. [`Database::records`] merges tables and logs as it goes, with a
//! block of each table in memory. Damage is an error, except for a torn record at the end of a log,
//! which was never acknowledged.
//!
//! ```no_run
//! let database = storehouse_genericstore::leveldb::Database::open("data/allocation")?;
//! for record in database.records()? {
//!     let (key, value) = record?;
//!     println!("{} {} bytes", key.escape_ascii(), value.len());
//! }
//! # Ok::<(), storehouse_genericstore::leveldb::LevelDbError>(())
//! ```

mod bytes;
mod error;
mod log;
mod manifest;
mod memtable;
mod merge;
mod table;

use std::fs::{File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use error::LevelDbError;
use error::{Damage, IoContext, Result};
pub use merge::Records;

/// The largest manifest or log that is read, in bytes (inclusive). Writers begin new ones after 4
/// MiB or so.
const MAX_LOG: u64 = 256 << 20;

/// A database, open for reading, and closed to its owner meanwhile.
#[derive(Debug)]
pub struct Database {
    dir: PathBuf,
    files: manifest::Files,
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
        let files = manifest::Files::parse(&read_file(&manifest)?)
            .map_err(|damage| damage.of(&manifest))?;
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
        merge::Records::new(self)
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

fn read_file(path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path).context("open", path)?;
    let size = file.metadata().context("read", path)?.len();
    if size > MAX_LOG {
        return Err(Damage("it is too large for a log").of(path));
    }
    // Filled in place: a buffer that grows would leave copies behind.
    let mut contents = Zeroizing::new(vec![0; size as usize]);
    file.read_exact(&mut contents).context("read", path)?;
    Ok(contents)
}
