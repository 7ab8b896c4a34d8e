//! Writes that wait for the commit thread.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::entry::Tag;
use super::fault::Fault;
use crate::{BatchOp, Error};

/// What the commit thread does.
#[derive(Debug)]
pub(super) enum Work {
    Write(Write),
    /// Lets all that was written so far go into a table. Says when that begins.
    Freeze(oneshot::Sender<Result<(), Fault>>),
}

/// Writes that happen together or not at all.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) ops: Vec<BatchOp>,
    pub(super) reply: oneshot::Sender<Outcome>,
}

/// For each operation the tag of what it wrote; or why none happened.
pub(super) type Outcome = Result<Vec<Option<Tag>>, WriteFault>;

/// Why a write did not happen.
#[derive(Debug)]
pub(super) enum WriteFault {
    /// A condition did not hold.
    Refused(Error),
    Failed(Fault),
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    work: Vec<Work>,
    closed: bool,
    /// The commit thread sleeps, so it has to be woken.
    asleep: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `false` if the store is closed.
    pub(super) fn push(&self, work: Work) -> bool {
        let mut waiting = self.lock();
        if waiting.closed {
            return false;
        }
        waiting.work.push(work);
        let wake = std::mem::take(&mut waiting.asleep);
        drop(waiting);
        if wake {
            self.arrived.notify_one();
        }
        true
    }

    /// All that waits, in order; nothing if nothing came for so long. `None` once the queue is
    /// closed and empty.
    pub(super) fn take(&self, patience: Duration) -> Option<Vec<Work>> {
        let mut waiting = self.lock();
        if waiting.work.is_empty() && !waiting.closed {
            waiting.asleep = true;
            waiting = self
                .arrived
                .wait_timeout(waiting, patience)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
            waiting.asleep = false;
        }
        if waiting.work.is_empty() && waiting.closed {
            None
        } else {
            Some(std::mem::take(&mut waiting.work))
        }
    }

    /// Nothing comes in any more; what is in there is still done.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Nobody takes anything any more. Dropping what waits tells those who wait for it.
    pub(super) fn abandon(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        let orphans = std::mem::take(&mut waiting.work);
        drop(waiting);
        drop(orphans);
    }
}
