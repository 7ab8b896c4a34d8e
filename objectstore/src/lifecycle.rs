//! Whether a store is open, and what still runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::{Error, Key, Operation, Result};

/// The bit that says that the store is closed; the others count the operations under way.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// Whether a store is open, and the operations that run on it. For writers of backends; clones
/// share it.
///
/// An operation that changes something holds a [`RunningOperation`] until it is done, also where it
/// goes on after its caller has dropped it. A read only [checks](Lifecycle::check).
///
/// ```
/// use storehouse_objectstore::{Lifecycle, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let lifecycle = Lifecycle::default();
/// let put = lifecycle.enter(Operation::Put, None)?;
/// drop(put);
/// lifecycle.close().await;
/// assert!(lifecycle.enter(Operation::Put, None).unwrap_err().is_closed());
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    shared: Arc<SharedLifecycle>,
}

#[derive(Debug, Default)]
struct SharedLifecycle {
    running: AtomicUsize,
    at_rest: Notify,
}

/// An operation that [`Lifecycle::close`] waits for, until this is dropped.
#[derive(Debug)]
pub struct RunningOperation(Arc<SharedLifecycle>);

impl Lifecycle {
    /// Whether the store is open: one atomic load.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Lifecycle, Operation};
    ///
    /// let lifecycle = Lifecycle::default();
    /// lifecycle.check(Operation::Get, None)?;
    /// lifecycle.close().await;
    /// assert!(lifecycle.check(Operation::Get, None).unwrap_err().is_closed());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn check(&self, operation: Operation, key: Option<&Key>) -> Result<()> {
        if self.is_closed() {
            Err(Error::closed(operation, key))
        } else {
            Ok(())
        }
    }

    /// Whether [`Lifecycle::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.running.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Begins an operation that [`Lifecycle::close`] waits for.
    ///
    /// # Errors
    /// [`Error::Closed`].
    pub fn enter(&self, operation: Operation, key: Option<&Key>) -> Result<RunningOperation> {
        let before = self.shared.running.fetch_add(1, Ordering::AcqRel);
        // From here on dropping it counts down again.
        let running = RunningOperation(Arc::clone(&self.shared));
        if before & CLOSED == 0 {
            Ok(running)
        } else {
            drop(running);
            Err(Error::closed(operation, key))
        }
    }

    /// Refuses operations from now on, and waits until those under way have ended. Calling it again
    /// waits as well; dropping the future leaves the store closed.
    pub async fn close(&self) {
        self.shared.running.fetch_or(CLOSED, Ordering::AcqRel);
        loop {
            let at_rest = self.shared.at_rest.notified();
            let mut at_rest = std::pin::pin!(at_rest);
            // Before looking, so that an end between the look and the wait is not missed.
            at_rest.as_mut().enable();
            if self.shared.running.load(Ordering::Acquire) == CLOSED {
                return;
            }
            at_rest.await;
        }
    }
}

impl Drop for RunningOperation {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            self.0.at_rest.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn close_waits_for_what_runs_and_refuses_the_rest() {
        let lifecycle = Lifecycle::default();
        let first = lifecycle.enter(Operation::Put, None).unwrap();
        let second = lifecycle.enter(Operation::Delete, None).unwrap();
        let mut task = closing(lifecycle.clone());
        assert!(!task.ended().await, "two operations run");
        assert!(
            lifecycle
                .check(Operation::Get, None)
                .unwrap_err()
                .is_closed()
        );
        assert!(
            lifecycle
                .enter(Operation::Put, None)
                .unwrap_err()
                .is_closed()
        );
        drop(first);
        assert!(!task.ended().await, "one operation runs");
        drop(second);
        task.0.await.unwrap();
        lifecycle.close().await;
    }

    struct Closing(tokio::task::JoinHandle<()>);

    fn closing(lifecycle: Lifecycle) -> Closing {
        Closing(tokio::spawn(async move { lifecycle.close().await }))
    }

    impl Closing {
        /// Whether it has ended once it had every chance to.
        async fn ended(&mut self) -> bool {
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            self.0.is_finished()
        }
    }
}
