//! The open directory that everything below works in.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{AtFlags, FileType, Stat, fstat, statat};
use rustix::io::Errno;
use storehouse_engine::files::{FileReader, Sys, check_in_place, failed, keeps_attributes};
use storehouse_objectstore::{Operation, Result};

use super::escape::RESERVED;
use super::options::FsOptions;

/// Where files are written before they are renamed into place; emptied at every opening.
pub(super) const TEMP: &str = ".storehouse/temp";

/// How often names are read again while others change; then changes wait.
const MAX_REREADS: usize = 4;

/// The open directory, and what its readers share. Bodies and listings keep it open; they do not
/// keep the store's lock.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) sys: Arc<dyn Sys>,
    pub(super) reader: FileReader,
    /// Whether the file system keeps attributes.
    pub(super) attributes: bool,
    names: Mutex<()>,
    /// How often an object's file made way for a directory.
    moves: AtomicU64,
}

impl Directory {
    pub(super) fn new(path: PathBuf, file: File, options: &FsOptions, sys: Arc<dyn Sys>) -> Self {
        let (handles, age) = (options.cached_handles, options.handle_age);
        let attributes = keeps_attributes(&file);
        let reader =
            FileReader::new(Arc::clone(&sys), &file, handles, age).with_attributes(attributes);
        Self {
            path,
            file: Arc::new(file),
            sys,
            reader,
            attributes,
            names: Mutex::default(),
            moves: AtomicU64::new(0),
        }
    }

    /// Held while names change, so that whether a directory or a file has a name stays as it was
    /// found. Nothing that waits for a disk's sync is done under it.
    pub(super) fn lock_names(&self) -> MutexGuard<'_, ()> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells that an object's file makes way for a directory. With the names locked.
    pub(super) fn moved(&self) {
        self.moves.fetch_add(1, Ordering::AcqRel);
    }

    /// Reads a directory's names by `read`, again if a file got another name meanwhile: it could
    /// have been missed under both.
    pub(super) fn read_names(&self, mut read: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        for _ in 0..MAX_REREADS {
            let before = self.moves.load(Ordering::Acquire);
            read()?;
            if self.moves.load(Ordering::Acquire) == before {
                return Ok(());
            }
        }
        let _names = self.lock_names();
        read()
    }

    /// Opens the directory at `path` below the root, which is the empty path; `None` if there is
    /// none.
    ///
    /// # Errors
    /// The system's; also if a part of `path` is a symbolic link.
    pub(super) fn open_dir(&self, path: &str) -> io::Result<Option<Arc<File>>> {
        if path.is_empty() {
            return Ok(Some(Arc::clone(&self.file)));
        }
        match self.sys.open(&self.file, path) {
            Ok(file) if is_dir(&fstat(&file)?) => Ok(Some(Arc::new(file))),
            Ok(_) => Ok(None),
            Err(e) => match e.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT | Errno::NXIO) => Ok(None),
                Some(Errno::NOTDIR | Errno::LOOP) => self.refuse_link(path).map(|()| None),
                _ => Err(e),
            },
        }
    }

    /// Fails if a part of `path` is a symbolic link.
    pub(super) fn refuse_link(&self, path: &str) -> io::Result<()> {
        let ends = path.match_indices('/').map(|(at, _)| at);
        for end in ends.chain([path.len()]) {
            match stat(&self.file, &path[..end])? {
                Some(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
                    let link = self.path.join(&path[..end]);
                    let message = format!(
                        "{} is a symbolic link, and none is followed",
                        link.display()
                    );
                    return Err(io::Error::new(io::ErrorKind::NotADirectory, message));
                }
                Some(stat) if is_dir(&stat) => {}
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether the directory is in order.
    pub(super) fn check(&self) -> Result<()> {
        let unwell = |message: &str, e| failed(Operation::Health, None, message, e);
        statat(&self.file, RESERVED, AtFlags::empty())
            .map_err(|e| unwell("the store's own directory cannot be found", e.into()))?;
        check_in_place(&self.file, &self.path)
    }
}

/// The state of what has this name, without following a symbolic link; `None` if there is nothing.
pub(super) fn stat(dir: &File, name: &str) -> io::Result<Option<Stat>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

pub(super) fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

/// A path's directory, which is empty for the root, and its last name.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
