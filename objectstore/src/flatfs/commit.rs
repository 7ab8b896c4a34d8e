//! Group commit: puts that wait at the same time are made durable together.
//!
//! A group goes through five steps: every file is written (unless it was already), all files are synced, each is renamed into place, the directories that
//! changed are synced, and everybody is told. Syncing is what takes time, and it takes little more for many files than for one. While a group syncs, the
//! next one gathers.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use rustix::fs::{AtFlags, fstat, statat};
use rustix::io::Errno;
use tokio::sync::oneshot;

use super::Store;
use super::changed::Changed;
use super::files::failed;
use super::layout::Lock;
use super::shard::EXTENSION;
use super::stamp::{self, Clock};
use super::sync::sync_all;
use super::temp::{self, Temp};
use crate::{Durability, ETag, Error, Key, Operation, PutMode, PutResult, Result};

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
    temp: Temp,
    etag: ETag,
}

impl Version {
    /// Stamps a file to which everything was written.
    pub(super) fn new(temp: Temp, clock: &Clock) -> io::Result<Self> {
        clock.stamp(temp.file())?;
        let etag = stamp::etag(&fstat(temp.file())?);
        Ok(Self { temp, etag })
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.temp.file().sync_all()
    }
}

const OPEN: u8 = 0;
const TAKEN: u8 = 1;
const CANCELLED: u8 = 2;

/// The caller's hold on its put: once this is dropped, the put does not become visible any more, or it did (or does right now, under its key's lock) already.
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
        let _ = self.0.compare_exchange(OPEN, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Claimed {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELLED
    }

    /// Whether the caller still wants it; from here on it cannot change its mind.
    fn take(&self) -> bool {
        self.0.compare_exchange(OPEN, TAKEN, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// A put in its group, written.
struct Member {
    key: Key,
    mode: PutMode,
    durability: Durability,
    claimed: Claimed,
    reply: oneshot::Sender<Result<PutResult>>,
    version: Version,
    synced: bool,
}

impl Member {
    fn answer(self, result: Result<PutResult>) {
        // What was not renamed is removed before the caller hears of it.
        drop(self.version);
        // Nobody may be listening any more.
        let _ = self.reply.send(result);
    }
}

impl Store {
    /// Takes a group of puts from written (or not even that) to visible and durable, and answers each. Blocks.
    pub(super) fn commit_group(&self, jobs: Vec<Job>) {
        // Before the first byte of the group is written, so that no failure to write one is missed.
        let file_system = self.files.reopen().ok();
        let sync = |files: &[&File]| sync_all(&*self.files.sys, file_system.as_ref(), files);

        let mut members: Vec<Member> = jobs.into_iter().filter_map(|job| self.write(job)).collect();
        let (unsynced, synced): (Vec<Member>, Vec<Member>) = members.into_iter().partition(|member| !member.synced);
        let results = sync(&unsynced.iter().map(|member| &**member.version.temp.file()).collect::<Vec<_>>());
        members = synced;
        for (member, result) in unsynced.into_iter().zip(results) {
            match result {
                Ok(()) => members.push(member),
                Err(e) => {
                    let error = put_failed(&member.key, "the temporary file cannot be synced", e);
                    member.answer(Err(error));
                }
            }
        }

        let mut changed = Changed::default();
        let mut done = Vec::with_capacity(members.len());
        for mut member in members {
            if let Some((result, shard)) = self.publish(&mut member, &mut changed) {
                done.push((member, result, shard));
            }
        }
        let failures = changed.sync(self, sync);
        for (member, mut result, shard) in done {
            if let (Some(message), Durability::Durable) = (failures.get(&shard), member.durability) {
                result = Err(put_failed(&member.key, "the directory cannot be synced", io::Error::other(message.clone())));
            }
            member.answer(result);
        }
    }

    /// Writes the file of a put, unless it was; `None` once the put is over.
    fn write(&self, job: Job) -> Option<Member> {
        let Job { key, mode, durability, payload, claimed, reply, lock } = job;
        if claimed.is_cancelled() {
            return None;
        }
        let (written, synced) = match payload {
            Payload::Written(version) => (Ok(version), true),
            Payload::Pieces(pieces) => (self.write_pieces(&pieces, &lock), durability == Durability::Relaxed),
        };
        // From here on the file holds the lock.
        drop(lock);
        match written {
            Ok(version) => Some(Member { key, mode, durability, claimed, reply, version, synced }),
            Err(e) => {
                let _ = reply.send(Err(put_failed(&key, "the temporary file cannot be written", e)));
                None
            }
        }
    }

    fn write_pieces(&self, pieces: &[Bytes], lock: &Arc<Lock>) -> io::Result<Version> {
        let temp = Temp::create(&self.files, &self.names, lock)?;
        temp::write(temp.file(), pieces, 0)?;
        Version::new(temp, &self.clock)
    }

    /// Makes a put visible, if its mode allows it, and notes what must be synced for it. `None` if it was cancelled.
    fn publish(&self, member: &mut Member, changed: &mut Changed) -> Option<(Result<PutResult>, String)> {
        let shard = self.options.shard.shard(member.key.as_str());
        let name = format!("{}{EXTENSION}", member.key);
        let dir = match changed.shard(self, &shard) {
            Ok(dir) => dir,
            Err(e) => return Some((Err(put_failed(&member.key, "the shard's directory cannot be used", e)), shard)),
        };
        let lock = self.locks.lock(&member.key);
        if !member.claimed.take() {
            return None;
        }
        let renamed = match &member.mode {
            PutMode::Overwrite => member.version.temp.rename(&dir, &name),
            PutMode::Create => member.version.temp.rename_new(&dir, &name),
            PutMode::Replace(etag) => match current(&dir, &name) {
                Ok(Some(there)) if there == *etag => member.version.temp.rename(&dir, &name),
                Ok(_) => return Some((Err(Error::Precondition { operation: Operation::Put, key: member.key.clone() }), shard)),
                Err(e) => Err(e),
            },
        };
        drop(lock);
        let result = match renamed {
            Ok(()) => Ok(PutResult { etag: member.version.etag.clone() }),
            Err(e) if member.mode == PutMode::Create && e.kind() == io::ErrorKind::AlreadyExists => {
                // Whoever hears this will rely on the object that is there: it must be as durable as its own would have been.
                if member.durability == Durability::Durable
                    && let Err(e) = self.sync_object(&shard, &name)
                {
                    return Some((Err(put_failed(&member.key, "the object that is there cannot be synced", e)), shard));
                }
                Err(Error::AlreadyExists { key: member.key.clone() })
            }
            Err(e) => return Some((Err(put_failed(&member.key, "the file cannot be renamed into place", e)), shard)),
        };
        if member.durability == Durability::Durable {
            changed.note(&shard);
        }
        Some((result, shard))
    }

    fn sync_object(&self, shard: &str, name: &str) -> io::Result<()> {
        match self.files.sys.open(&self.files.dir, &format!("{shard}/{name}")) {
            Ok(file) => file.sync_all(),
            // Deleted since.
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}

/// The tag of the object that is there, if one is.
fn current(dir: &File, name: &str) -> io::Result<Option<ETag>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(stamp::is_object(&stat).then(|| stamp::etag(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

fn put_failed(key: &Key, message: &str, source: io::Error) -> Error {
    failed(Operation::Put, Some(key), message, source)
}
