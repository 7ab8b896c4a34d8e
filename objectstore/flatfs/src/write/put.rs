//! One put, from its received body to its answer.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fd::OwnedFd;
use rustix::fs::fstat;
use storehouse_engine::files::{Cancellation, Clock, Temp, etag, put_failed};
use storehouse_objectstore::{Durability, ETag, Error, Key, PutMode, PutResult, Result};

use super::super::store_lock::StoreLock;

/// A put. It keeps the directory's lock until it is answered.
pub(crate) struct Put {
    pub(crate) key: Key,
    pub(crate) mode: PutMode,
    pub(crate) durability: Durability,
    pub(crate) cancellation: Cancellation,
    pub(crate) state: PutState,
    /// Where its file belongs, while it is being published.
    pub(super) place: Option<Place>,
    /// Whether the caller relies on a record in the log.
    pub(super) recorded: bool,
    pub(crate) lock: Arc<StoreLock>,
}

/// How far a put has come.
pub(crate) enum PutState {
    /// The body is in memory; there is no file yet.
    Received(Vec<Bytes>),
    /// The file is written.
    Written(NewFile),
    /// The file's bytes are appended to the log; it gets its name once the log is synced.
    Recorded(NewFile),
    /// The file has its name; its directory is still to be synced.
    Named(ETag),
    /// An object exists that was not to be there; it must be durable before the caller relies on
    /// it.
    Occupied,
    /// It is over.
    Done(Result<PutResult>),
    /// The caller is gone.
    Cancelled,
}

/// A whole file that needs a name, and the tag that it will have.
pub(crate) struct NewFile {
    pub(super) temp: Temp,
    pub(super) etag: ETag,
    /// Its modification time, in ns since 1970.
    pub(super) nanos: u64,
    /// Its bytes, if there are few enough for the log.
    pub(super) body: Option<Vec<Bytes>>,
    pub(super) synced: bool,
}

/// Where an object's file belongs.
pub(super) struct Place {
    pub(super) shard: String,
    pub(super) dir: Arc<File>,
    pub(super) name: String,
    /// The file that is there, held so that its blocks are freed after its name changes, outside
    /// the lock of names.
    pub(super) _old: Option<OwnedFd>,
}

impl NewFile {
    /// Gives a file whose bytes are all written its modification time, which its tag needs.
    pub(crate) fn new(temp: Temp, body: Option<Vec<Bytes>>, clock: &Clock) -> io::Result<Self> {
        let nanos = clock.stamp(temp.file())?;
        let etag = etag(&fstat(temp.file())?);
        Ok(Self {
            temp,
            etag,
            nanos,
            body,
            synced: false,
        })
    }

    /// The same, synced if the put is to be durable. Blocks.
    pub(crate) fn synced(mut self, durability: Durability) -> io::Result<Self> {
        if durability == Durability::Durable {
            self.sync()?;
        }
        Ok(self)
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.temp.sync()?;
        self.synced = true;
        Ok(())
    }
}

impl Put {
    pub(crate) fn new(
        key: Key,
        mode: PutMode,
        durability: Durability,
        cancellation: Cancellation,
        state: PutState,
        lock: Arc<StoreLock>,
    ) -> Self {
        Self {
            key,
            mode,
            durability,
            cancellation,
            state,
            place: None,
            recorded: false,
            lock,
        }
    }

    /// How many bytes of its body are in memory.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        let body = match &self.state {
            PutState::Received(body) => Some(body),
            PutState::Written(file) => file.body.as_ref(),
            _ => None,
        };
        body.into_iter().flatten().map(Bytes::len).sum()
    }

    /// Its file, if it is written and not published yet.
    pub(super) fn written(&self) -> Option<&NewFile> {
        match &self.state {
            PutState::Written(file) => Some(file),
            _ => None,
        }
    }

    pub(super) fn written_mut(&mut self) -> Option<&mut NewFile> {
        match &mut self.state {
            PutState::Written(file) => Some(file),
            _ => None,
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durability == Durability::Durable
    }

    /// Whether it is written, but only the log could make it durable as it is.
    pub(super) fn is_unsynced(&self) -> bool {
        self.is_durable() && self.written().is_some_and(|file| !file.synced)
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.state, PutState::Done(_) | PutState::Cancelled)
    }

    /// Ends it. What has no name yet is removed.
    pub(super) fn finish(&mut self, result: Result<PutResult>) {
        self.state = PutState::Done(result);
    }

    pub(super) fn fail(&mut self, message: &str, source: io::Error) {
        self.finish(Err(put_failed(&self.key, message, source)));
    }

    /// Ends it with [`Error::AlreadyExists`].
    pub(super) fn refuse(&mut self) {
        let key = self.key.clone();
        self.finish(Err(Error::AlreadyExists { key }));
    }

    /// Ends one that has its name, or that found an object in its place.
    pub(super) fn conclude(&mut self) {
        match &self.state {
            PutState::Named(etag) => {
                let etag = etag.clone();
                self.finish(Ok(PutResult { etag }));
            }
            PutState::Occupied => self.refuse(),
            _ => {}
        }
    }

    /// Its answer. Gives the lock up.
    pub(super) fn into_result(self) -> Result<PutResult> {
        match self.state {
            PutState::Done(result) => result,
            // No caller waits for this.
            _ => Err(put_failed(
                &self.key,
                "the put was cancelled",
                io::ErrorKind::Interrupted.into(),
            )),
        }
    }
}
