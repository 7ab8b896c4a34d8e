//! Get and head: one open, and everything from that one file; for repeated short reads not even
//! that (see `read::HandleCache`).
//!
//! What is in the page cache is read on the spot: a 4 KiB range takes some 2 µs, and a hop to the
//! blocking pool many times that. The kernel is told to refuse rather than to wait for a disk, and
//! only then a blocking task does the work.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Stat, fstat};
use rustix::io::Errno;
use storehouse_engine::off_thread;
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, Key, Metadata, Object, Operation, Result,
};

use super::directory::Directory;
use super::error::failed;
use super::read::{ReadStream, Vacancy};
use super::shard;
use super::version;

/// The longest range, in bytes (inclusive), that is read before `get` returns. Longer ones are
/// streamed.
const EAGER: u64 = 64 * 1024;

/// Whether a call may wait for a disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocking {
    Refused,
    Allowed,
}

impl Directory {
    /// The object, if it can be had without waiting, else the path to wait for.
    pub(super) fn get_cached(
        self: &Arc<Self>,
        key: &Key,
        options: &GetOptions,
    ) -> Result<Result<Object>, String> {
        let vacancy = match self.get_by_handle(key, options) {
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
                .and_then(|file| Ok(version::metadata(&describe(Operation::Head, key, &file)?)))),
            None => Err(path),
        }
    }

    pub(super) async fn head(self: &Arc<Self>, key: &Key, path: String) -> Result<Metadata> {
        let (directory, key) = (Arc::clone(self), key.clone());
        off_thread(Operation::Head, move || {
            let opened = directory.sys.open(&directory.file, &path);
            let file = opened.map_err(|e| directory.open_failed(Operation::Head, &key, e))?;
            Ok(version::metadata(&describe(Operation::Head, &key, &file)?))
        })
        .await
    }

    /// A short range from a file that is open already, without waiting.
    fn get_by_handle(&self, key: &Key, options: &GetOptions) -> Result<Result<Object>, Vacancy> {
        let handle = self.handles.find(key)?;
        let described = options
            .check_conditions(key, &handle.metadata.etag)
            .and_then(|()| options.resolve_range(key, handle.metadata.size));
        let range = match described {
            Ok(range) => range,
            Err(e) => return Ok(Err(e)),
        };
        let len = range.end - range.start;
        let read = if len <= EAGER {
            self.read_range(
                key,
                &handle.file,
                range.start,
                len as usize,
                Blocking::Refused,
            )
        } else {
            None
        };
        let object = |bytes| Object {
            metadata: handle.metadata.clone(),
            range,
            body: Body::from(bytes),
        };
        // It is cached already, so it needs no place.
        read.map(|read| read.map(object)).ok_or_else(Vacancy::none)
    }

    fn try_get(
        self: &Arc<Self>,
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
        let described = opened
            .map_err(|e| self.open_failed(Operation::Get, key, e))
            .and_then(|file| {
                let stat = describe(Operation::Get, key, &file)?;
                let metadata = version::metadata(&stat);
                options.check_conditions(key, &metadata.etag)?;
                let range = options.resolve_range(key, metadata.size)?;
                Ok((file, stat, metadata, range))
            });
        let (file, stat, metadata, range) = match described {
            Ok(described) => described,
            Err(e) => return Some(Err(e)),
        };
        let len = range.end - range.start;
        let body = if len <= EAGER {
            match self.read_range(key, &file, range.start, len as usize, blocking)? {
                Ok(bytes) => {
                    self.handles.insert(vacancy, key, file, &stat, &metadata);
                    Body::from(bytes)
                }
                Err(e) => return Some(Err(e)),
            }
        } else {
            Body::from_stream(ReadStream::new(
                Arc::clone(&self.sys),
                self.buffers.clone(),
                key.clone(),
                file,
                range.clone(),
            ))
            .with_size(len)
        };
        Some(Ok(Object {
            metadata,
            range,
            body,
        }))
    }

    fn read_range(
        &self,
        key: &Key,
        file: &File,
        offset: u64,
        len: usize,
        blocking: Blocking,
    ) -> Option<Result<Bytes>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let (rest, at) = (&mut bytes[filled..], offset + filled as u64);
            let read = match blocking {
                Blocking::Refused => self.sys.read_cached(file, rest, at)?,
                Blocking::Allowed => self.sys.read(file, rest, at),
            };
            match read {
                Ok(0) => {
                    return Some(Err(Error::Truncated {
                        key: key.clone(),
                        expected: len as u64,
                        received: filled as u64,
                    }));
                }
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    return Some(Err(failed(
                        Operation::Get,
                        Some(key),
                        "the file cannot be read",
                        e,
                    )));
                }
            }
        }
        Some(Ok(bytes.into()))
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

/// The state of an object's file.
fn describe(operation: Operation, key: &Key, file: &File) -> Result<Stat> {
    let stat = fstat(file).map_err(|e| {
        failed(
            operation,
            Some(key),
            "the file cannot be described",
            e.into(),
        )
    })?;
    if !version::is_object(&stat) {
        return Err(not_a_file(operation, key));
    }
    Ok(stat)
}

fn not_a_file(operation: Operation, key: &Key) -> Error {
    let message = "what is in the object's place is no regular file".to_owned();
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message,
        source: None,
    }
}
