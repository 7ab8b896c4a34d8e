//! Opening a directory.
//!
//! On a directory that was opened before no step needs free space, so a full disk keeps no store
//! from opening.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use storehouse_engine::files::{make_empty, pick};
use storehouse_engine::{DirLock, off_thread};
use storehouse_objectstore::{Error, Operation, Result};

use super::directory::{Directory, TEMP, stat};
use super::escape::RESERVED;
use super::options::FsOptions;
use super::store::Fs;

/// The setting that names the directory.
const SETTING: &str = "path";

/// A name that a file system without case, or one that composes or decomposes Unicode, takes for
/// one of [`LOOKALIKES`].
const EXACT: &str = ".storehouse/Exact-\u{c9}";

/// See [`EXACT`]: another case of ASCII, of the letter behind it, and that letter decomposed.
const LOOKALIKES: [&str; 3] = [
    ".storehouse/eXACT-\u{c9}",
    ".storehouse/Exact-\u{e9}",
    ".storehouse/Exact-E\u{301}",
];

impl Fs {
    /// Opens the store in the directory `path`, which is made if it does not exist. Files that are
    /// there already are objects, as far as their names are those of keys. What an interrupted put
    /// left behind is removed.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this one, has it open.
    /// [`Error::Config`] if it is not a directory, cannot be written, or lies on a file system that
    /// does not tell upper from lower case or changes names: keys that differ would be one object
    /// there.
    ///
    /// ```
    /// use storehouse_fs::{Fs, FsOptions};
    ///
    /// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    /// # runtime.block_on(async {
    /// let dir = tempfile::tempdir()?;
    /// let store = Fs::open(dir.path(), FsOptions::default()).await?;
    /// assert!(Fs::open(dir.path(), FsOptions::default()).await.is_err());
    /// store.close().await?;
    /// Fs::open(dir.path(), FsOptions::default()).await?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn open(path: impl Into<PathBuf>, options: FsOptions) -> Result<Self> {
        let path = path.into();
        off_thread(Operation::Open, move || {
            let (file, lock) = open_directory(&path)?;
            let sys = pick(options.system_calls);
            let directory = Directory::new(path, file, &options, sys);
            Ok(Self::new(options, directory, lock))
        })
        .await
    }
}

fn open_directory(path: &Path) -> Result<(File, DirLock)> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_dir() => {
            let reason = format!("{} is not a directory", path.display());
            return Err(Error::config(SETTING, reason));
        }
        _ => {}
    }
    let own = path.join(RESERVED);
    if own.is_symlink() {
        let reason = format!("{} is a symbolic link, and none is followed", own.display());
        return Err(Error::config(SETTING, reason));
    }
    let lock = DirLock::acquire(&own, "lock", SETTING).map_err(|e| match e {
        Error::InUse { .. } => Error::InUse {
            path: path.to_owned(),
        },
        other => other,
    })?;
    let dir = File::open(path).map_err(|e| refuse(path, "cannot be opened", e))?;
    check_names(path, &dir)?;
    make_empty(&path.join(TEMP)).map_err(|e| refuse(path, "is not writable", e))?;
    Ok((dir, lock))
}

/// Refuses a file system on which different names are one.
fn check_names(path: &Path, dir: &File) -> Result<()> {
    let unusable = |e| refuse(path, "cannot be used", e);
    if stat(dir, EXACT).map_err(unusable)?.is_none() {
        std::fs::write(path.join(EXACT), "").map_err(|e| refuse(path, "is not writable", e))?;
    }
    for (lookalike, flaw) in LOOKALIKES.iter().zip([CASE, CASE, UNICODE]) {
        if stat(dir, lookalike).map_err(unusable)?.is_some() {
            let reason = format!("the file system of {} {flaw}", path.display());
            return Err(Error::config(SETTING, reason));
        }
    }
    Ok(())
}

const CASE: &str =
    "does not tell upper from lower case, so keys that differ in that would be one object";

const UNICODE: &str = "takes a composed character for a decomposed one, so keys that differ in that would be one object";

fn refuse(path: &Path, what: &str, source: io::Error) -> Error {
    let path = path.display();
    let reason = match source.kind() {
        ErrorKind::PermissionDenied => format!("{path} {what}: permission denied"),
        ErrorKind::ReadOnlyFilesystem => format!("{path} {what}: the file system is read-only"),
        _ => format!("{path} {what}"),
    };
    Error::Config {
        setting: SETTING,
        reason,
        source: Some(Box::new(source)),
    }
}
