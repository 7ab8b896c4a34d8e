//! What is to be done on disk, off the path of reads.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::format::DiskId;

pub(super) enum Job {
    Write {
        id: DiskId,
        header: Bytes,
        bytes: Bytes,
        reserved: Reserved,
    },
    Remove(DiskId),
}

/// Jobs in order, done by one task at a time.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    rests: Notify,
    reserved: Arc<AtomicU64>,
}

#[derive(Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    /// A task is at it.
    running: bool,
    closed: bool,
}

/// Room for a block that may be written, until dropped.
#[derive(Debug)]
pub(in crate::cache) struct Reserved {
    total: Arc<AtomicU64>,
    bytes: u64,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.total.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Room for this many bytes, if no more than `most` are reserved then.
    pub(super) fn reserve(&self, bytes: u64, most: u64) -> Option<Reserved> {
        let fits = |total: u64| total.checked_add(bytes).filter(|total| *total <= most);
        self.reserved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .ok()?;
        Some(Reserved {
            total: Arc::clone(&self.reserved),
            bytes,
        })
    }

    pub(super) fn push(&self, job: Job) {
        let mut state = self.state();
        if !state.closed {
            state.jobs.push_back(job);
        }
    }

    /// Whether the caller is to run a task, since none is at it.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Running> {
        let mut state = self.state();
        if state.running || state.closed {
            return None;
        }
        state.running = true;
        Some(Running {
            queue: Arc::clone(self),
            ended: false,
        })
    }

    /// Waits until no job is left and no task is at it.
    pub(super) async fn rest(&self) {
        loop {
            let rests = self.rests.notified();
            let mut rests = std::pin::pin!(rests);
            // Before looking, so that an end between the look and the wait is not missed.
            rests.as_mut().enable();
            if !self.state().running {
                return;
            }
            rests.await;
        }
    }

    /// Drops all jobs, those to come too.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.jobs.clear();
    }
}

/// A task that does the jobs. If it is dropped before the end, another one may begin.
pub(super) struct Running {
    queue: Arc<Queue>,
    ended: bool,
}

impl Running {
    /// The next job; `None` ends the task.
    pub(super) fn next(&mut self) -> Option<Job> {
        let mut state = self.queue.state();
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.running = false;
            self.ended = true;
            drop(state);
            self.queue.rests.notify_waiters();
        }
        job
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.queue.state().running = false;
            self.queue.rests.notify_waiters();
        }
    }
}
