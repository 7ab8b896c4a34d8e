//! One put, from its received body to its answer.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use rustix::fs::fstat;
use storehouse_engine::files::{Cancellation, Clock, Temp, etag, put_failed, write_attributes};
use storehouse_objectstore::{
    Attributes, Durability, ETag, Error, Key, PutMode, PutResult, Result,
};

use super::super::running::Running;
use super::teller::{Change, Due};

/// A put. It keeps the directory's lock until it is answered.
pub(crate) struct Put {
    pub(crate) key: Key,
    pub(crate) mode: PutMode,
    pub(crate) durability: Durability,
    pub(crate) cancellation: Cancellation,
    pub(crate) state: PutState,
    pub(crate) running: Arc<Running>,
    /// Once the file has its name.
    pub(super) due: Option<Due>,
}

/// How far a put has come.
pub(crate) enum PutState {
    /// The body is in memory; there is no file yet.
    Received(Vec<Bytes>, Attributes),
    /// The file is written.
    Written(NewFile),
    /// The file has its name in this directory, which is still to be synced.
    Named(ETag, String),
    /// An object exists in this directory that was not to be there; it must be durable before the
    /// caller relies on it.
    Occupied(String),
    /// It is over.
    Done(Result<PutResult>),
    /// The caller is gone.
    Cancelled,
}

/// A whole file that needs a name, and the tag that it will have.
pub(crate) struct NewFile {
    pub(super) temp: Temp,
    pub(super) etag: ETag,
    pub(super) synced: bool,
}

impl NewFile {
    /// Gives a file whose bytes are all written its attributes, and its modification time, which
    /// its tag needs.
    pub(crate) fn new(temp: Temp, attributes: &Attributes, clock: &Clock) -> io::Result<Self> {
        write_attributes(temp.file(), attributes)?;
        clock.stamp(temp.file())?;
        let etag = etag(&fstat(temp.file())?);
        Ok(Self {
            temp,
            etag,
            synced: false,
        })
    }

    /// The same, synced if the put is to be durable. Blocks.
    pub(crate) fn synced(mut self, durability: Durability) -> io::Result<Self> {
        if durability == Durability::Durable {
            self.temp.sync()?;
            self.synced = true;
        }
        Ok(self)
    }
}

impl Put {
    pub(crate) fn new(
        key: Key,
        mode: PutMode,
        durability: Durability,
        cancellation: Cancellation,
        state: PutState,
        running: Arc<Running>,
    ) -> Self {
        Self {
            key,
            mode,
            durability,
            cancellation,
            state,
            running,
            due: None,
        }
    }

    /// How many bytes of its body are in memory.
    pub(crate) fn bytes_in_memory(&self) -> usize {
        match &self.state {
            PutState::Received(body, _) => body.iter().map(Bytes::len).sum(),
            _ => 0,
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.durability == Durability::Durable
    }

    /// Its file, if that is to be synced still.
    pub(super) fn unsynced(&mut self) -> Option<&mut NewFile> {
        let durable = self.is_durable();
        match &mut self.state {
            PutState::Written(file) if durable && !file.synced => Some(file),
            _ => None,
        }
    }

    /// What the put left in its place.
    pub(super) fn change(&self) -> Change<'_> {
        match &self.state {
            PutState::Named(etag, _) => Change::Put(etag),
            _ => Change::Unknown,
        }
    }

    /// The directory that the answer relies on, once the file has its name.
    pub(super) fn relies_on(&self) -> Option<&str> {
        match &self.state {
            PutState::Named(_, dir) | PutState::Occupied(dir) if self.is_durable() => Some(dir),
            _ => None,
        }
    }

    /// Ends it. What has no name yet is removed.
    pub(super) fn finish(&mut self, result: Result<PutResult>) {
        self.state = PutState::Done(result);
    }

    pub(super) fn fail(&mut self, message: &str, source: io::Error) {
        self.finish(Err(put_failed(&self.key, message, source)));
    }

    /// Its answer. Gives the lock up.
    pub(super) fn into_result(self) -> Result<PutResult> {
        match self.state {
            PutState::Done(result) => result,
            PutState::Named(etag, _) => Ok(PutResult { etag }),
            PutState::Occupied(_) => Err(Error::AlreadyExists { key: self.key }),
            // No caller waits for this.
            PutState::Received(..) | PutState::Written(_) | PutState::Cancelled => Err(put_failed(
                &self.key,
                "the put was cancelled",
                io::ErrorKind::Interrupted.into(),
            )),
        }
    }
}
