//! Opening a directory: what Go's flatfs expects there, and the lock that it ignores.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::log::{self, Log};
use super::shard::ShardFunction;
use super::sys::Sys;
use storehouse_objectstore::{Error, Result};

/// Names the shard function. In a directory that is not empty, Go insists on it.
const SHARDING: &str = "SHARDING";

/// Explains the layout to people. Written for the default shard function alone, whose text it is.
const README: &str = "_README";

/// That text, byte for byte as Go writes it.
const README_TEXT: &[u8] = include_bytes!("_README");

/// Where files are written before they are renamed into place; emptied at every opening.
pub(super) const TEMP: &str = ".temp";

/// The lock file. Go passes over names with a dot here.
const LOCK: &str = ".lock";

/// What names the directory in a configuration.
const SETTING: &str = "data_dir";

/// More than this of a SHARDING file is not read: it is some other file.
const MAX_SHARDING: u64 = 4096;

/// An open and locked directory.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) dir: File,
    pub(super) lock: Lock,
}

/// Keeps other stores out for as long as it lives.
///
/// Held by the store's handles and by every change under way, and given up by the latter before its
/// caller hears of the end: whoever drops a store after all its operations came back can open the
/// directory again at once. What the log still holds is made durable first, on a thread of its own,
/// for which whoever opens the directory again in this process waits.
#[derive(Debug)]
pub(super) struct Lock {
    file: Option<File>,
    log: Option<Arc<Log>>,
}

impl Lock {
    /// From here on the lock is given up when the log is empty.
    pub(super) fn with_log(mut self, log: Arc<Log>) -> Self {
        self.log = Some(log);
        self
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let Some(mut file) = self.file.take() else {
            return;
        };
        if let Some(log) = &self.log {
            match log.close(file) {
                Some(back) => file = back,
                None => return,
            }
        }
        // Closing alone would not do: a process that is being started elsewhere in this one shares
        // the open file, and with it the lock, until it runs.
        let _ = file.unlock();
    }
}

/// Opens the store's directory, and makes it first if it is not there or empty. Blocks.
///
/// In an empty directory the first thing to appear is a whole SHARDING file, so that a crash at any
/// point leaves nothing that Go refuses.
pub(super) fn open(path: &Path, shard: ShardFunction, sys: &dyn Sys) -> Result<Layout> {
    if shard.len() == 0 {
        return Err(Error::config(
            "shard",
            "a shard function takes at least one character",
        ));
    }
    create_dirs(path).map_err(|e| refuse(path, "cannot be created", e))?;
    let dir = File::open(path).map_err(|e| refuse(path, "cannot be opened", e))?;
    if !dir
        .metadata()
        .map_err(|e| refuse(path, "cannot be opened", e))?
        .is_dir()
    {
        return Err(refuse(
            path,
            "cannot be used",
            ErrorKind::NotADirectory.into(),
        ));
    }
    // Judged before anything is written, so that a directory that is refused stays as it is.
    let id = format!("{shard}\n");
    let fresh = match read_sharding(path)? {
        Some(text) if !text.trim().is_empty() => {
            check_sharding(path, &text, shard)?;
            false
        }
        found => {
            check_empty(path)?;
            if found.is_none() {
                match sys.create_whole(&dir, SHARDING, id.as_bytes(), 0o666) {
                    Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                    done => done.map_err(|e| unwritable(path, e))?,
                }
            }
            true
        }
    };
    let lock = lock(path)?;
    // Another process may have been at it until it gave the lock up.
    if fresh {
        match read_sharding(path)? {
            Some(text) if !text.trim().is_empty() => check_sharding(path, &text, shard)?,
            // Somebody's creation was cut off between making the file and filling it. Nothing else
            // is here yet.
            _ => std::fs::write(path.join(SHARDING), &id).map_err(|e| unwritable(path, e))?,
        }
        if shard == ShardFunction::default() {
            match sys.create_whole(&dir, README, README_TEXT, 0o444) {
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                done => done.map_err(|e| unwritable(path, e))?,
            }
        }
    }
    empty_temp(&path.join(TEMP)).map_err(|e| unwritable(path, e))?;
    // Also whatever an earlier process made here and did not get to sync.
    dir.sync_all().map_err(|e| unwritable(path, e))?;
    Ok(Layout { dir, lock })
}

/// Creates the directory and those above it that are missing, durably.
fn create_dirs(path: &Path) -> io::Result<()> {
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut at = std::path::absolute(path)?;
    loop {
        match std::fs::metadata(&at) {
            Ok(_) => break,
            Err(e) if e.kind() == ErrorKind::NotFound => missing.push(at.clone()),
            Err(e) => return Err(e),
        }
        if !at.pop() {
            break;
        }
    }
    for dir in missing.iter().rev() {
        match DirBuilder::new().mode(0o755).create(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
            _ => {}
        }
        if let Some(parent) = dir.parent() {
            File::open(parent)?.sync_all()?;
        }
    }
    Ok(())
}

fn read_sharding(path: &Path) -> Result<Option<String>> {
    let file = path.join(SHARDING);
    // NONBLOCK: whatever else has that name, opening it must not wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut text = Vec::new();
    let read = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(&file);
    match read.and_then(|file| file.take(MAX_SHARDING).read_to_end(&mut text)) {
        Ok(_) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refuse(path, "has a SHARDING file that cannot be read", e)),
    }
}

fn check_sharding(path: &Path, text: &str, wanted: ShardFunction) -> Result<()> {
    let found: ShardFunction = text.parse().map_err(|e: Error| Error::Config {
        setting: SETTING,
        reason: format!("the SHARDING file of {} is damaged", path.display()),
        source: Some(Box::new(e)),
    })?;
    if found != wanted {
        let path = path.display();
        return Err(Error::config(
            SETTING,
            format!(
                "{path} holds objects under the shard function {found}, but {wanted} was asked for"
            ),
        ));
    }
    Ok(())
}

/// Refuses what holds anything but the beginnings of a flatfs.
fn check_empty(path: &Path) -> Result<()> {
    let ours = [SHARDING, LOCK, TEMP, README];
    for entry in std::fs::read_dir(path).map_err(|e| refuse(path, "cannot be read", e))? {
        let name = entry
            .map_err(|e| refuse(path, "cannot be read", e))?
            .file_name();
        if !ours.iter().any(|ours| name == *ours) {
            let path = path.display();
            return Err(Error::config(
                SETTING,
                format!(
                    "{path} is not empty and has no SHARDING file (or an empty one), so it is no flatfs"
                ),
            ));
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<Lock> {
    let options = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .clone();
    let file = options
        .open(path.join(LOCK))
        .map_err(|e| unwritable(path, e))?;
    loop {
        // A store that closes right now is waited for; asked first, so that it is not taken for
        // another's once it is done.
        let closing = log::is_closing(&file);
        return match file.try_lock() {
            Ok(()) => Ok(Lock {
                file: Some(file),
                log: None,
            }),
            Err(TryLockError::WouldBlock) if closing || log::is_closing(&file) => continue,
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(refuse(path, "cannot be locked", e)),
        };
    }
}

fn empty_temp(temp: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(temp) {
        Ok(there) if there.is_dir() => std::fs::remove_dir_all(temp)?,
        Ok(_) => std::fs::remove_file(temp)?,
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    DirBuilder::new().mode(0o755).create(temp)
}

fn unwritable(path: &Path, source: io::Error) -> Error {
    refuse(path, "is not writable", source)
}

fn refuse(path: &Path, what: &str, source: io::Error) -> Error {
    let path = path.display();
    let reason = match source.kind() {
        // Says it all, where the system's own words would repeat it.
        ErrorKind::NotADirectory => format!("{path} is not a directory"),
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
