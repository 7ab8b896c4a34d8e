//! Work that takes long, away from the threads that connections are served on.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use axum::http::StatusCode;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinError;

use crate::api_error::ApiError;

/// The most bytes (inclusive) that are worked on where they are: that takes less than a
/// millisecond.
const ON_THE_SPOT: usize = 64 * 1024;

/// Runs work on the blocking pool, one piece for each processor at once.
#[derive(Clone, Debug)]
pub(crate) struct Blocking(Arc<Semaphore>);

impl Blocking {
    pub(crate) fn new() -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(processors)))
    }

    /// Runs `work` on a record of `len` bytes.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if bytes <= ON_THE_SPOT {
            return work();
        }
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn; // given back when the work ends, also if no one waits for it any more
            work()
        });
        done.await.unwrap_or_else(|e| Err(ended_early(e)))
    }

    /// Waits for a store that may work long on what it finds. Waiting takes no turn of the work.
    pub(crate) async fn wait_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, ApiError> {
        let runtime = Handle::current();
        let done = tokio::task::spawn_blocking(move || runtime.block_on(future));
        done.await.map_err(ended_early)
    }
}

fn ended_early(error: JoinError) -> ApiError {
    tracing::error!("work on a record ended early: {error}");
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal",
        "the node failed; its log says how",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_work_is_done_elsewhere() {
        let blocking = Blocking::new();
        let here = thread::current().id();
        let thread_of = async |bytes| {
            let id = blocking.run(bytes, || Ok(thread::current().id()));
            id.await.unwrap()
        };
        assert_eq!(thread_of(ON_THE_SPOT).await, here);
        assert_ne!(thread_of(ON_THE_SPOT + 1).await, here);
        let panicked = blocking.run(usize::MAX, || -> Result<(), _> { panic!("on purpose") });
        assert!(panicked.await.is_err());
        assert_ne!(thread_of(usize::MAX).await, here);
    }
}
