//! Work that takes long, away from the threads that connections are served on.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use axum::http::StatusCode;
use tokio::runtime::Handle;
use tokio::task::JoinError;

use crate::api_error::ApiError;
use crate::fair_share::{Client, FairShare};

/// The most bytes (inclusive) that are worked on where they are: that takes less than a
/// millisecond.
const ON_THE_SPOT: usize = 64 * 1024;

/// Runs work on the blocking pool, one piece for each processor at once. What a client has waiting
/// holds up no other.
#[derive(Clone, Debug)]
pub(crate) struct Blocking(Arc<FairShare>);

impl Blocking {
    /// Of one client there are at most `per_client` pieces of work at once, and by default as many
    /// as leave a processor to the others.
    pub(crate) fn new(per_client: Option<usize>) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::of(processors, per_client)
    }

    fn of(processors: usize, per_client: Option<usize>) -> Self {
        let per_client = per_client.unwrap_or(processors - 1);
        Self(Arc::new(FairShare::new(processors, Some(per_client))))
    }

    /// Runs `work` on a record of `bytes` bytes, for a client.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        Client(client): Client,
        bytes: usize,
        work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        if bytes <= ON_THE_SPOT {
            return work();
        }
        let turn = self.0.acquire(client, 1).await;
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
    use std::net::IpAddr;
    use std::time::Duration;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn work_of_one_client_holds_up_no_other() {
        let blocking = Blocking::of(2, None);
        let [greedy, other] = [1, 2].map(|n| Client(Some(IpAddr::from([192, 0, 2, n]).into())));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let held: Vec<_> = (0..8)
            .map(|_| {
                let (blocking, wait) = (blocking.clone(), Arc::clone(&wait));
                tokio::spawn(async move {
                    let work = move || {
                        wait.lock().unwrap().recv().unwrap();
                        Ok(())
                    };
                    blocking.run(greedy, usize::MAX, work).await
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(50)).await;
        let quick = blocking.run(other, usize::MAX, || Ok(7));
        let quick = tokio::time::timeout(Duration::from_secs(10), quick).await;
        for _ in &held {
            go.send(()).unwrap();
        }
        for held in held {
            held.await.unwrap().unwrap();
        }
        assert_eq!(quick.expect("it waited for the other client").unwrap(), 7);
    }

    #[tokio::test]
    async fn long_work_is_done_elsewhere() {
        let blocking = Blocking::new(None);
        let unknown = Client(None);
        let here = thread::current().id();
        let thread_of = async |bytes| {
            let id = blocking.run(unknown, bytes, || Ok(thread::current().id()));
            id.await.unwrap()
        };
        assert_eq!(thread_of(ON_THE_SPOT).await, here);
        assert_ne!(thread_of(ON_THE_SPOT + 1).await, here);
        let panicked = blocking.run(unknown, usize::MAX, || -> Result<(), _> {
            panic!("on purpose")
        });
        assert!(panicked.await.is_err());
        assert_ne!(thread_of(usize::MAX).await, here);
    }
}
