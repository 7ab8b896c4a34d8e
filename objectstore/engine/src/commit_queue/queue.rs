//! The queue itself.

use std::fmt;
use std::sync::Arc;

use super::commit::{Commit, Pending};
use super::options::QueueOptions;
use super::reply::{Reply, Unanswered};
use super::runner::Runner;
use super::state::{Shared, Waiting};

/// A queue that commits requests in groups.
///
/// [`CommitQueue::submit`] hands in a request and waits for its answer. While requests wait, one
/// or more runners on the runtime's blocking pool take groups of them and call [`Commit::commit`];
/// an idle queue has no thread. Clones share one queue.
///
/// ```
/// use std::sync::Mutex;
/// use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
///
/// /// Numbers that are added up, a group at a time.
/// #[derive(Default)]
/// struct Sum(Mutex<u64>);
///
/// impl Commit for Sum {
///     type Request = u64;
///     type Answer = u64;
///
///     fn commit(&self, group: Vec<Pending<u64, u64>>, answers: &mut Answers<u64>) {
///         let mut sum = self.0.lock().unwrap();
///         *sum += group.iter().map(|pending| pending.request).sum::<u64>();
///         // Here a store would sync, once for all.
///         for pending in group {
///             answers.push(pending.reply, *sum);
///         }
///     }
/// }
///
/// # let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
/// # runtime.block_on(async {
/// let queue = CommitQueue::new(Sum::default(), QueueOptions::default());
/// let (a, b) = tokio::join!(queue.submit(2, 8), queue.submit(3, 8));
/// assert_eq!(a.unwrap().max(b.unwrap()), 5);
/// assert!(!queue.is_closed());
/// queue.close().await;
/// assert!(queue.is_closed() && queue.submit(1, 8).await.is_err());
/// # });
/// ```
pub struct CommitQueue<C: Commit> {
    shared: Arc<Shared<C>>,
}

impl<C: Commit> Clone for CommitQueue<C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: Commit> fmt::Debug for CommitQueue<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}

impl<C: Commit> CommitQueue<C> {
    /// An empty queue over `committer`.
    #[must_use]
    pub fn new(committer: C, options: QueueOptions) -> Self {
        Self {
            shared: Arc::new(Shared::new(committer, options)),
        }
    }

    /// The committer.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
    ///
    /// /// Counts its groups.
    /// struct Groups(AtomicU64);
    ///
    /// impl Commit for Groups {
    ///     type Request = ();
    ///     type Answer = ();
    ///
    ///     fn commit(&self, group: Vec<Pending<(), ()>>, answers: &mut Answers<()>) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///         group.into_iter().for_each(|pending| answers.push(pending.reply, ()));
    ///     }
    /// }
    ///
    /// let queue = CommitQueue::new(Groups(AtomicU64::new(0)), QueueOptions::default());
    /// queue.submit((), 0).await?;
    /// assert_eq!(queue.committer().0.load(Ordering::Relaxed), 1);
    /// queue.close().await;
    /// assert!(queue.is_closed());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn committer(&self) -> &C {
        &self.shared.committer
    }

    /// Hands in a request of `bytes` bytes and waits for its answer. Must be called on a Tokio
    /// runtime.
    ///
    /// If the queue is full ([`QueueOptions::max_waiting`]), this waits for room first. A future
    /// that is dropped while it waits for room leaves nothing behind; dropped later, the request
    /// is committed all the same.
    ///
    /// # Errors
    /// [`Unanswered`] if there is no answer. This never waits for an answer that cannot come.
    pub async fn submit(&self, request: C::Request, bytes: usize) -> Result<C::Answer, Unanswered> {
        let shared = &self.shared;
        let permit = shared.room.acquire_many(shared.permits(bytes)).await;
        // The runner that takes the request gives the permits back.
        permit.map_err(|_| Unanswered::Closed)?.forget();
        let (reply, answer) = Reply::new();
        self.push(Waiting {
            pending: Pending { request, reply },
            bytes,
        })?;
        answer.await.unwrap_or(Err(Unanswered::ShutDown))
    }

    fn push(&self, waiting: Waiting<C>) -> Result<(), Unanswered> {
        let shared = &self.shared;
        let mut state = shared.lock();
        if state.closed {
            return Err(Unanswered::Closed);
        }
        state.waiting.push_back(waiting);
        let enough = state.lingering > 0 && state.waiting.len() >= state.wanted;
        let start = state.runners < shared.options.groups_at_once;
        state.runners += usize::from(start);
        drop(state);
        if start {
            let runner = Runner::new(Arc::clone(shared));
            tokio::task::spawn_blocking(move || runner.run());
        }
        if enough {
            shared.enough.notify_all();
        }
        Ok(())
    }

    /// Takes no further request, commits what waits, and returns once that is done.
    pub async fn close(&self) {
        let shared = &self.shared;
        shared.lock().closed = true;
        shared.room.close();
        shared.enough.notify_all();
        loop {
            let mut at_rest = std::pin::pin!(shared.at_rest.notified());
            // Before the state is looked at, so that no notification is missed.
            at_rest.as_mut().enable();
            if shared.lock().is_at_rest() {
                return;
            }
            at_rest.await;
        }
    }

    /// Whether [`CommitQueue::close`] was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }
}
