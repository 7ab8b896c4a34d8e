//! Opening a directory: what Go's flatfs expects in it, and the lock that Go ignores.
//!
//! On a directory that exists no step needs free space, so a full disk keeps no store from opening.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_engine::files::{Sys, make_empty, pick};
use storehouse_engine::off_thread;
use storehouse_objectstore::{Error, Operation, Result};

use super::directory::{Directory, TEMP};
use super::lock::{LOCK, LockFile};
use super::options::FlatFsOptions;
use super::shard::{self, ShardFunction};
use super::store::FlatFs;
use super::store_lock::LockHandle;
use super::wal::{Wal, WalOptions, recover};
use super::write::Writer;

/// Names the shard function. Go insists on it in a directory that is not empty.
const SHARDING: &str = "SHARDING";

/// Explains the layout to people. Written for the default shard function alone, whose text it is.
const README: &str = "_README";

/// That text, byte for byte as Go writes it.
const README_TEXT: &[u8] = include_bytes!("_README");

/// What `mkfs` puts into the root of a file system.
const LOST_AND_FOUND: &str = "lost+found";

/// The setting that names the directory.
const SETTING: &str = "data_dir";

/// At most this much of a SHARDING file is read, in bytes.
const MAX_SHARDING: u64 = 4096;

impl FlatFs {
    /// Opens the flatfs in the directory `path`. A missing or empty directory is made into one:
    /// names that begin with a dot and `lost+found` do not count. What an interrupted put left
    /// behind is removed.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_flatfs::{FlatFs, FlatFsOptions, ShardFunction};
    /// use storehouse_objectstore::Error;
    ///
    /// let dir = tempfile::tempdir()?;
    /// let store = FlatFs::open(dir.path(), FlatFsOptions::default()).await?;
    /// let again = FlatFs::open(dir.path(), FlatFsOptions::default()).await;
    /// assert!(matches!(again, Err(Error::InUse { .. })));
    /// store.close().await?;
    ///
    /// let sharding = std::fs::read_to_string(dir.path().join("SHARDING"))?;
    /// assert_eq!(sharding.trim(), "/repo/flatfs/shard/v1/next-to-last/2");
    /// let other = FlatFsOptions::default().shard(ShardFunction::Prefix(3));
    /// assert!(matches!(FlatFs::open(dir.path(), other).await, Err(Error::Config { .. })));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this one, has it open or is still
    /// closing it (see [`FlatFs::close`]). [`Error::Config`] if it is not a directory, cannot be
    /// written, holds something else, was made with another shard function, or has a shard that is
    /// a symbolic link or another file system. [`Error::Backend`] if a log that a crash left cannot
    /// be applied.
    pub async fn open(path: impl Into<PathBuf>, options: FlatFsOptions) -> Result<Self> {
        Self::open_with(path.into(), options, pick(options.system_calls)).await
    }

    pub(super) async fn open_with(
        path: PathBuf,
        options: FlatFsOptions,
        sys: Arc<dyn Sys>,
    ) -> Result<Self> {
        off_thread(Operation::Open, move || {
            let (file, lock) = open_directory(&path, options.shard, &*sys)?;
            let directory = Arc::new(Directory::new(path, file, &options, sys));
            recover(&directory)?;
            let wal_options = WalOptions {
                enabled: options.log,
                idle: options.log_idle,
                age: options.log_age,
            };
            let wal = Arc::new(Wal::new(Arc::clone(&directory), wal_options));
            let lock = LockHandle::new(lock, Arc::clone(&wal));
            Ok(Self::new(
                options,
                Arc::new(Writer::new(directory, wal)),
                lock,
            ))
        })
        .await
    }
}

/// Opens and locks the store's directory, and makes it first if it is missing or empty. Blocks.
///
/// In an empty directory a whole SHARDING file appears first, so that a crash at any point leaves
/// nothing that Go refuses.
fn open_directory(path: &Path, shard: ShardFunction, sys: &dyn Sys) -> Result<(File, LockFile)> {
    if shard.len() == 0 {
        return Err(Error::config(
            "shard",
            "a shard function takes at least one character",
        ));
    }
    create_dirs(path).map_err(|e| refuse(path, "cannot be created", e))?;
    let dir = File::open(path).map_err(|e| refuse(path, "cannot be opened", e))?;
    let metadata = dir
        .metadata()
        .map_err(|e| refuse(path, "cannot be opened", e))?;
    if !metadata.is_dir() {
        let not_a_directory = ErrorKind::NotADirectory.into();
        return Err(refuse(path, "cannot be used", not_a_directory));
    }
    // Judged before anything is written, so that a directory that is refused stays as it is.
    let is_new = match read_sharding(path)? {
        Some(text) if !text.trim().is_empty() => {
            check_sharding(path, &text, shard)?;
            check_shards(path, shard, metadata.dev())?;
            false
        }
        found => {
            check_empty(path)?;
            if found.is_none() {
                let id = format!("{shard}\n");
                create_once(sys, &dir, SHARDING, id.as_bytes(), 0o666)
                    .map_err(|e| unwritable(path, e))?;
            }
            true
        }
    };
    let lock = LockFile::acquire(path).map_err(|e| refuse(&path.join(LOCK), "cannot be locked", e));
    let lock = lock?.ok_or_else(|| Error::InUse {
        path: path.to_owned(),
    })?;
    if is_new {
        complete_new(path, &dir, shard, sys)?;
    }
    make_empty(&path.join(TEMP)).map_err(|e| unwritable(path, e))?;
    // Also what an earlier process made here and did not sync.
    sys.sync(&dir)
        .map_err(|e| refuse(path, "cannot be synced", e))?;
    Ok((dir, lock))
}

/// Creates the directory and its missing ancestors, durably.
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
    // NONBLOCK: opening a FIFO of that name must not wait.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let mut text = Vec::new();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path.join(SHARDING));
    match opened.and_then(|file| file.take(MAX_SHARDING).read_to_end(&mut text)) {
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

/// Refuses shards that cannot be written to or that storehouse does not read.
fn check_shards(path: &Path, shard: ShardFunction, device: u64) -> Result<()> {
    for entry in entries(path)? {
        let entry = entry.map_err(|e| refuse(path, "cannot be read", e))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| name.len() == shard.len()) else {
            continue;
        };
        let in_capitals = shard::flaw(name).is_some();
        if in_capitals && shard::flaw(&name.to_ascii_lowercase()).is_some() {
            continue;
        }
        let shard = path.join(name);
        let metadata = entry
            .metadata()
            .map_err(|e| refuse(&shard, "cannot be described", e))?;
        let flaw = if metadata.is_symlink() {
            "is a symbolic link, and flatfs follows none: move the directory there, or mount it \
             over the whole store"
        } else if !metadata.is_dir() {
            continue;
        } else if metadata.dev() != device {
            "is on another file system, so no file can be renamed into it"
        } else if in_capitals || is_of_digits(name) && begins_in_capitals(&shard) {
            "is in capitals, as Kubo writes names, and storehouse reads lower case alone"
        } else {
            continue;
        };
        return Err(Error::config(
            SETTING,
            format!("{} {flaw}", shard.display()),
        ));
    }
    Ok(())
}

/// Whether a shard's name is the same in capitals, so that it does not tell who wrote it.
fn is_of_digits(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether the first object of a shard has a name in capitals. A shard that cannot be read is found
/// by who reads it.
fn begins_in_capitals(shard: &Path) -> bool {
    let names = std::fs::read_dir(shard).into_iter().flatten().flatten();
    let object = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .find_map(|name| name.strip_suffix(".data").map(str::to_owned));
    object.is_some_and(|key| {
        shard::flaw(&key).is_some() && shard::flaw(&key.to_ascii_lowercase()).is_none()
    })
}

/// Refuses a directory with anything but the beginnings of a flatfs.
fn check_empty(path: &Path) -> Result<()> {
    for entry in entries(path)? {
        let name = entry
            .map_err(|e| refuse(path, "cannot be read", e))?
            .file_name();
        let ignored = name.as_encoded_bytes().starts_with(b".") || name == LOST_AND_FOUND;
        if !ignored && name != SHARDING && name != README {
            return Err(Error::config(
                SETTING,
                format!(
                    "{} is not empty (it has {}) and has no SHARDING file, or an empty one, so it \
                     is no flatfs",
                    path.display(),
                    Path::new(&name).display(),
                ),
            ));
        }
    }
    Ok(())
}

fn entries(path: &Path) -> Result<std::fs::ReadDir> {
    std::fs::read_dir(path).map_err(|e| refuse(path, "cannot be read", e))
}

/// Completes a new directory, with the lock held: another process may have worked on it before.
fn complete_new(path: &Path, dir: &File, shard: ShardFunction, sys: &dyn Sys) -> Result<()> {
    match read_sharding(path)? {
        Some(text) if !text.trim().is_empty() => check_sharding(path, &text, shard)?,
        // A creation was cut off between making the file and filling it. Nothing else is here yet.
        _ => std::fs::write(path.join(SHARDING), format!("{shard}\n"))
            .map_err(|e| unwritable(path, e))?,
    }
    if shard == ShardFunction::default() {
        create_once(sys, dir, README, README_TEXT, 0o444).map_err(|e| unwritable(path, e))?;
    }
    Ok(())
}

/// Creates a file with all of its content, unless it exists.
fn create_once(sys: &dyn Sys, dir: &File, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
    match sys.create_whole(dir, name, content, mode) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        done => done,
    }
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
