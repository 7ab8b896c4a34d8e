//! The puts that wait for their group, and the tasks that commit them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Store;
use super::commit::Job;
use crate::Durability;

/// The most puts in a group. Each holds two file handles for a while.
const MAX_GROUP: usize = 128;

/// The most groups at once: one writes while the other syncs.
const MAX_RUNNING: usize = 2;

/// Puts whose bodies have been received.
#[derive(Debug, Default)]
pub(super) struct Queue(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    running: usize,
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("jobs", &self.jobs.len()).field("running", &self.running).finish()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Hands a put over to be committed; its reply says how that went.
    pub(super) fn commit(self: &Arc<Self>, job: Job) {
        if job.durability == Durability::Relaxed {
            // Waits for no sync, neither its own nor another's.
            let store = Arc::clone(self);
            tokio::task::spawn_blocking(move || store.commit_group(vec![job]));
            return;
        }
        let mut waiting = self.queue.lock();
        waiting.jobs.push_back(job);
        if waiting.running < MAX_RUNNING {
            waiting.running += 1;
            drop(waiting);
            let runner = Runner { store: Arc::clone(self), ended: false };
            tokio::task::spawn_blocking(move || runner.run());
        }
    }
}

/// Commits groups until nothing waits any more. No thread is kept beyond that.
struct Runner {
    store: Arc<Store>,
    ended: bool,
}

impl Runner {
    fn run(mut self) {
        while let Some(jobs) = self.next_group() {
            self.store.commit_group(jobs);
        }
    }

    fn next_group(&mut self) -> Option<Vec<Job>> {
        let mut waiting = self.store.queue.lock();
        if waiting.jobs.is_empty() {
            // Under the same lock, so that no put can believe that somebody is still coming for it.
            waiting.running -= 1;
            self.ended = true;
            return None;
        }
        let len = waiting.jobs.len().min(MAX_GROUP);
        Some(waiting.jobs.drain(..len).collect())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The runtime shut down before this began.
        let mut waiting = self.store.queue.lock();
        waiting.running -= 1;
        if waiting.running == 0 {
            // Nobody comes for these. Dropping them tells their callers, if there are any left.
            let orphans = std::mem::take(&mut waiting.jobs);
            drop(waiting);
            drop(orphans);
        }
    }
}
