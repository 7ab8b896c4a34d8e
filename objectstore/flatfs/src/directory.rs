//! The open directory that everything below works in.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, statat};
use storehouse_engine::files::{FileReader, Sys, check_in_place, failed, open_dir};
use storehouse_objectstore::{Key, Operation, Result};

use super::options::FlatFsOptions;
use super::shard::{EXTENSION, ShardFunction};

/// Where files are written before they are renamed into place; emptied at every opening.
pub(super) const TEMP: &str = ".temp";

/// The open directory, and what its readers share. Bodies and listings keep it open; they do not
/// keep the store's lock.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) file: Arc<File>,
    pub(super) shard: ShardFunction,
    pub(super) sys: Arc<dyn Sys>,
    pub(super) reader: FileReader,
}

impl Directory {
    pub(super) fn new(
        path: PathBuf,
        file: File,
        options: &FlatFsOptions,
        sys: Arc<dyn Sys>,
    ) -> Self {
        let (handles, age) = (options.cached_handles, options.handle_age);
        let reader = FileReader::new(Arc::clone(&sys), &file, handles, age);
        Self {
            path,
            file: Arc::new(file),
            shard: options.shard,
            sys,
            reader,
        }
    }

    /// The path of a key's file below the directory.
    pub(super) fn path_of(&self, key: &str) -> String {
        self.shard.path(key)
    }

    /// The directory opened once more: for listing it, and for syncing its file system with an
    /// error count of its own.
    pub(super) fn reopen(&self) -> io::Result<File> {
        open_dir(&self.file, ".")
    }

    /// Opens the shard's directory; `None` if it does not exist.
    pub(super) fn open_shard(&self, shard: &str) -> io::Result<Option<File>> {
        match open_dir(&self.file, shard) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) if e.kind() == ErrorKind::NotADirectory && self.is_symlink(shard) => Err(
                io::Error::other("it is a symbolic link, which flatfs does not follow"),
            ),
            found => found.map(Some),
        }
    }

    fn is_symlink(&self, name: &str) -> bool {
        statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    /// Whether the directory is in order.
    pub(super) fn check(&self) -> Result<()> {
        let unwell = |message: &str, e| failed(Operation::Health, None, message, e);
        statat(&self.file, TEMP, AtFlags::empty()).map_err(|e| {
            let message = "the directory for temporary files cannot be found";
            unwell(message, e.into())
        })?;
        check_in_place(&self.file, &self.path)
    }

    /// For error messages: what could not be done with a shard's directory.
    pub(super) fn shard_message(&self, shard: &str, cannot: &str) -> String {
        format!(
            "the directory {} cannot be {cannot}",
            self.path.join(shard).display()
        )
    }
}

/// The name of a key's file in its shard.
pub(super) fn file_name(key: &Key) -> String {
    format!("{key}{EXTENSION}")
}
