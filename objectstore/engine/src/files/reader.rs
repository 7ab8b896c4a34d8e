//! Reading an object from its file.
//!
//! What is in the page cache is read on the spot: a 4 KiB range takes some 2 µs, and a hop to the
//! blocking pool many times that. The kernel is told to refuse rather than to wait for a disk, and
//! only then a blocking task does the work.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustix::fs::{Stat, fstat};
use storehouse_objectstore::{
    Body, ByteRange, Error, ErrorClass, GetOptions, Key, Metadata, Object, ObjectRanges, Operation,
    Result, fallback,
};

use super::attributes::read_attributes;
use super::buffers::Buffers;
use super::error::failed;
use super::handle_cache::{HandleCache, Vacancy};
use super::stream::ReadStream;
use super::sys::Sys;
use super::version;

/// The longest range, in bytes (inclusive), that is read before `get` returns. Longer ones are
/// streamed.
const EAGER: u64 = 64 * 1024;

/// Ranges with at most this number of bytes between them are read as one.
const GAP: u64 = 16 * 1024;

/// Whether a call may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocking {
    /// It fails instead.
    Refused,
    /// It may: it runs on the blocking pool.
    Allowed,
}

/// Reads objects from files, with what all of a store's reads share.
///
/// ```
/// use std::fs::File;
/// use std::time::Duration;
/// use storehouse_engine::files::{Blocking, FileReader, SystemCalls, Vacancy, pick};
/// use storehouse_objectstore::{GetOptions, Key, Operation};
///
/// # let dir = tempfile::tempdir()?;
/// let (path, key) = (dir.path().join("a"), Key::new("a")?);
/// std::fs::write(&path, "0123456789")?;
/// let root = File::open(dir.path())?;
/// let sys = pick(SystemCalls::Native);
/// let reader = FileReader::new(sys, &root, 16, Duration::from_secs(2)).with_attributes(true);
///
/// let file = File::open(&path)?;
/// let (_, metadata) = reader.metadata(Operation::Head, &key, &file)?;
/// assert_eq!(metadata.size, 10);
/// let ranges = reader.get_ranges(&key, &file, &[(2..4).into()], &GetOptions::default())?;
/// assert_eq!(ranges.parts, ["23"]);
///
/// // A get asks for a handle first; without one it opens the file.
/// let part = GetOptions::default().range(2..5);
/// let vacancy: Vacancy = reader.get_by_handle(&key, &part).unwrap_err();
/// let got = reader.get(&key, file, &part, Blocking::Allowed, vacancy).expect("it may wait")?;
/// assert_eq!((got.range, got.body.as_bytes().unwrap()), (2..5, &"234".into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileReader {
    sys: Arc<dyn Sys>,
    buffers: Buffers,
    /// Whether files may have attributes.
    attributes: bool,
    /// Open files kept for further short reads.
    pub handles: HandleCache,
}

impl FileReader {
    /// A reader of files below the directory `dir`, which keeps at most `cached_handles` files open
    /// whose last change is at least `handle_age` old.
    pub fn new(sys: Arc<dyn Sys>, dir: &File, cached_handles: usize, handle_age: Duration) -> Self {
        let handles = if sys.shows_changes(dir) {
            HandleCache::new(cached_handles, handle_age)
        } else {
            HandleCache::default()
        };
        Self {
            sys,
            buffers: Buffers::default(),
            attributes: false,
            handles,
        }
    }

    /// The same reader, which gives the [attributes](super::read_attributes) of files, too.
    #[must_use]
    pub fn with_attributes(mut self, attributes: bool) -> Self {
        self.attributes = attributes;
        self
    }

    /// The state of an object's file, and its metadata.
    ///
    /// # Errors
    /// As [`describe`]; [`Error::Backend`] if its attributes cannot be read.
    pub fn metadata(
        &self,
        operation: Operation,
        key: &Key,
        file: &File,
    ) -> Result<(Stat, Metadata)> {
        let stat = describe(operation, key, file)?;
        let metadata = version::metadata(&stat);
        if !self.attributes {
            return Ok((stat, metadata));
        }
        let attributes = read_attributes(file)
            .map_err(|e| failed(operation, Some(key), "the attributes cannot be read", e))?;
        Ok((stat, metadata.attributes(attributes)))
    }

    /// Ranges of the object in an open file; those that lie close together are read as one. Blocks.
    ///
    /// # Errors
    /// As [`ObjectStore::get_ranges_opts`](storehouse_objectstore::ObjectStore::get_ranges_opts).
    pub fn get_ranges(
        &self,
        key: &Key,
        file: &File,
        ranges: &[ByteRange],
        options: &GetOptions,
    ) -> Result<ObjectRanges> {
        let (_, metadata) = self.metadata(Operation::Get, key, file)?;
        options.check_conditions(key, &metadata.etag)?;
        let resolved = fallback::resolve_all(key, ranges, metadata.size)?;
        let reads = fallback::coalesce(&resolved, GAP);
        let read = |read: &Range<u64>| {
            let len = usize::try_from(read.end - read.start).map_err(|_| Error::CollectLimit {
                limit: usize::MAX as u64,
            })?;
            let bytes = self.read_range(key, file, read.start, len, Blocking::Allowed);
            // Always there, since it may block.
            bytes.unwrap_or_else(|| Ok(Bytes::new()))
        };
        let fetched: Vec<Bytes> = reads.iter().map(read).collect::<Result<_>>()?;
        Ok(ObjectRanges {
            parts: fallback::cut(&resolved, &reads, &fetched),
            metadata,
        })
    }

    /// A short range from a file that is open already, without waiting.
    ///
    /// # Errors
    /// The outer error is a place for the handle of the file that the caller opens instead.
    pub fn get_by_handle(
        &self,
        key: &Key,
        options: &GetOptions,
    ) -> Result<Result<Object>, Vacancy> {
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

    /// The object in an open file; `None` if that would wait and must not.
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`](storehouse_objectstore::ObjectStore::get_opts), without not
    /// found.
    pub fn get(
        &self,
        key: &Key,
        file: File,
        options: &GetOptions,
        blocking: Blocking,
        vacancy: Vacancy,
    ) -> Option<Result<Object>> {
        let described = (|| {
            let (stat, metadata) = self.metadata(Operation::Get, key, &file)?;
            options.check_conditions(key, &metadata.etag)?;
            let range = options.resolve_range(key, metadata.size)?;
            Ok((stat, metadata, range))
        })();
        let (stat, metadata, range) = match described {
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
                        source: None,
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
}

/// The state of an object's file.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::{describe, is_object};
/// use storehouse_objectstore::{Key, Operation};
///
/// let (dir, key) = (tempfile::tempdir()?, Key::new("a")?);
/// let path = dir.path().join("a");
/// std::fs::write(&path, "hello")?;
/// let stat = describe(Operation::Get, &key, &File::open(&path)?)?;
/// assert!(is_object(&stat) && stat.st_size == 5);
/// assert!(describe(Operation::Get, &key, &File::open(dir.path())?).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Backend`], also if it is no regular file.
pub fn describe(operation: Operation, key: &Key, file: &File) -> Result<Stat> {
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

/// The error of an object in whose place something else is.
///
/// ```
/// use storehouse_engine::files::not_a_file;
/// use storehouse_objectstore::{ErrorClass, Key, Operation};
///
/// let error = not_a_file(Operation::Get, &Key::new("a")?);
/// assert_eq!(error.class(), ErrorClass::Fatal);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
pub fn not_a_file(operation: Operation, key: &Key) -> Error {
    let message = "what is in the object's place is no regular file".to_owned();
    Error::Backend {
        operation,
        key: Some(key.clone()),
        class: ErrorClass::Fatal,
        message,
        source: None,
    }
}
