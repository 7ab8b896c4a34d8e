//! Get and head: one open, and everything from that one file; for a short read again and again, not
//! even that (see `kept`).
//!
//! What lies in the kernel's cache is read right where it is asked for: a 4 KiB range takes some 2
//! µs, and a hop to the blocking pool many times that. The kernel is told to refuse rather than to
//! wait for a disk, and only then a blocking task does the work.

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::{Stat, fstat};

use super::files::{Files, failed, off_thread};
use super::kept::Vacancy;
use super::pieces::Pieces;
use super::stamp;
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, Key, Metadata, Object, Operation, Result,
};

/// The longest range, in bytes (inclusive), that is read before `get` returns: one piece of a body
/// otherwise.
const EAGER: u64 = 64 * 1024;

/// Whether a call may wait for a disk.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Refused,
    Allowed,
}

impl Files {
    pub(super) async fn get(
        self: &Arc<Self>,
        key: &Key,
        path: String,
        options: GetOptions,
    ) -> Result<Object> {
        let (files, owned) = (Arc::clone(self), key.clone());
        off_thread(Operation::Get, Some(key), move || {
            // Nothing would wait that is allowed to.
            files
                .try_get(&owned, &path, &options, Waiting::Allowed, Vacancy::none())
                .unwrap_or_else(|| Err(Error::not_found(Operation::Get, &owned)))
        })
        .await
    }

    /// The same from a file that is open already, without waiting, if a short read is all that is
    /// asked for.
    pub(super) fn get_kept(
        &self,
        key: &Key,
        options: &GetOptions,
    ) -> Result<Result<Object>, Vacancy> {
        let kept = self.kept.find(key)?;
        let described = options
            .check_conditions(key, &kept.metadata.etag)
            .and_then(|()| options.resolve_range(key, kept.metadata.size));
        let range = match described {
            Ok(range) => range,
            Err(e) => return Ok(Err(e)),
        };
        let len = range.end - range.start;
        let read = if len <= EAGER {
            self.read_all(key, &kept.file, range.start, len as usize, Waiting::Refused)
        } else {
            None
        };
        let object = |bytes| Object {
            metadata: kept.metadata.clone(),
            range,
            body: Body::from(bytes),
        };
        // It is kept already, so it needs no place.
        read.map(|read| read.map(object)).ok_or_else(Vacancy::none)
    }

    /// The same without waiting; `None` if it would have to. The file may be kept for the next
    /// short read.
    pub(super) fn get_cached(
        self: &Arc<Self>,
        key: &Key,
        path: &str,
        options: &GetOptions,
        vacancy: Vacancy,
    ) -> Option<Result<Object>> {
        self.try_get(key, path, options, Waiting::Refused, vacancy)
    }

    pub(super) async fn head(self: &Arc<Self>, key: &Key, path: String) -> Result<Metadata> {
        let (files, owned) = (Arc::clone(self), key.clone());
        off_thread(Operation::Head, Some(key), move || {
            let file = files
                .sys
                .open(&files.dir, &path)
                .map_err(|e| open_failed(Operation::Head, &owned, e))?;
            Ok(stamp::metadata(&describe(Operation::Head, &owned, &file)?))
        })
        .await
    }

    /// The same without waiting; `None` if it would have to.
    pub(super) fn head_cached(&self, key: &Key, path: &str) -> Option<Result<Metadata>> {
        let opened = self.sys.open_cached(&self.dir, path)?;
        Some(
            opened
                .map_err(|e| open_failed(Operation::Head, key, e))
                .and_then(|file| Ok(stamp::metadata(&describe(Operation::Head, key, &file)?))),
        )
    }

    fn try_get(
        self: &Arc<Self>,
        key: &Key,
        path: &str,
        options: &GetOptions,
        waiting: Waiting,
        vacancy: Vacancy,
    ) -> Option<Result<Object>> {
        let opened = match waiting {
            Waiting::Refused => self.sys.open_cached(&self.dir, path)?,
            Waiting::Allowed => self.sys.open(&self.dir, path),
        };
        let described = opened
            .map_err(|e| open_failed(Operation::Get, key, e))
            .and_then(|file| {
                let stat = describe(Operation::Get, key, &file)?;
                let metadata = stamp::metadata(&stat);
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
            match self.read_all(key, &file, range.start, len as usize, waiting)? {
                Ok(bytes) => {
                    self.kept.keep(vacancy, key, file, &stat, &metadata);
                    Body::from(bytes)
                }
                Err(e) => return Some(Err(e)),
            }
        } else {
            Body::from_stream(Pieces::new(
                Arc::clone(self),
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

    fn read_all(
        &self,
        key: &Key,
        file: &File,
        offset: u64,
        len: usize,
        waiting: Waiting,
    ) -> Option<Result<Bytes>> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let (rest, at) = (&mut bytes[filled..], offset + filled as u64);
            let read = match waiting {
                Waiting::Refused => self.sys.read_cached(file, rest, at)?,
                Waiting::Allowed => self.sys.read(file, rest, at),
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
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
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
}

/// What the system says of an object's file.
fn describe(operation: Operation, key: &Key, file: &File) -> Result<Stat> {
    let stat = fstat(file).map_err(|e| {
        failed(
            operation,
            Some(key),
            "the file cannot be described",
            e.into(),
        )
    })?;
    if !stamp::is_object(&stat) {
        return Err(not_a_file(operation, key));
    }
    Ok(stat)
}

fn open_failed(operation: Operation, key: &Key, source: std::io::Error) -> Error {
    use rustix::io::Errno;
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => Error::not_found(operation, key),
        // A symbolic link; a socket.
        Some(Errno::LOOP | Errno::NXIO) => not_a_file(operation, key),
        _ => failed(operation, Some(key), "the file cannot be opened", source),
    }
}

fn not_a_file(operation: Operation, key: &Key) -> Error {
    let message = "what lies in the object's place is no regular file".to_owned();
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message,
        source: None,
    }
}
