//! Checkpoints: a thread that empties the log, and ends once nothing is left in it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use storehouse_objectstore::Key;

use super::super::lock::LockFile;
use super::apply;
use super::frame;
use super::log::{Wal, WalOptions, WalState};
use super::segment::ActiveSegment;

/// How often the thread looks whether a checkpoint is due.
const TICK: Duration = Duration::from_millis(500);

/// Up to this many keys (inclusive), their files are synced rather than the file system.
const FEW: usize = 64;

impl Wal {
    /// Empties the log until it holds nothing. Runs on a thread of its own.
    pub(super) fn checkpoint_until_empty(&self) {
        let tick = TICK.min(self.options.idle).min(self.options.age);
        let mut state = self.lock();
        loop {
            state = self.checkpoint_full(state);
            let now = state.closing.is_some();
            state.retire_active(&self.options, now);
            if state.failed.is_some() && state.closing.is_some() {
                state = match self.recover_from_failure(state) {
                    Ok(state) => state,
                    // The next opening tries again.
                    Err(_) => self.lock(),
                };
                return self.end(state);
            }
            if state.active.is_none() && state.full.is_none() {
                return self.end(state);
            }
            let ready = state.failed.is_none()
                && state
                    .full
                    .as_ref()
                    .is_some_and(|full| full.unnamed_groups == 0);
            if !ready {
                state = self
                    .to_do
                    .wait_timeout(state, tick)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }

    fn end(&self, mut state: MutexGuard<'_, WalState>) {
        if state.failed.is_none() {
            self.remove_spare(&mut state);
        }
        state.has_thread = false;
        drop(state.closing.take());
    }

    /// Makes durable what the full segment holds, and makes it a spare one.
    fn checkpoint_full<'a>(
        &'a self,
        mut state: MutexGuard<'a, WalState>,
    ) -> MutexGuard<'a, WalState> {
        let failed = state.failed.is_some();
        let Some(full) = state
            .full
            .as_mut()
            .filter(|full| full.unnamed_groups == 0 && !failed)
        else {
            return state;
        };
        full.checkpointing = true;
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
            // The kernel reports a failed write only once. What it shows from then on need not be
            // what the disk has.
            settled = self.restore(&state, full);
        }
        state.generation += 1;
        let generation = state.generation;
        drop(state);
        let emptied = settled.and_then(|()| segment.reset(generation));
        if emptied.is_err() {
            // In any case, no opening may take the files for whole.
            let _ = segment.distrust();
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
                    full.checkpointing = false;
                }
            }
        }
        self.freed.notify_all();
        state
    }

    fn settle(&self, keys: &HashSet<Key>, file_system: &File) -> io::Result<()> {
        if keys.len() > FEW {
            self.directory.sys.sync_whole_file_system(file_system)
        } else {
            apply::settle(&self.directory, keys.iter().map(Key::as_str))
        }
    }

    /// The store's last handle is gone: releases the lock once the log is empty.
    pub(crate) fn close(&self, lock: LockFile) {
        let mut state = self.lock();
        if state.has_thread {
            state.closing = Some(lock);
            self.to_do.notify_all();
        }
    }
}

impl WalState {
    /// Turns the active segment into the full one if it has been in use for long enough, or `now`.
    fn retire_active(&mut self, options: &WalOptions, now: bool) {
        if self.full.is_some() || self.failed.is_some() {
            return;
        }
        let is_due = |active: &ActiveSegment| {
            now || active.last.elapsed() >= options.idle
                || active
                    .first
                    .is_some_and(|first| first.elapsed() >= options.age)
        };
        let Some(active) = self.active.take_if(|active| is_due(active)) else {
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
