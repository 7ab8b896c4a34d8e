//! What waits in a queue.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use super::commit::{Commit, Pending};
use super::options::QueueOptions;

/// Bytes that a permit of [`Shared::room`] stands for.
const PERMIT: usize = 1024;

/// What a queue and its runners share.
pub(super) struct Shared<C: Commit> {
    pub(super) committer: C,
    pub(super) options: QueueOptions,
    state: Mutex<State<C>>,
    /// Room for further requests.
    pub(super) room: Semaphore,
    /// As many requests wait as a lingering group wants.
    pub(super) enough: Condvar,
    /// No request waits and no group is being committed.
    pub(super) at_rest: Notify,
}

pub(super) struct State<C: Commit> {
    pub(super) waiting: VecDeque<Waiting<C>>,
    pub(super) runners: usize,
    /// Requests in the groups that are being committed.
    pub(super) committing: usize,
    /// The number of requests at a time, lately.
    pub(super) recent_concurrency: usize,
    /// Groups that linger.
    pub(super) lingering: usize,
    /// The fewest waiting requests for which a lingering group wants to be woken.
    pub(super) wanted: usize,
    pub(super) closed: bool,
}

pub(super) struct Waiting<C: Commit> {
    pub(super) pending: Pending<C::Request, C::Answer>,
    pub(super) bytes: usize,
}

impl<C: Commit> Shared<C> {
    pub(super) fn new(committer: C, options: QueueOptions) -> Self {
        let options = QueueOptions {
            max_requests: options.max_requests.max(1),
            groups_at_once: options.groups_at_once.max(1),
            ..options
        };
        let state = State {
            waiting: VecDeque::new(),
            runners: 0,
            committing: 0,
            recent_concurrency: 0,
            lingering: 0,
            wanted: 0,
            closed: false,
        };
        let permits = (options.max_waiting / PERMIT).clamp(1, u32::MAX as usize);
        Self {
            committer,
            options: QueueOptions {
                max_waiting: permits * PERMIT,
                ..options
            },
            state: Mutex::new(state),
            room: Semaphore::new(permits),
            enough: Condvar::new(),
            at_rest: Notify::new(),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State<C>> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The permits of [`Shared::room`] that a request needs.
    pub(super) fn permits(&self, bytes: usize) -> u32 {
        // Bounded by the number of all permits, which fits.
        (bytes.min(self.options.max_waiting).div_ceil(PERMIT)).max(1) as u32
    }
}

impl<C: Commit> State<C> {
    pub(super) fn is_at_rest(&self) -> bool {
        self.runners == 0 && self.waiting.is_empty()
    }

    /// The size of the next group: an equal share for each of the groups at once.
    pub(super) fn share(&self, options: &QueueOptions) -> usize {
        let requests = self
            .recent_concurrency
            .max(self.waiting.len() + self.committing);
        requests
            .div_ceil(options.groups_at_once)
            .min(options.max_requests)
    }
}

impl<C: Commit> fmt::Debug for Shared<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("CommitQueue")
            .field("waiting", &state.waiting.len())
            .field("committing", &state.committing)
            .field("closed", &state.closed)
            .finish_non_exhaustive()
    }
}
