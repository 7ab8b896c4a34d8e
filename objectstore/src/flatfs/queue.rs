//! The puts that wait for their group, and the tasks that commit them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Store;
use super::commit::Job;
use crate::Durability;

/// The most puts in a group. Each holds two file handles for a while.
const MAX_GROUP: usize = 128;

/// The most groups at once: one writes while the other syncs.
const MAX_RUNNING: usize = 2;

/// How long a group waits for puts that are likely to come: less than a sync takes.
const LINGER: Duration = Duration::from_micros(200);

/// Puts whose bodies have been received.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// As many wait as a group was waiting for.
    enough: Condvar,
}

#[derive(Default)]
struct Waiting {
    jobs: VecDeque<Job>,
    running: usize,
    /// Puts in the groups that run.
    under_way: usize,
    /// How many puts there are at a time, lately.
    crowd: usize,
    /// For how many a group waits.
    wanted: usize,
}

impl Waiting {
    /// Half of those that there are, so that both groups that run are of one size.
    fn share(&self) -> usize {
        self.crowd.max(self.jobs.len() + self.under_way).div_ceil(MAX_RUNNING).min(MAX_GROUP)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("jobs", &self.jobs.len()).field("running", &self.running).finish()
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        } else if waiting.jobs.len() == waiting.wanted {
            drop(waiting);
            self.queue.enough.notify_all();
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
        let mut done = 0;
        while let Some(jobs) = self.next_group(done) {
            done = jobs.len();
            self.store.commit_group(jobs);
        }
    }

    /// The next group, after one of so many puts.
    fn next_group(&mut self, done: usize) -> Option<Vec<Job>> {
        let queue = &self.store.queue;
        let mut waiting = queue.lock();
        waiting.under_way -= done;
        // Those that were answered just now come again, one by one: whoever took the first of them alone would sync for each.
        let share = waiting.share();
        if waiting.jobs.len() < share {
            waiting.wanted = share;
            let woken = queue.enough.wait_timeout_while(waiting, LINGER, |waiting| waiting.jobs.len() < share);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            waiting.wanted = 0;
        }
        waiting.crowd = (waiting.jobs.len() + waiting.under_way).max(waiting.crowd - waiting.crowd.div_ceil(8));
        if waiting.jobs.is_empty() {
            // Under the same lock, so that no put can believe that somebody is still coming for it.
            waiting.running -= 1;
            self.ended = true;
            return None;
        }
        let len = waiting.share().min(waiting.jobs.len());
        waiting.under_way += len;
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
