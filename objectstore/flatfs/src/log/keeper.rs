//! The keeper: a thread that empties the log, and ends once there is nothing left in it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::segment::Writing;
use super::{Log, State, frame, place};
use storehouse_objectstore::Key;

/// The log is emptied when nothing was written to it for so long (the tests of this crate look at
/// logs that are not empty),
const IDLE: Duration = Duration::from_secs(if cfg!(test) { 3600 } else { 2 });

/// and when the first record in it is so old.
const AGE: Duration = Duration::from_secs(if cfg!(test) { 3600 } else { 10 });

/// How often these are looked at.
const TICK: Duration = Duration::from_millis(500);

/// Up to so many keys, their files are synced rather than the file system.
const FEW: usize = 64;

impl Log {
    /// Empties the log until there is nothing in it. Runs on a thread of its own.
    pub(super) fn keep(&self) {
        let mut state = self.lock();
        loop {
            state = self.empty_full(state);
            let now = state.closing.is_some();
            state.retire(now);
            if state.failed.is_some() && state.closing.is_some() {
                state = match self.recover_from_failure(state) {
                    Ok(state) => state,
                    // Whoever opens it next tries again.
                    Err(_) => self.lock(),
                };
                return self.end(state);
            }
            if state.active.is_none() && state.full.is_none() {
                return self.end(state);
            }
            let ready = state.failed.is_none()
                && state.full.as_ref().is_some_and(|full| full.under_way == 0);
            if !ready {
                state = self
                    .to_do
                    .wait_timeout(state, TICK)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }

    fn end(&self, mut state: MutexGuard<'_, State>) {
        if state.failed.is_none() {
            self.remove(&mut state);
        }
        state.keeper = false;
        if let Some(lock) = state.closing.take() {
            closed(lock);
        }
    }

    /// Makes durable what the full segment holds, and has it to spare.
    fn empty_full<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let failed = state.failed.is_some();
        let Some(full) = state
            .full
            .as_mut()
            .filter(|full| full.under_way == 0 && !failed)
        else {
            return state;
        };
        full.busy = true;
        let (segment, keys, file_system) = (
            Arc::clone(&full.segment),
            Arc::clone(&full.live),
            Arc::clone(&full.file_system),
        );
        drop(state);
        let mut settled = self.settle(&keys, &file_system);
        state = self.lock();
        if settled.is_err()
            && let Some(full) = &state.full
        {
            // The kernel tells but once that it failed to write something. What it then shows is
            // not what the disk has.
            settled = self.restore(&state, full);
        }
        state.generation += 1;
        let generation = state.generation;
        drop(state);
        let instance = || self.files.sys.instance(&self.files.dir).unwrap_or_default();
        let emptied = settled.and_then(|()| segment.reset(generation, instance()));
        if emptied.is_err() {
            // Whatever happens next: nobody is to believe that the files are whole.
            let _ = segment.mark(segment.generation(), String::new());
        }
        state = self.lock();
        match emptied {
            Ok(()) => {
                state.full = None;
                state.spare.push(segment);
            }
            Err(e) => {
                state
                    .failed
                    .get_or_insert_with(|| format!("what the log holds cannot be synced: {e}"));
                if let Some(full) = &mut state.full {
                    full.busy = false;
                }
            }
        }
        self.changed.notify_all();
        state
    }

    fn settle(&self, keys: &HashSet<Key>, file_system: &File) -> io::Result<()> {
        if keys.len() > FEW {
            self.files.sys.sync_whole_file_system(file_system)
        } else {
            place::settle(&self.files, self.shard, keys.iter().map(Key::as_str))
        }
    }

    /// The store's last handle is gone. Gives the lock back if there is nothing to be done before
    /// it is given up.
    pub(in super::super) fn close(&self, lock: File) -> Option<File> {
        let mut state = self.lock();
        if !state.keeper {
            return Some(lock);
        }
        closing(&lock);
        state.closing = Some(lock);
        self.to_do.notify_all();
        None
    }
}

impl State {
    /// Has the active segment emptied if it has been in use for long enough, or `now`.
    fn retire(&mut self, now: bool) {
        if self.full.is_some() || self.failed.is_some() {
            return;
        }
        let due = |active: &Writing| {
            let idle = active.last.elapsed() >= IDLE;
            now || idle || active.first.is_some_and(|first| first.elapsed() >= AGE)
        };
        let Some(active) = self.active.take_if(|active| due(active)) else {
            return;
        };
        if active.at == frame::START {
            return self.spare.push(active.segment);
        }
        match active.segment.sync(active.at) {
            Ok(()) => self.full = Some(active),
            Err(e) => {
                self.failed = Some(format!("the log cannot be synced: {e}"));
                self.active = Some(active);
            }
        }
    }
}

/// The locks of stores of this process that are closing: their devices and inodes.
static CLOSING: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());
static CLOSED: Condvar = Condvar::new();

fn identity(lock: &File) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    lock.metadata().ok().map(|lock| (lock.dev(), lock.ino()))
}

fn closing(lock: &File) {
    CLOSING
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .extend(identity(lock));
}

fn closed(lock: File) {
    let mut all = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let identity = identity(&lock);
    if let Some(at) = all.iter().position(|closing| Some(*closing) == identity) {
        all.swap_remove(at);
    }
    let _ = lock.unlock();
    CLOSED.notify_all();
}

/// Whether a store of this process is giving this lock up. Waits until it did.
pub(in super::super) fn is_closing(lock: &File) -> bool {
    let Some(identity) = identity(lock) else {
        return false;
    };
    let mut all = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    let found = all.contains(&identity);
    while all.contains(&identity) {
        all = CLOSED.wait(all).unwrap_or_else(PoisonError::into_inner);
    }
    found
}
