//! The log of an open store.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use storehouse_objectstore::Key;

use storehouse_engine::files::unlink;

use super::super::directory::Directory;
use super::super::lock::LockFile;
use super::apply::{self, Restore};
use super::segment::{ActiveSegment, NAMES, Segment};

/// After the log could not be made, puts do without it for this long.
const RETRY: Duration = Duration::from_secs(10);

/// Whether there is a log, and when it is emptied.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalOptions {
    pub(crate) enabled: bool,
    /// Checkpoint after this long without writes.
    pub(crate) idle: Duration,
    /// Checkpoint once the first record is this old.
    pub(crate) age: Duration,
}

/// The log of an open store, and the order in which names change.
#[derive(Debug)]
pub(crate) struct Wal {
    pub(super) directory: Arc<Directory>,
    pub(super) options: WalOptions,
    state: Mutex<WalState>,
    /// A key or the log is free again.
    pub(super) freed: Condvar,
    /// The checkpoint thread may have something to do.
    pub(super) to_do: Condvar,
}

#[derive(Debug)]
pub(super) struct WalState {
    /// What is appended to.
    pub(super) active: Option<ActiveSegment>,
    /// What is being emptied: nothing is appended any more, and all of it is synced.
    pub(super) full: Option<ActiveSegment>,
    /// Empty files to go on with.
    pub(super) spare: Vec<Arc<Segment>>,
    /// Keys whose records are appended and whose files have no names yet.
    pub(super) reserved: HashSet<Key>,
    /// Keys whose last records in the broken log are of puts that failed.
    pub(super) void: HashSet<Key>,
    pub(super) generation: u64,
    /// The checkpoint thread runs.
    pub(super) has_thread: bool,
    /// Why the log could not be written, or what it holds not be synced.
    pub(super) failed: Option<String>,
    /// When to try again to make the log.
    pub(super) retry: Option<Instant>,
    /// The store is closed: this is released once the log is empty.
    pub(super) closing: Option<LockFile>,
}

impl Wal {
    pub(crate) fn new(directory: Arc<Directory>, options: WalOptions) -> Self {
        use std::hash::BuildHasher;
        // Random, so that no object can hold the bytes of a valid frame. The generations of the two
        // files are in order all the same.
        let generation = std::hash::RandomState::new().hash_one(0) >> 1;
        let state = WalState {
            active: None,
            full: None,
            spare: Vec::new(),
            reserved: HashSet::new(),
            void: HashSet::new(),
            generation,
            has_thread: false,
            failed: None,
            retry: None,
            closing: None,
        };
        Self {
            directory,
            options,
            state: Mutex::new(state),
            freed: Condvar::new(),
            to_do: Condvar::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, WalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn wait<'a>(&self, state: MutexGuard<'a, WalState>) -> MutexGuard<'a, WalState> {
        self.freed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether small puts can go through the log now. Makes it if necessary.
    ///
    /// # Errors
    /// If it failed and does not recover.
    pub(crate) fn is_ready(self: &Arc<Self>) -> io::Result<bool> {
        let directory = &self.directory;
        let mut state = self.lock();
        if state.failed.is_some() {
            state = self.recover_from_failure(state)?;
        }
        if state.active.is_some() {
            return Ok(true);
        }
        if !self.options.enabled
            || state.retry.is_some_and(|retry| Instant::now() < retry)
            || !directory.sys.can_sync_file_system(&directory.file)
        {
            return Ok(false);
        }
        if self.begin(&mut state).is_err() {
            state.retry = Instant::now().checked_add(RETRY);
            return Ok(false);
        }
        Ok(true)
    }

    /// Why the log could not be written, or what it holds not be synced, if so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failed.clone()
    }

    /// Starts a log and the thread that will empty it.
    fn begin(self: &Arc<Self>, state: &mut WalState) -> io::Result<()> {
        let active = self.next_segment(state)?;
        if !state.has_thread {
            let wal = Arc::clone(self);
            if let Err(e) = std::thread::Builder::new()
                .name("flatfs-wal".to_owned())
                .spawn(move || wal.checkpoint_until_empty())
            {
                state.spare.push(active.segment);
                self.remove_spare(state);
                return Err(e);
            }
            state.has_thread = true;
        }
        state.active = Some(active);
        self.freed.notify_all();
        Ok(())
    }

    /// A segment to append to.
    pub(super) fn next_segment(&self, state: &mut WalState) -> io::Result<ActiveSegment> {
        let segment = match state.spare.pop() {
            Some(spare) => spare,
            None => {
                let in_use = state
                    .active
                    .iter()
                    .chain(&state.full)
                    .map(|active| active.segment.name)
                    .next();
                let name = NAMES
                    .into_iter()
                    .find(|name| Some(*name) != in_use)
                    .ok_or_else(|| io::Error::other("both files of the log are in use"))?;
                state.generation += 1;
                let created = Segment::create(&self.directory, name, state.generation);
                if created.is_err() {
                    let _ = unlink(&self.directory.file, name);
                }
                Arc::new(created?)
            }
        };
        ActiveSegment::new(segment, &self.directory)
    }

    /// Removes the empty files. If a crash brings them back, they hold nothing.
    pub(super) fn remove_spare(&self, state: &mut WalState) {
        for spare in state.spare.drain(..) {
            let _ = unlink(&self.directory.file, spare.name);
        }
    }

    /// Makes durable what the broken log holds, and removes it.
    pub(super) fn recover_from_failure<'a>(
        &'a self,
        mut state: MutexGuard<'a, WalState>,
    ) -> io::Result<MutexGuard<'a, WalState>> {
        while state
            .active
            .iter()
            .chain(&state.full)
            .any(|segment| segment.unnamed_groups > 0)
            || state.full.as_ref().is_some_and(|full| full.checkpointing)
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
        for segment in state.full.iter().chain(&state.active) {
            self.restore(&state, segment)
                .inspect_err(|_| drop(segment.segment.distrust()))
                .map_err(failed)?;
        }
        for name in NAMES {
            unlink(&self.directory.file, name).map_err(failed)?;
        }
        let directory = &self.directory;
        directory.sys.sync(&directory.file).map_err(failed)?;
        state.full = None;
        state.active = None;
        state.spare.clear();
        state.void.clear();
        state.failed = None;
        self.to_do.notify_all();
        self.freed.notify_all();
        Ok(state)
    }

    /// Writes once more what a segment holds, except for what has a later record in the other one.
    pub(super) fn restore(&self, state: &WalState, segment: &ActiveSegment) -> io::Result<()> {
        let wanted = apply::last_states(segment.segment.records()?.into_iter());
        if segment
            .live
            .iter()
            .any(|key| !wanted.contains_key(key.as_str()))
        {
            return Err(io::Error::other(
                "the log does not hold what was written to it",
            ));
        }
        let is_later = |key: &str| {
            let later = state
                .active
                .as_ref()
                .filter(|active| active.generation() > segment.generation());
            later.is_some_and(|later| later.live.contains(key)) || state.void.contains(key)
        };
        let restored = wanted
            .iter()
            .filter(|(key, _)| !is_later(key))
            .filter_map(|(key, wanted)| Some((key.as_str(), wanted.clone()?)));
        apply::restore(&self.directory, restored, Restore::All)?;
        apply::settle(&self.directory, state.void.iter().map(Key::as_str))
    }
}
