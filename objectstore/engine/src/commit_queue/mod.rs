//! Group commit: requests that wait at the same time are made durable together.
//!
//! `queue` has the handle, `commit` what a store implements, `state` what waits, `runner` the task
//! that takes groups, `reply` how a caller learns the outcome.

mod commit;
mod options;
mod queue;
mod reply;
mod runner;
mod state;

pub use commit::{Commit, Pending};
pub use options::QueueOptions;
pub use queue::CommitQueue;
pub use reply::{Answers, Reply, Unanswered};
