//! Get and head: the plain path first, then the one beside a directory. An object moves from the
//! first to the second and never back, so a reader that looks in this order misses none.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::fstat;
use rustix::io::Errno;
use storehouse_engine::files::{Blocking, Vacancy, failed, not_a_file};
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    ByteRange, Error, GetOptions, Key, Metadata, Object, ObjectRanges, Operation, Result,
};

use super::directory::{Directory, is_dir};
use super::escape;

impl Directory {
    /// The object, if it can be had without waiting.
    pub(super) fn get_cached(&self, key: &Key, options: &GetOptions) -> Option<Result<Object>> {
        match self.reader.get_by_handle(key, options) {
            Ok(result) => Some(result),
            Err(vacancy) => self.try_get(key, options, Blocking::Refused, vacancy),
        }
    }

    pub(super) async fn get(self: &Arc<Self>, key: &Key, options: GetOptions) -> Result<Object> {
        let (directory, key) = (Arc::clone(self), key.clone());
        off_thread(Operation::Get, move || {
            // Always there, since it may block.
            directory
                .try_get(&key, &options, Blocking::Allowed, Vacancy::none())
                .unwrap_or_else(|| Err(Error::not_found(Operation::Get, &key)))
        })
        .await
    }

    fn try_get(
        &self,
        key: &Key,
        options: &GetOptions,
        blocking: Blocking,
        vacancy: Vacancy,
    ) -> Option<Result<Object>> {
        match self.open_object(Operation::Get, key, blocking)? {
            Ok(file) => self.reader.get(key, file, options, blocking, vacancy),
            Err(e) => Some(Err(e)),
        }
    }

    /// The object's metadata, if it can be had without waiting.
    pub(super) fn head_cached(&self, key: &Key) -> Option<Result<Metadata>> {
        self.try_head(key, Blocking::Refused)
    }

    pub(super) async fn head(self: &Arc<Self>, key: &Key) -> Result<Metadata> {
        let (directory, key) = (Arc::clone(self), key.clone());
        off_thread(Operation::Head, move || {
            directory
                .try_head(&key, Blocking::Allowed)
                .unwrap_or_else(|| Err(Error::not_found(Operation::Head, &key)))
        })
        .await
    }

    pub(super) async fn get_ranges(
        self: &Arc<Self>,
        key: &Key,
        ranges: &[ByteRange],
        options: GetOptions,
    ) -> Result<ObjectRanges> {
        options.check_no_range(key)?;
        let (directory, key, ranges) = (Arc::clone(self), key.clone(), ranges.to_vec());
        off_thread(Operation::Get, move || {
            match directory.open_object(Operation::Get, &key, Blocking::Allowed) {
                Some(file) => directory.reader.get_ranges(&key, &file?, &ranges, &options),
                None => Err(Error::not_found(Operation::Get, &key)),
            }
        })
        .await
    }

    fn try_head(&self, key: &Key, blocking: Blocking) -> Option<Result<Metadata>> {
        let file = self.open_object(Operation::Head, key, blocking)?;
        Some(file.and_then(|file| Ok(self.reader.metadata(Operation::Head, key, &file)?.1)))
    }

    /// Opens what is in the object's place; `None` if that would wait and must not.
    pub(super) fn open_object(
        &self,
        operation: Operation,
        key: &Key,
        blocking: Blocking,
    ) -> Option<Result<File>> {
        let path = escape::path(key.as_str());
        let found = match self.open_file(&path, blocking)? {
            Ok(None) => self.open_file(&escape::beside(&path), blocking)?,
            found => found,
        };
        Some(match found {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Error::not_found(operation, key)),
            Err(e) => Err(self.open_failed(operation, key, &path, e)),
        })
    }

    /// Opens what has this path, unless it is a directory or nothing.
    fn open_file(&self, path: &str, blocking: Blocking) -> Option<io::Result<Option<File>>> {
        let opened = match blocking {
            Blocking::Refused => self.sys.open_cached(&self.file, path)?,
            Blocking::Allowed => self.sys.open(&self.file, path),
        };
        Some(match opened {
            Ok(file) => fstat(&file)
                .map(|stat| (!is_dir(&stat)).then_some(file))
                .map_err(io::Error::from),
            Err(e) => match e.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOENT) => Ok(None),
                // A part of the path is a file, unless it is a symbolic link, which takes a look.
                Some(Errno::NOTDIR) if blocking == Blocking::Refused => return None,
                Some(Errno::NOTDIR) => self.refuse_link(path).map(|()| None),
                _ => Err(e),
            },
        })
    }

    fn open_failed(&self, operation: Operation, key: &Key, path: &str, source: io::Error) -> Error {
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            // A symbolic link; a socket.
            Some(Errno::LOOP | Errno::NXIO) => not_a_file(operation, key),
            _ => {
                let path = self.path.join(path);
                let message = format!("the file {} cannot be opened", path.display());
                failed(operation, Some(key), &message, source)
            }
        }
    }
}
