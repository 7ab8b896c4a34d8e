//! The puts that wait for their group, and the tasks that commit them.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::commit::Job;
use super::store::Store;
use storehouse_objectstore::Durability;

/// The most puts in a group. Each holds two file handles for a while.
const MAX_GROUP: usize = 128;

/// The most groups at once: one writes while the other syncs.
const MAX_RUNNING: usize = 2;

/// How long a group waits for puts that are likely to come: less than most disks take for a sync.
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
    /// Groups that wait for more puts.
    lingering: usize,
    /// The fewest for which one of these waits.
    wanted: usize,
}

impl Waiting {
    /// Half of those that there are, so that both groups that run are of one size.
    fn share(&self) -> usize {
        self.crowd
            .max(self.jobs.len() + self.under_way)
            .div_ceil(MAX_RUNNING)
            .min(MAX_GROUP)
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("jobs", &self.jobs.len())
            .field("running", &self.running)
            .finish()
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
        let enough = waiting.lingering > 0 && waiting.jobs.len() >= waiting.wanted;
        if waiting.running < MAX_RUNNING {
            waiting.running += 1;
            drop(waiting);
            let runner = Runner {
                store: Arc::clone(self),
                size: 0,
                ended: false,
            };
            tokio::task::spawn_blocking(move || runner.run());
        } else {
            drop(waiting);
        }
        if enough {
            self.queue.enough.notify_all();
        }
    }
}

/// Commits groups until nothing waits any more. No thread is kept beyond that.
struct Runner {
    store: Arc<Store>,
    /// Puts in the group that it commits.
    size: usize,
    ended: bool,
}

impl Runner {
    fn run(mut self) {
        while let Some(jobs) = self.next_group() {
            self.store.commit_group(jobs);
        }
    }

    fn next_group(&mut self) -> Option<Vec<Job>> {
        let queue = &self.store.queue;
        let mut waiting = queue.lock();
        waiting.under_way -= std::mem::take(&mut self.size);
        // Those that were answered just now come again, one by one: whoever took the first of them
        // alone would sync for each.
        let share = waiting.share();
        if waiting.jobs.len() < share {
            waiting.wanted = if waiting.lingering == 0 {
                share
            } else {
                waiting.wanted.min(share)
            };
            waiting.lingering += 1;
            let woken = queue
                .enough
                .wait_timeout_while(waiting, LINGER, |waiting| waiting.jobs.len() < share);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
            waiting.lingering -= 1;
        }
        waiting.crowd =
            (waiting.jobs.len() + waiting.under_way).max(waiting.crowd - waiting.crowd.div_ceil(8));
        if waiting.jobs.is_empty() {
            // Under the same lock, so that no put can believe that somebody is still coming for it.
            waiting.running -= 1;
            if waiting.running == 0 {
                waiting.crowd = 0;
            }
            self.ended = true;
            return None;
        }
        let len = waiting.share().min(waiting.jobs.len());
        self.size = len;
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
        waiting.under_way -= self.size;
        if waiting.running == 0 {
            // Nobody comes for these. Dropping them tells their callers, if there are any left.
            let orphans = std::mem::take(&mut waiting.jobs);
            drop(waiting);
            drop(orphans);
        }
    }
}
