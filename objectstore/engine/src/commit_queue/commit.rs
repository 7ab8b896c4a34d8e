//! What a store implements.

use super::reply::{Answers, Reply};

/// A store's way to make a group of requests durable.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::sync::Mutex;
/// use storehouse_engine::{Answers, Commit, CommitQueue, Pending, QueueOptions};
///
/// /// Lines of a log that is synced once for each group.
/// #[derive(Default)]
/// struct Log(Mutex<Vec<String>>);
///
/// impl Commit for Log {
///     type Request = String;
///     type Answer = Result<usize, &'static str>;
///
///     fn commit(
///         &self,
///         group: Vec<Pending<String, Self::Answer>>,
///         answers: &mut Answers<Self::Answer>,
///     ) {
///         let mut log = self.0.lock().unwrap();
///         for Pending { request, reply } in group {
///             if request.contains('\n') {
///                 reply.send(Err("a line has no end of line in it"));
///             } else if !reply.is_cancelled() {
///                 log.push(request);
///                 answers.push(reply, Ok(log.len()));
///             }
///         }
///         // The sync comes here, before the answers are sent.
///     }
/// }
///
/// let queue = CommitQueue::new(Log::default(), QueueOptions::default());
/// assert_eq!(queue.submit("one".into(), 3).await?, Ok(1));
/// assert!(queue.submit("one\ntwo".into(), 7).await?.is_err());
/// assert_eq!(*queue.committer().0.lock().unwrap(), ["one"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Commit: Send + Sync + 'static {
    /// What callers hand in.
    type Request: Send + 'static;
    /// What callers are told.
    type Answer: Send + 'static;

    /// Commits `group`, whose requests are in the order in which they came. Runs on the blocking
    /// pool.
    ///
    /// Each request is answered at once, by [`Reply::send`], or when the group is done, by
    /// [`Answers::push`]. Callers answered through `answers` find the committer released: one that
    /// drops the store and opens its directory again does not meet this group's runner, unless the
    /// queue [lingers](crate::QueueOptions::linger). A request without an answer, also because
    /// this panics, is answered with [`Unanswered`](crate::Unanswered).
    fn commit(
        &self,
        group: Vec<Pending<Self::Request, Self::Answer>>,
        answers: &mut Answers<Self::Answer>,
    );
}

/// A request and the way to answer it.
#[derive(Debug)]
pub struct Pending<R, A> {
    /// What the caller handed in.
    pub request: R,
    /// Where the caller waits.
    pub reply: Reply<A>,
}
