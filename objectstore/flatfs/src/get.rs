//! Get and head: one open, and everything from that one file; for repeated short reads not even
//! that (see [`FileReader`](storehouse_engine::files::FileReader)).

use std::io;
use std::sync::Arc;

use rustix::io::Errno;
use storehouse_engine::files::{Blocking, Vacancy, describe, failed, metadata, not_a_file};
use storehouse_engine::off_thread;
use storehouse_objectstore::{Error, GetOptions, Key, Metadata, Object, Operation, Result};

use super::directory::Directory;
use super::shard;

impl Directory {
    /// The object, if it can be had without waiting, else the path to wait for.
    pub(super) fn get_cached(
        self: &Arc<Self>,
        key: &Key,
        options: &GetOptions,
    ) -> Result<Result<Object>, String> {
        let vacancy = match self.reader.get_by_handle(key, options) {
            Ok(result) => return Ok(result),
            Err(vacancy) => vacancy,
        };
        if shard::flaw(key.as_str()).is_some() {
            return Ok(Err(Error::not_found(Operation::Get, key)));
        }
        let path = self.path_of(key.as_str());
        let found = self.try_get(key, &path, options, Blocking::Refused, vacancy);
        found.ok_or(path)
    }

    pub(super) async fn get(
        self: &Arc<Self>,
        key: &Key,
        path: String,
        options: GetOptions,
    ) -> Result<Object> {
        let (directory, key) = (Arc::clone(self), key.clone());
        off_thread(Operation::Get, move || {
            // Always there, since it may block.
            directory
                .try_get(&key, &path, &options, Blocking::Allowed, Vacancy::none())
                .unwrap_or_else(|| Err(Error::not_found(Operation::Get, &key)))
        })
        .await
    }

    /// The object's metadata, if it can be had without waiting, else the path to wait for.
    pub(super) fn head_cached(&self, key: &Key) -> Result<Result<Metadata>, String> {
        if shard::flaw(key.as_str()).is_some() {
            return Ok(Err(Error::not_found(Operation::Head, key)));
        }
        let path = self.path_of(key.as_str());
        match self.sys.open_cached(&self.file, &path) {
            Some(opened) => Ok(opened
                .map_err(|e| self.open_failed(Operation::Head, key, e))
                .and_then(|file| Ok(metadata(&describe(Operation::Head, key, &file)?)))),
            None => Err(path),
        }
    }

    pub(super) async fn head(self: &Arc<Self>, key: &Key, path: String) -> Result<Metadata> {
        let (directory, key) = (Arc::clone(self), key.clone());
        off_thread(Operation::Head, move || {
            let opened = directory.sys.open(&directory.file, &path);
            let file = opened.map_err(|e| directory.open_failed(Operation::Head, &key, e))?;
            Ok(metadata(&describe(Operation::Head, &key, &file)?))
        })
        .await
    }

    fn try_get(
        &self,
        key: &Key,
        path: &str,
        options: &GetOptions,
        blocking: Blocking,
        vacancy: Vacancy,
    ) -> Option<Result<Object>> {
        let opened = match blocking {
            Blocking::Refused => self.sys.open_cached(&self.file, path)?,
            Blocking::Allowed => self.sys.open(&self.file, path),
        };
        match opened {
            Ok(file) => self.reader.get(key, file, options, blocking, vacancy),
            Err(e) => Some(Err(self.open_failed(Operation::Get, key, e))),
        }
    }

    fn open_failed(&self, operation: Operation, key: &Key, source: io::Error) -> Error {
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOENT) => Error::not_found(operation, key),
            // A symbolic link; a socket.
            Some(Errno::LOOP | Errno::NXIO) => not_a_file(operation, key),
            _ => {
                let path = self.path.join(self.path_of(key.as_str()));
                let message = format!("the file {} cannot be opened", path.display());
                failed(operation, Some(key), &message, source)
            }
        }
    }
}
