//! Group commit: puts that wait at the same time are made durable together.
//!
//! All files of a group are written first. Then the small ones go through the log: their bytes are
//! appended to it, it is synced, and each file is renamed into place. Where there is no log, the
//! files are synced, renamed, and the directories that changed are synced. While a group syncs, the
//! next one gathers.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use rustix::fs::fstat;
use tokio::sync::oneshot;

use super::changed::Changed;
use super::files::{again, failed};
use super::layout::Lock;
use super::stamp::{self, Clock};
use super::store::Store;
use super::sync::sync_all;
use super::temp::{self, Temp};
use storehouse_objectstore::{Durability, ETag, Error, Key, Operation, PutMode, PutResult, Result};

/// A put whose body has been received.
pub(super) struct Job {
    pub(super) key: Key,
    pub(super) mode: PutMode,
    pub(super) durability: Durability,
    pub(super) payload: Payload,
    pub(super) claimed: Claimed,
    pub(super) reply: oneshot::Sender<Result<PutResult>>,
    pub(super) lock: Arc<Lock>,
}

pub(super) enum Payload {
    /// Not written yet.
    Pieces(Vec<Bytes>),
    /// Written, and synced if it is to be durable.
    Written(Version),
}

/// A whole file that only needs its name, with the tag that it will have.
pub(super) struct Version {
    pub(super) temp: Temp,
    pub(super) etag: ETag,
    /// Its modification time, in ns since 1970.
    pub(super) nanos: u64,
}

impl Version {
    /// Stamps a file to which everything was written.
    pub(super) fn new(temp: Temp, clock: &Clock) -> io::Result<Self> {
        let nanos = clock.stamp(temp.file())?;
        let etag = stamp::etag(&fstat(temp.file())?);
        Ok(Self { temp, etag, nanos })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.temp.file().sync_all()
    }
}

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const CANCELLED: u8 = 2;

/// The caller's hold on its put: once this is dropped, the put does not become visible any more, or
/// it did (or does right now, under its key's lock) already.
pub(super) struct Claim(Arc<AtomicU8>);

/// The committer's side of it.
pub(super) struct Claimed(Arc<AtomicU8>);

impl Claim {
    pub(super) fn new() -> (Self, Claimed) {
        let state = Arc::new(AtomicU8::new(OPEN));
        (Self(Arc::clone(&state)), Claimed(state))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = self
            .0
            .compare_exchange(OPEN, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Claimed {
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELLED
    }

    /// Whether the caller still wants it; from here on it cannot change its mind.
    pub(super) fn take(&self) -> bool {
        self.0
            .compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// A put in its group, written.
pub(super) struct Member {
    pub(super) key: Key,
    pub(super) mode: PutMode,
    pub(super) durability: Durability,
    pub(super) claimed: Claimed,
    pub(super) version: Version,
    /// What was written, if it is short enough for the log.
    pub(super) pieces: Option<Vec<Bytes>>,
    /// Whether the file is synced.
    pub(super) synced: bool,
    reply: oneshot::Sender<Result<PutResult>>,
}

impl Member {
    pub(super) fn answer(self, result: Result<PutResult>) {
        // What was not renamed is removed before the caller hears of it.
        drop(self.version);
        // Nobody may be listening any more.
        let _ = self.reply.send(result);
    }

    pub(super) fn fail(self, message: &str, source: io::Error) {
        let error = put_failed(&self.key, message, source);
        self.answer(Err(error));
    }

    pub(super) fn done(&self) -> Result<PutResult> {
        Ok(PutResult {
            etag: self.version.etag.clone(),
        })
    }

    /// Whether only the log can make it durable as it is.
    pub(super) fn needs_log(&self) -> bool {
        self.durability == Durability::Durable && !self.synced
    }
}

impl Store {
    /// Takes a group of puts from written (or not even that) to visible and durable, and answers
    /// each. Blocks.
    pub(super) fn commit_group(&self, jobs: Vec<Job>) {
        let durable = jobs.iter().any(|job| job.durability == Durability::Durable);
        let log = if durable { self.log.ready() } else { Ok(true) };
        let all_logged = matches!(log, Ok(true))
            && jobs
                .iter()
                .all(|job| matches!(job.payload, Payload::Pieces(_)));
        // Before the first byte of the group is written, so that no failure to write one is missed.
        let file_system = if all_logged {
            None
        } else {
            self.files.reopen().ok()
        };
        let (logged, mut changed) = (durable && matches!(log, Ok(true)), Changed::default());
        let mut members: Vec<Member> = jobs
            .into_iter()
            .filter_map(|job| self.write(job, logged.then_some(&mut changed)))
            .collect();
        match log {
            Ok(true) => {}
            Ok(false) => members = self.sync_members(members, file_system.as_ref()),
            Err(e) => {
                for member in members
                    .extract_if(.., |member| member.needs_log())
                    .collect::<Vec<_>>()
                {
                    member.fail("the log cannot be written", again(&e));
                }
            }
        }
        while !members.is_empty() {
            members = self.publish(members, &mut changed, file_system.as_ref());
        }
    }

    /// Syncs the files of those that are to be durable and are not synced yet.
    pub(super) fn sync_members(
        &self,
        members: Vec<Member>,
        file_system: Option<&File>,
    ) -> Vec<Member> {
        let (mut unsynced, mut members): (Vec<Member>, Vec<Member>) =
            members.into_iter().partition(Member::needs_log);
        // With a name first: getting one changes the file, too.
        let named: Vec<io::Result<()>> = unsynced
            .iter_mut()
            .map(|member| member.version.temp.settle())
            .collect();
        let files = unsynced
            .iter()
            .map(|member| &**member.version.temp.file())
            .collect::<Vec<_>>();
        let results = sync_all(&*self.files.sys, file_system, &files);
        for ((mut member, named), result) in unsynced.into_iter().zip(named).zip(results) {
            match named.and(result) {
                Ok(()) => {
                    member.synced = true;
                    members.push(member);
                }
                Err(e) => member.fail("the temporary file cannot be synced", e),
            }
        }
        members
    }

    /// Writes the file of a put, unless it was; `None` once the put is over. With `shards` if it is
    /// to go through the log.
    fn write(&self, job: Job, shards: Option<&mut Changed>) -> Option<Member> {
        let Job {
            key,
            mode,
            durability,
            payload,
            claimed,
            reply,
            lock,
        } = job;
        if claimed.is_cancelled() {
            return None;
        }
        let (written, pieces, synced) = match payload {
            Payload::Written(version) => (Ok(version), None, durability == Durability::Durable),
            Payload::Pieces(pieces) => (
                self.write_pieces(&key, &pieces, shards, &lock),
                Some(pieces),
                false,
            ),
        };
        // From here on the file holds the lock.
        drop(lock);
        match written {
            Ok(version) => Some(Member {
                key,
                mode,
                durability,
                claimed,
                reply,
                version,
                pieces,
                synced,
            }),
            Err(e) => {
                let _ = reply.send(Err(put_failed(
                    &key,
                    "the temporary file cannot be written",
                    e,
                )));
                None
            }
        }
    }

    fn write_pieces(
        &self,
        key: &Key,
        pieces: &[Bytes],
        shards: Option<&mut Changed>,
        lock: &Arc<Lock>,
    ) -> io::Result<Version> {
        // A shard that cannot be opened is told later.
        let shard = shards.and_then(|shards| {
            shards
                .shard(self, &self.options.shard.shard(key.as_str()))
                .ok()
        });
        let temp = match shard.and_then(|dir| Temp::unnamed(&self.files, &self.names, lock, &dir)) {
            Some(temp) => temp,
            None => Temp::create(&self.files, &self.names, lock)?,
        };
        temp::write(temp.file(), pieces, 0)?;
        Version::new(temp, &self.clock)
    }
}

pub(super) fn put_failed(key: &Key, message: &str, source: io::Error) -> Error {
    failed(Operation::Put, Some(key), message, source)
}
