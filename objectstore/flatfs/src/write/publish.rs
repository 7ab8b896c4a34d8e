//! Publishing: files get their names, in one order, through the log or not.

use std::collections::HashSet;
use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, statat};
use rustix::io::Errno;
use storehouse_engine::files::{duplicate, etag, hold, is_object, sync_all};
use storehouse_objectstore::{ETag, Error, Key, Operation, PutMode};

use super::super::directory::file_name;
use super::super::wal::{NamesGuard, SyncPoint};
use super::dirty_dirs::DirtyDirs;
use super::put::{Place, Put, PutState};
use super::writer::Writer;

/// The space that a record takes in the log besides its key and value, rounded up, in bytes.
pub(crate) const RECORD: usize = 64;

/// The space that puts leave in the log, in bytes, so that there is room for records of deletes
/// once the disk is full.
const DELETES: usize = 64 * 1024;

/// Whether a put's mode lets it go on.
enum Verdict {
    Go,
    Occupied,
    Precondition,
}

impl Writer {
    /// Publishes written puts: makes them visible and durable. Puts whose key another put of the
    /// group or another group has in hand stay as they are.
    pub(super) fn publish(
        &self,
        puts: &mut [Put],
        dirs: &mut DirtyDirs<'_>,
        file_system: Option<&File>,
    ) {
        self.locate(puts, dirs);
        if located(puts).next().is_none() {
            return;
        }
        let mut names = self.wal.lock_names(located(puts), record_bytes(puts));
        let room = make_room(puts, &mut names);
        if room.is_err() && !names.has_failed() && puts.iter().any(Put::is_unsynced) {
            // The log was emptied and removed meanwhile, or the disk has no room for it.
            drop(names);
            return self.sync_files(puts, None);
        }
        self.judge(puts, &mut names, &room, dirs);
        match self.append(puts, names) {
            Ok(point) => self.name_recorded(puts, point, dirs),
            Err(e) => fail_recorded(puts, &e),
        }
        self.sync_occupied(puts);
        self.sync_directories(puts, dirs, file_system);
    }

    /// Finds each file's place: what must be read from disk for that is in memory once the names
    /// are locked.
    fn locate(&self, puts: &mut [Put], dirs: &mut DirtyDirs<'_>) {
        for put in puts.iter_mut().filter(|put| put.written().is_some()) {
            let shard = self.directory.shard.shard(put.key.as_str());
            match dirs.open_or_make(&shard) {
                Ok(dir) => {
                    let name = file_name(&put.key);
                    let old = hold(&dir, &name);
                    put.place = Some(Place {
                        shard,
                        dir,
                        name,
                        _old: old,
                    });
                }
                Err(e) => put.fail(&self.directory.shard_message(&shard, "used"), e),
            }
        }
    }

    /// Judges each put against what is in its place, and records it in the log or gives it its
    /// name.
    fn judge(
        &self,
        puts: &mut [Put],
        names: &mut NamesGuard<'_>,
        room: &io::Result<()>,
        dirs: &mut DirtyDirs<'_>,
    ) {
        let mut keys = HashSet::new();
        for put in puts.iter_mut().filter(|put| put.written().is_some()) {
            let Some(place) = put.place.take() else {
                continue;
            };
            if names.is_reserved(&put.key) || !keys.insert(put.key.clone()) {
                continue;
            }
            self.judge_one(put, &place, names, room);
            let is_live = names.is_live(&put.key);
            put.recorded = is_live && put.is_durable();
            let relies_on_directory = put.is_durable() && !is_live;
            if relies_on_directory && matches!(put.state, PutState::Named(_) | PutState::Occupied) {
                dirs.mark(&place.shard);
            }
            put.place = Some(place);
        }
    }

    fn judge_one(
        &self,
        put: &mut Put,
        place: &Place,
        names: &mut NamesGuard<'_>,
        room: &io::Result<()>,
    ) {
        if put.cancellation.is_cancelled() {
            put.state = PutState::Cancelled;
            return;
        }
        let (is_live, is_unsynced) = (names.is_live(&put.key), put.is_unsynced());
        if (is_live || is_unsynced)
            && let Err(e) = room
        {
            return put.fail("the log cannot be written", duplicate(e));
        }
        match verdict(&put.mode, place) {
            Ok(Verdict::Go) => {}
            Ok(Verdict::Occupied) if put.is_durable() => return put.state = PutState::Occupied,
            Ok(Verdict::Occupied) => return put.refuse(),
            Ok(Verdict::Precondition) => {
                let (operation, key) = (Operation::Put, put.key.clone());
                return put.finish(Err(Error::Precondition { operation, key }));
            }
            Err(e) => return put.fail("the object in its place cannot be described", e),
        }
        let Some(file) = put.written_mut() else {
            return;
        };
        // Durable as it is, or not to be durable.
        let is_large = file.body.is_none();
        if is_unsynced && !is_large {
            return record(put, names);
        }
        if is_live
            && is_large
            && !file.synced
            && let Err(e) = file.sync()
        {
            return put.fail("the temporary file cannot be synced", e);
        }
        let (synced, nanos, body) = (file.synced, file.nanos, file.body.take());
        self.name(put, place);
        if is_live && matches!(put.state, PutState::Named(_)) {
            match body {
                Some(body) if !synced => names.put_relaxed(&put.key, &body, nanos),
                // Before the log forgets the key, this must be as durable as what the log has.
                _ => match self.directory.sys.sync(&place.dir) {
                    Ok(()) => names.settled(&put.key),
                    Err(e) => put.fail("the directory cannot be synced", e),
                },
            }
        }
    }

    /// Gives a put's file its name, unless the caller is gone.
    fn name(&self, put: &mut Put, place: &Place) {
        if !put.cancellation.begin() {
            put.state = PutState::Cancelled;
            return;
        }
        let (PutState::Written(file) | PutState::Recorded(file)) = &mut put.state else {
            return;
        };
        let creates = put.mode == PutMode::Create;
        let named = if creates {
            file.temp.rename_new(&place.dir, &place.name)
        } else {
            file.temp.rename(&place.dir, &place.name)
        };
        match named {
            Ok(()) => {
                // Also for a new object: its shard may have been moved away with an old one.
                self.directory.reader.handles.invalidate(&put.key);
                put.state = PutState::Named(file.etag.clone());
            }
            Err(e) if creates && e.kind() == io::ErrorKind::AlreadyExists => {
                put.state = PutState::Occupied;
            }
            Err(e) => put.fail("the file cannot be renamed into place", e),
        }
    }

    /// Appends the records to the log, releases the names, and syncs the log if a put relies on it.
    fn append(&self, puts: &[Put], names: NamesGuard<'_>) -> io::Result<Option<SyncPoint>> {
        let point = names.append()?;
        let Some(point) = point.filter(|_| puts.iter().any(|put| put.recorded)) else {
            return Ok(None);
        };
        match self.wal.sync(&point) {
            Ok(()) => Ok(Some(point)),
            Err(e) => {
                let recorded = puts
                    .iter()
                    .filter(|put| matches!(put.state, PutState::Recorded(_)))
                    .map(|put| put.key.clone());
                let _ = self.wal.finish(point, &recorded.collect::<Vec<_>>());
                Err(e)
            }
        }
    }

    /// Gives the files that the log has their names. Takes back the records of those that get none.
    fn name_recorded(&self, puts: &mut [Put], point: Option<SyncPoint>, dirs: &mut DirtyDirs<'_>) {
        let Some(point) = point else { return };
        let (mut void, mut must_last) = (Vec::new(), false);
        for put in puts.iter_mut() {
            if !matches!(put.state, PutState::Recorded(_)) {
                continue;
            }
            let Some(place) = put.place.take() else {
                continue;
            };
            self.name(put, &place);
            if matches!(put.state, PutState::Occupied) {
                // By another program: the log does not have it.
                put.recorded = false;
                dirs.mark(&place.shard);
            }
            if !matches!(put.state, PutState::Named(_)) {
                must_last |= !matches!(put.state, PutState::Cancelled);
                void.push(put.key.clone());
            }
            put.place = Some(place);
        }
        let taken_back = self.wal.finish(point, &void).and_then(|point| match point {
            Some(point) if must_last => self.wal.sync(&point),
            _ => Ok(()),
        });
        if let Err(e) = taken_back {
            let is_void = |put: &Put| void.contains(&put.key);
            for put in puts.iter_mut().filter(|put| is_void(put) && !put.is_over()) {
                put.fail("the log cannot be written", duplicate(&e));
            }
        }
    }

    /// A caller that hears that an object exists relies on it: it must be as durable as its own
    /// would have been.
    fn sync_occupied(&self, puts: &mut [Put]) {
        let directory = &self.directory;
        for put in puts {
            // An object that the log has is durable by it.
            if put.recorded || !matches!(put.state, PutState::Occupied) {
                continue;
            }
            let path = directory.path_of(put.key.as_str());
            let opened = directory.sys.open(&directory.file, &path);
            match opened.and_then(|file| directory.sys.sync(&file)) {
                Ok(()) => {}
                // Deleted since.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => put.fail("the object in its place cannot be synced", e),
            }
        }
    }

    /// Syncs the directories that changed, and ends the puts.
    fn sync_directories(
        &self,
        puts: &mut [Put],
        dirs: &mut DirtyDirs<'_>,
        file_system: Option<&File>,
    ) {
        let failures = dirs.sync(|files| sync_all(&*self.directory.sys, file_system, files));
        for put in puts.iter_mut() {
            let Some(place) = put.place.take() else {
                continue;
            };
            if !matches!(put.state, PutState::Named(_) | PutState::Occupied) {
                continue;
            }
            match failures.get(&place.shard).filter(|_| put.is_durable()) {
                Some(e) => put.fail("the directory cannot be synced", duplicate(e)),
                None => put.conclude(),
            }
        }
    }
}

/// Records a put in the log, in place of its name for now.
fn record(put: &mut Put, names: &mut NamesGuard<'_>) {
    match std::mem::replace(&mut put.state, PutState::Cancelled) {
        PutState::Written(mut file) => {
            let body = file.body.take().unwrap_or_default();
            names.put(&put.key, &body, file.nanos);
            put.state = PutState::Recorded(file);
        }
        state => put.state = state,
    }
}

/// The keys of puts that have a place.
fn located(puts: &[Put]) -> impl Iterator<Item = &Key> + Clone {
    puts.iter()
        .filter(|put| put.place.is_some() && put.written().is_some())
        .map(|put| &put.key)
}

/// The most that the puts' records take in the log, in bytes.
fn record_bytes(puts: &[Put]) -> usize {
    puts.iter()
        .filter_map(|put| Some(RECORD + put.place.as_ref()?.name.len() + put.bytes_in_memory()))
        .sum()
}

/// Makes room in the log, if a put is to be recorded in it.
fn make_room(puts: &[Put], names: &mut NamesGuard<'_>) -> io::Result<()> {
    if puts.iter().any(Put::is_unsynced) || located(puts).any(|key| names.is_live(key)) {
        names.make_room(record_bytes(puts) + DELETES)
    } else {
        Ok(())
    }
}

/// Fails puts that rely on a record in the log.
fn fail_recorded(puts: &mut [Put], source: &io::Error) {
    for put in puts.iter_mut().filter(|put| put.recorded && !put.is_over()) {
        put.fail("the log cannot be written", duplicate(source));
    }
}

fn verdict(mode: &PutMode, place: &Place) -> io::Result<Verdict> {
    Ok(match mode {
        PutMode::Overwrite => Verdict::Go,
        PutMode::Create => match statat(&place.dir, &place.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Verdict::Occupied,
            Err(Errno::NOENT) => Verdict::Go,
            Err(e) => return Err(e.into()),
        },
        PutMode::Replace(etag) => {
            if current(&place.dir, &place.name)?.is_some_and(|current| current == *etag) {
                Verdict::Go
            } else {
                Verdict::Precondition
            }
        }
    })
}

/// The tag of the object in place, if there is one.
fn current(dir: &File, name: &str) -> io::Result<Option<ETag>> {
    match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(is_object(&stat).then(|| etag(&stat))),
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
