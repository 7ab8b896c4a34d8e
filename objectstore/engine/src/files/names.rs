//! Names in directories.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;
use storehouse_objectstore::{Operation, Result};

use super::error::failed;

/// Opens a directory below `parent`. The last part of `name` must not be a symbolic link.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::open_dir;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::create_dir(dir.path().join("shard"))?;
/// std::os::unix::fs::symlink("shard", dir.path().join("link"))?;
/// let root = File::open(dir.path())?;
/// assert!(open_dir(&root, "shard")?.metadata()?.is_dir());
/// assert!(open_dir(&root, "link").is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn open_dir(parent: &File, name: impl AsRef<Path>) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(
        parent,
        name.as_ref(),
        flags,
        Mode::empty(),
    )?))
}

/// Checks that the open directory `dir` still stands at `path`: it may have been removed, or
/// replaced by another one of its name.
///
/// ```
/// use std::fs::{self, File};
/// use storehouse_engine::files::check_in_place;
///
/// let temp = tempfile::tempdir()?;
/// let path = temp.path().join("store");
/// fs::create_dir(&path)?;
/// let open = File::open(&path)?;
/// assert!(check_in_place(&open, &path).is_ok());
///
/// fs::rename(&path, temp.path().join("moved"))?;
/// assert!(check_in_place(&open, &path).is_err());
/// fs::create_dir(&path)?;
/// assert!(check_in_place(&open, &path).is_err(), "it was replaced");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An error of [`Operation::Health`].
pub fn check_in_place(dir: &File, path: &Path) -> Result<()> {
    let unwell = |message: &str, e| failed(Operation::Health, None, message, e);
    let there =
        std::fs::metadata(path).map_err(|e| unwell("the store's directory cannot be found", e))?;
    let open = dir
        .metadata()
        .map_err(|e| unwell("the store's directory cannot be read", e))?;
    if (there.dev(), there.ino()) == (open.dev(), open.ino()) {
        return Ok(());
    }
    Err(unwell(
        "the store's directory was replaced",
        io::Error::other("another directory has its name"),
    ))
}

/// Removes a file; `false` if there was none.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::unlink;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("a"), "")?;
/// let root = File::open(dir.path())?;
/// assert!(unlink(&root, "a")?);
/// assert!(!unlink(&root, "a")?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn unlink(dir: &File, name: &str) -> io::Result<bool> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Opens whatever has this name: finding it now means no wait for the disk later, and while it is
/// held its blocks are not freed. `None` if it cannot be opened.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::hold;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("a"), "hello")?;
/// let root = File::open(dir.path())?;
/// let held = hold(&root, "a").expect("the file is there");
/// std::fs::remove_file(dir.path().join("a"))?; // its blocks are freed with `held`
/// assert!(hold(&root, "a").is_none());
/// assert_eq!(File::from(held).metadata()?.len(), 5);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn hold(dir: &File, name: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).ok()
}

/// Calls `f` with every name in `dir` that is UTF-8, in no order.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::each_name;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("a"), "")?;
/// std::fs::create_dir(dir.path().join("b"))?;
/// let mut files = Vec::new();
/// each_name(&File::open(dir.path())?, |name, kind| {
///     if kind.is_file() {
///         files.push(name.to_owned());
///     }
/// })?;
/// assert_eq!(files, ["a"]);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn each_name(dir: &File, mut f: impl FnMut(&str, FileType)) -> io::Result<()> {
    for found in Dir::read_from(dir)? {
        let found = found?;
        if let Ok(name) = found.file_name().to_str() {
            f(name, found.file_type());
        }
    }
    Ok(())
}

/// Whether `f` says so of a name in `dir` that is UTF-8. Reads no further then.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::any_name;
///
/// let dir = tempfile::tempdir()?;
/// std::fs::write(dir.path().join("a.data"), "")?;
/// let root = File::open(dir.path())?;
/// assert!(any_name(&root, |name, _| name.ends_with(".data"))?);
/// assert!(!any_name(&root, |_, kind| kind.is_symlink())?);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn any_name(dir: &File, mut f: impl FnMut(&str, FileType) -> bool) -> io::Result<bool> {
    for found in Dir::read_from(dir)? {
        let found = found?;
        if let Ok(name) = found.file_name().to_str()
            && f(name, found.file_type())
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the directory for temporary files, or empties it. A full disk does not make this fail:
/// [`Temp::create`](super::Temp::create) makes it later.
///
/// ```
/// use storehouse_engine::files::make_empty;
///
/// let dir = tempfile::tempdir()?;
/// let temp = dir.path().join(".temp");
/// make_empty(&temp)?;
/// std::fs::write(temp.join("put-1"), "half of an obj")?;
/// make_empty(&temp)?;
/// assert_eq!(std::fs::read_dir(&temp)?.count(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn make_empty(temp: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(temp) {
        Ok(there) if there.is_dir() => {
            for entry in std::fs::read_dir(temp)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    std::fs::remove_dir_all(entry.path())?;
                } else {
                    std::fs::remove_file(entry.path())?;
                }
            }
            return Ok(());
        }
        Ok(_) => std::fs::remove_file(temp)?,
        Err(e) if e.kind() == ErrorKind::NotFound => {}
        Err(e) => return Err(e),
    }
    match DirBuilder::new().mode(0o755).create(temp) {
        // Nothing can be put anyway. The first put after that makes it.
        Err(e) if matches!(e.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) => Ok(()),
        done => done,
    }
}
