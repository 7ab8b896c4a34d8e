//! Blocking work off the async threads.

use std::io;

use storehouse_objectstore::{Error, Operation, Result};

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
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| {
        Err(Error::io(
            operation,
            None,
            "the blocking task did not finish",
            io::Error::other(e),
        ))
    })
}
