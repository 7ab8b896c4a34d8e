//! Blocking work off the async threads.

use std::io;

use storehouse_objectstore::{Error, Operation, Result};

use crate::commit_queue::Unanswered;

/// Runs `work` on the blocking pool of the current runtime, whatever it returns.
///
/// # Errors
/// [`Unanswered::ShutDown`] if the runtime shuts down before `work` began,
/// [`Unanswered::Panicked`] if `work` panicked.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// use storehouse_engine::blocking;
///
/// # runtime.block_on(async {
/// assert_eq!(blocking(|| (1..=100).sum::<u64>()).await, Ok(5050));
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, Unanswered> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        if e.is_panic() {
            Unanswered::Panicked
        } else {
            Unanswered::ShutDown
        }
    })
}

/// Runs `work` on the blocking pool of the current runtime.
///
/// # Errors
/// What `work` returns. [`Error::Backend`] if the runtime shuts down before `work` began, or if
/// `work` panicked.
///
/// ```
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// use storehouse_engine::off_thread;
/// use storehouse_objectstore::Operation;
///
/// # runtime.block_on(async {
/// let sum = off_thread(Operation::Get, || Ok((1..=100).sum::<u64>())).await?;
/// assert_eq!(sum, 5050);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub async fn off_thread<T: Send + 'static>(
    operation: Operation,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    blocking(work).await.unwrap_or_else(|e| {
        Err(Error::io(
            operation,
            None,
            "the blocking task did not finish",
            io::Error::other(e),
        ))
    })
}
