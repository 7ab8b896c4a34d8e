//! Names in directories.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

/// Opens a directory below `parent`. The last part of `name` must not be a symbolic link.
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

/// Removes a file; `false` if there was none.
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
/// held its blocks are not freed.
pub fn hold(dir: &File, name: &str) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(dir, name, flags, Mode::empty()).ok()
}

/// Calls `f` with every name in `dir` that is UTF-8, in no order.
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
