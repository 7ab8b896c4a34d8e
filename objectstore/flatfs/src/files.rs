//! What reading and writing share: the open directory, and work off the async threads.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::buffers::Buffers;
use super::kept::Kept;
use super::sys::Sys;
use super::together::Streams;
use storehouse_objectstore::{Error, ErrorClass, Key, Operation, Result};

/// The open directory. Bodies and listings keep it, and not the lock: that goes with the store.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) dir: File,
    pub(super) sys: Arc<dyn Sys>,
    pub(super) buffers: Buffers,
    pub(super) kept: Kept,
    pub(super) streams: Streams,
}

impl Files {
    pub(super) fn new(dir: File, sys: Arc<dyn Sys>) -> Self {
        let kept = sys
            .tells_of_changes(&dir)
            .map_or_else(Kept::default, Kept::new);
        Self {
            dir,
            sys,
            buffers: Buffers::default(),
            kept,
            streams: Streams::default(),
        }
    }

    /// The store's directory, opened once more: for listing it, and for syncing its file system
    /// with an error count of its own.
    pub(super) fn reopen(&self) -> io::Result<File> {
        open_dir(&self.dir, ".")
    }

    /// Opens a shard; `None` if there is none.
    pub(super) fn open_shard(&self, shard: &str) -> io::Result<Option<File>> {
        match open_dir(&self.dir, shard) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            found => found.map(Some),
        }
    }
}

fn open_dir(parent: &File, name: &str) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::empty())?))
}

/// Removes a file; `false` if there was none.
pub(super) fn unlink(dir: &File, name: &str) -> io::Result<bool> {
    match unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e.into()),
    }
}

/// Runs `work` on the blocking pool. If the runtime shuts down meanwhile, that is an error, not a
/// panic.
pub(super) async fn off_thread<T: Send + 'static>(
    operation: Operation,
    key: Option<&Key>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(failed(
            operation,
            key,
            "the work was cut off",
            io::Error::other(e),
        )),
    }
}

/// An error of the file system. Being out of file handles passes.
pub(super) fn failed(
    operation: Operation,
    key: Option<&Key>,
    message: &str,
    source: io::Error,
) -> Error {
    let out_of_handles = [Errno::MFILE, Errno::NFILE]
        .iter()
        .any(|e| source.raw_os_error() == Some(e.raw_os_error()));
    let mut error = Error::io(operation, key, message, source);
    if let (true, Error::Backend { class, .. }) = (out_of_handles, &mut error) {
        *class = ErrorClass::Transient;
    }
    error
}

/// The same error for one more caller.
pub(super) fn again(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(
        || io::Error::new(error.kind(), error.to_string()),
        io::Error::from_raw_os_error,
    )
}
