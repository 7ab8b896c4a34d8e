//! The write-ahead log of small puts: their bytes are durable here first, with one sync of one file
//! for all that wait, and in their own files some time later.
//!
//! A put's record is on the disk before its file gets its name, so that no crash leaves a name
//! without bytes that nobody has. A *keeper*, a thread that lives for as long as the log holds
//! something, syncs the files and starts the log anew. What changes a key that has a record in the
//! log leaves a record as well: what is put back after a crash is never older than what was
//! acknowledged.
//!
//! `frame` knows the bytes, `segment` one file of the log, `turn` appends to it, `keeper` empties
//! it, `recover` reads what a crash left, `place` puts things in their place.

mod frame;
mod keeper;
mod place;
mod recover;
mod segment;
mod turn;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub(super) use self::keeper::is_closing;
pub(super) use self::recover::recover;
use self::segment::{Segment, Writing};
pub(super) use self::turn::{Ticket, Turn};
use super::files::{Files, unlink};
use super::shard::ShardFunction;
use storehouse_objectstore::Key;

/// The files of the log. Go passes over names with a dot in front.
pub(super) const NAMES: [&str; 2] = [".log-0", ".log-1"];

/// Where a damaged log is kept.
fn damaged_name(name: &str) -> String {
    format!("{name}.damaged")
}

/// After the log could not be made, puts do without it for so long.
const RETRY: Duration = Duration::from_secs(10);

/// The log of an open store, and whose turn it is to change names in it.
#[derive(Debug)]
pub(super) struct Log {
    files: Arc<Files>,
    shard: ShardFunction,
    state: Mutex<State>,
    /// A key or the log is free again.
    changed: Condvar,
    /// The keeper may have something to do.
    to_do: Condvar,
}

#[derive(Debug)]
struct State {
    /// What is appended to.
    active: Option<Writing>,
    /// What is being emptied: nothing is appended to it any more, and all of it is synced.
    full: Option<Writing>,
    /// Empty files to go on with.
    spare: Vec<Arc<Segment>>,
    /// Keys whose records are appended, and whose files have no names yet.
    reserved: HashSet<Key>,
    /// Keys whose last records in the broken log are of puts that failed.
    void: HashSet<Key>,
    generation: u64,
    keeper: bool,
    /// The log could not be written, or what it holds could not be synced.
    failed: Option<String>,
    /// When to try again to make the log.
    retry: Option<Instant>,
    /// The store's handles are gone: this is to be unlocked at the end.
    closing: Option<File>,
}

impl Log {
    pub(super) fn new(files: Arc<Files>, shard: ShardFunction) -> Self {
        use std::hash::BuildHasher;
        // At random, so that no object can hold what passes for a frame; the two files' generations
        // are in order all the same.
        let generation = std::hash::RandomState::new().hash_one(0) >> 1;
        let state = State {
            active: None,
            full: None,
            spare: Vec::new(),
            reserved: HashSet::new(),
            void: HashSet::new(),
            generation,
            keeper: false,
            failed: None,
            retry: None,
            closing: None,
        };
        Self {
            files,
            shard,
            state: Mutex::new(state),
            changed: Condvar::new(),
            to_do: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether small puts can go through the log now: makes it if it is not there. An error if it
    /// failed and does not recover.
    pub(super) fn ready(self: &Arc<Self>) -> io::Result<bool> {
        let mut state = self.lock();
        if state.failed.is_some() {
            state = self.recover_from_failure(state)?;
        }
        if state.active.is_some() {
            return Ok(true);
        }
        if state.retry.is_some_and(|retry| Instant::now() < retry)
            || !self.files.sys.can_sync_file_system(&self.files.dir)
        {
            return Ok(false);
        }
        if self.begin(&mut state).is_err() {
            state.retry = Instant::now().checked_add(RETRY);
            return Ok(false);
        }
        Ok(true)
    }

    /// Starts a log, and the keeper that will empty it.
    fn begin(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let writing = self.next(state)?;
        if !state.keeper {
            let keeper = Arc::clone(self);
            if let Err(e) = std::thread::Builder::new()
                .name("flatfs-log".to_owned())
                .spawn(move || keeper.keep())
            {
                state.spare.push(writing.segment);
                self.remove(state);
                return Err(e);
            }
            state.keeper = true;
        }
        state.active = Some(writing);
        self.changed.notify_all();
        Ok(())
    }

    /// A segment to append to.
    fn next(&self, state: &mut State) -> io::Result<Writing> {
        let segment = match state.spare.pop() {
            Some(spare) => spare,
            None => {
                let taken = state
                    .active
                    .iter()
                    .chain(&state.full)
                    .map(|writing| writing.segment.name)
                    .next();
                let name = NAMES
                    .into_iter()
                    .find(|name| Some(*name) != taken)
                    .ok_or_else(|| io::Error::other("no file to spare"))?;
                state.generation += 1;
                let created = Segment::create(&self.files, name, state.generation);
                if created.is_err() {
                    let _ = unlink(&self.files.dir, name);
                }
                Arc::new(created?)
            }
        };
        Writing::new(segment, &self.files)
    }

    /// Removes the empty files. Also if a crash of the machine brings them back, they hold nothing.
    fn remove(&self, state: &mut State) {
        for spare in state.spare.drain(..) {
            let _ = unlink(&self.files.dir, spare.name);
        }
    }

    /// Makes durable what the broken log holds, and does away with it.
    fn recover_from_failure<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
    ) -> io::Result<MutexGuard<'a, State>> {
        while state
            .active
            .iter()
            .chain(&state.full)
            .any(|writing| writing.under_way > 0)
            || state.full.as_ref().is_some_and(|full| full.busy)
        {
            state = self.wait(state);
        }
        let Some(reason) = state.failed.clone() else {
            return Ok(state);
        };
        let failed = |e: io::Error| {
            io::Error::new(
                e.kind(),
                format!("{reason}; and what it holds cannot be synced: {e}"),
            )
        };
        for writing in state.full.iter().chain(&state.active) {
            self.restore(&state, writing).map_err(failed)?;
        }
        for name in NAMES {
            unlink(&self.files.dir, name).map_err(failed)?;
        }
        self.files.dir.sync_all().map_err(failed)?;
        state.full = None;
        state.active = None;
        state.spare.clear();
        state.void.clear();
        state.failed = None;
        self.to_do.notify_all();
        self.changed.notify_all();
        Ok(state)
    }

    /// Writes once more what a part of the log holds, except for what has a later record in the
    /// other part.
    fn restore(&self, state: &State, writing: &Writing) -> io::Result<()> {
        let states = recover::states(writing.segment.records()?.into_iter());
        if writing
            .live
            .iter()
            .any(|key| !states.contains_key(key.as_str()))
        {
            return Err(io::Error::other(
                "the log does not hold what was written to it",
            ));
        }
        let later = |key: &str| {
            let later = state
                .active
                .as_ref()
                .filter(|active| active.generation() > writing.generation());
            later.is_some_and(|later| later.live.contains(key)) || state.void.contains(key)
        };
        let restored = states
            .iter()
            .filter(|(key, _)| !later(key))
            .filter_map(|(key, state)| Some((key.as_str(), state.clone()?)));
        place::restore(&self.files, self.shard, restored, true)?;
        place::settle(&self.files, self.shard, state.void.iter().map(Key::as_str))
    }
}
