//! The task that takes groups and commits them, on the blocking pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};

use super::commit::{Commit, Pending};
use super::reply::Answers;
use super::state::Shared;

/// Commits groups until nothing waits any more, and then frees its thread.
pub(super) struct Runner<C: Commit> {
    shared: Arc<Shared<C>>,
    /// Requests in the group that is being committed.
    size: usize,
    permits: usize,
    ended: bool,
}

type Group<C> = Vec<Pending<<C as Commit>::Request, <C as Commit>::Answer>>;

impl<C: Commit> Runner<C> {
    /// Counted among the queue's runners already.
    pub(super) fn new(shared: Arc<Shared<C>>) -> Self {
        Self {
            shared,
            size: 0,
            permits: 0,
            ended: false,
        }
    }

    pub(super) fn run(mut self) {
        let mut answers = Answers::new();
        loop {
            let Some(group) = self.next_group(&mut answers) else {
                // Releases the committer before the last callers hear of it.
                drop(self);
                answers.send();
                return;
            };
            let committer = &self.shared.committer;
            // The group is dropped while a panic unwinds, which tells its callers.
            let _ = catch_unwind(AssertUnwindSafe(|| committer.commit(group, &mut answers)));
        }
    }

    fn next_group(&mut self, answers: &mut Answers<C::Answer>) -> Option<Group<C>> {
        let (shared, options) = (&self.shared, &self.shared.options);
        shared.room.add_permits(std::mem::take(&mut self.permits));
        let mut state = shared.lock();
        state.committing -= std::mem::take(&mut self.size);
        if !state.waiting.is_empty() || !options.linger.is_zero() {
            drop(state);
            // Callers that hear now may be back in time for this group.
            answers.send();
            state = shared.lock();
        }
        let share = state.share(options);
        if !options.linger.is_zero() && state.waiting.len() < share && !state.closed {
            let wanted = if state.lingering == 0 {
                share
            } else {
                state.wanted.min(share)
            };
            state.wanted = wanted;
            state.lingering += 1;
            let waited = shared
                .enough
                .wait_timeout_while(state, options.linger, |state| {
                    state.waiting.len() < share && !state.closed
                });
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.lingering -= 1;
        }
        let requests = state.waiting.len() + state.committing;
        let recent = state.recent_concurrency;
        state.recent_concurrency = requests.max(recent - recent.div_ceil(8));
        if state.waiting.is_empty() {
            // Under the same lock: no caller can count on a runner that has already looked.
            self.ended = true;
            state.runners -= 1;
            if state.runners == 0 {
                state.recent_concurrency = 0;
                shared.at_rest.notify_waiters();
            }
            return None;
        }
        let share = state.share(options);
        let (mut group, mut bytes) = (Vec::with_capacity(share.min(state.waiting.len())), 0);
        while let Some(next) = state.waiting.front()
            && group.len() < share
            && (group.is_empty() || bytes + next.bytes <= options.max_bytes)
            && let Some(next) = state.waiting.pop_front()
        {
            bytes += next.bytes;
            self.permits += shared.permits(next.bytes) as usize;
            group.push(next.pending);
        }
        self.size = group.len();
        state.committing += group.len();
        Some(group)
    }
}

impl<C: Commit> Drop for Runner<C> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // The runtime shut down before this began.
        let mut state = self.shared.lock();
        state.runners -= 1;
        state.committing -= self.size;
        if state.runners == 0 {
            // No runner comes for these. Dropping them tells their callers.
            let orphans = std::mem::take(&mut state.waiting);
            drop(state);
            let permits: usize = orphans
                .iter()
                .map(|w| self.shared.permits(w.bytes) as usize)
                .sum();
            drop(orphans);
            self.shared.room.add_permits(permits + self.permits);
            self.shared.at_rest.notify_waiters();
        }
    }
}
