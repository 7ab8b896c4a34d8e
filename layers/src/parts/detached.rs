//! Work that goes on to its end although its caller stops polling it.
//!
//! A step on two stores holds a lock between the first and the second. A caller may drop the
//! operation there, or leave it unpolled while it waits for another one that needs the same lock.
//! So such steps run in a task of their own.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::runtime::Handle;
use tokio::task::JoinHandle;

/// Runs `work` to its end in a task of its own, whether or not the caller waits for it. Outside of
/// a Tokio runtime it runs in place, and ends when the caller drops it.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    match Handle::try_current() {
        Ok(runtime) => joined(&mut runtime.spawn(work)).await,
        Err(_) => work.await,
    }
}

/// Runs `work` in a task of its own, which ends with the caller's future until `work` passes its
/// [`CommitPoint`], and goes on to its end from there.
pub(crate) async fn detached_put<T, F>(work: impl FnOnce(CommitPoint) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let point = CommitPoint::default();
    let work = work(point.clone());
    match Handle::try_current() {
        Ok(runtime) => {
            let mut task = AbortOnDrop {
                task: runtime.spawn(work),
                point,
            };
            joined(&mut task.task).await
        }
        Err(_) => work.await,
    }
}

async fn joined<T>(task: &mut JoinHandle<T>) -> T {
    match task.await {
        Ok(output) => output,
        Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
        // The runtime is shutting down, and this task with it.
        Err(_) => std::future::pending().await,
    }
}

const OPEN: u8 = 0;
const PASSED: u8 = 1;
const CANCELLED: u8 = 2;

/// The point from which on a put is not cancelled any more.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommitPoint(Arc<AtomicU8>);

impl CommitPoint {
    /// Passes the point. If the caller is gone already this never returns: the task is about to be
    /// aborted.
    pub(crate) async fn pass(&self) {
        if !self.leave_open(PASSED) {
            std::future::pending::<()>().await;
        }
    }

    fn leave_open(&self, state: u8) -> bool {
        let changed = self
            .0
            .compare_exchange(OPEN, state, Ordering::AcqRel, Ordering::Acquire);
        changed.is_ok() || changed == Err(state)
    }
}

struct AbortOnDrop<T> {
    task: JoinHandle<T>,
    point: CommitPoint,
}

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        if self.point.leave_open(CANCELLED) {
            self.task.abort();
        }
    }
}
