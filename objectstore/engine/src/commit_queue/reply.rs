//! How a caller learns the outcome.

use storehouse_objectstore::{Error, ErrorClass, Key, Operation};
use tokio::sync::oneshot;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unanswered {
    /// The queue was closed before the request entered it. Nothing happened.
    #[error("the store is closed")]
    Closed,
    /// The commit panicked. All, a part or nothing of its group happened.
    #[error("committing a group of writes panicked")]
    Panicked,
    /// The runtime shut down first. The request may have happened.
    #[error("the runtime shut down while the write waited")]
    ShutDown,
}

impl Unanswered {
    /// The error that the caller of a store sees.
    ///
    /// ```
    /// use storehouse_engine::Unanswered;
    /// use storehouse_objectstore::Operation;
    ///
    /// let error = Unanswered::Closed.into_error(Operation::Batch, None);
    /// assert_eq!(error.to_string(), "batch: the store is closed");
    /// ```
    #[must_use]
    pub fn into_error(self, operation: Operation, key: Option<&Key>) -> Error {
        if self == Self::Closed {
            return Error::closed(operation, key);
        }
        let (key, message) = (key.cloned(), self.to_string());
        Error::Backend {
            operation,
            key,
            class: ErrorClass::Fatal,
            message,
            source: None,
        }
    }
}

/// Where a caller waits for the answer to its request.
///
/// If it is dropped unanswered, the caller gets an [`Unanswered`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
///
/// /// Doubles numbers; there is nothing to sync, so each is answered at once.
/// struct Double;
///
/// impl Commit for Double {
///     type Request = u64;
///     type Answer = u64;
///
///     fn commit(&self, group: Vec<Pending<u64, u64>>, _: &mut Answers<u64>) {
///         for Pending { request, reply } in group {
///             if !reply.is_cancelled() {
///                 reply.send(2 * request);
///             }
///         }
///     }
/// }
///
/// assert_eq!(CommitQueue::new(Double, QueueOptions::default()).submit(21, 8).await?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Reply<A>(Option<oneshot::Sender<Result<A, Unanswered>>>);

/// The caller's side of a [`Reply`].
pub(super) type Answer<A> = oneshot::Receiver<Result<A, Unanswered>>;

impl<A> Reply<A> {
    pub(super) fn new() -> (Self, Answer<A>) {
        let (sender, answer) = oneshot::channel();
        (Self(Some(sender)), answer)
    }

    /// Answers at once. A caller that is gone does not mind.
    pub fn send(mut self, answer: A) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Ok(answer));
        }
    }

    /// Whether the caller no longer waits.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

impl<A> Drop for Reply<A> {
    fn drop(&mut self) {
        if let Some(sender) = self.0.take() {
            let panicking = std::thread::panicking();
            let why = if panicking {
                Unanswered::Panicked
            } else {
                Unanswered::ShutDown
            };
            let _ = sender.send(Err(why));
        }
    }
}

/// Answers that are sent once their group is done.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
///
/// /// Tells each caller how many share its sync.
/// struct Crowd;
///
/// impl Commit for Crowd {
///     type Request = ();
///     type Answer = usize;
///
///     fn commit(&self, group: Vec<Pending<(), usize>>, answers: &mut Answers<usize>) {
///         let size = group.len();
///         for pending in group {
///             answers.push(pending.reply, size);
///         }
///     }
/// }
///
/// assert_eq!(CommitQueue::new(Crowd, QueueOptions::default()).submit((), 0).await?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Answers<A>(Vec<(Reply<A>, A)>);

impl<A> Answers<A> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Answers `reply` once the group is done.
    pub fn push(&mut self, reply: Reply<A>, answer: A) {
        self.0.push((reply, answer));
    }

    pub(super) fn send(&mut self) {
        self.0
            .drain(..)
            .for_each(|(reply, answer)| reply.send(answer));
    }
}
