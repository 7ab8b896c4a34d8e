//! What a store implements.

use super::reply::{Answers, Reply};

/// A store's way to make a group of requests durable.
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
