//! What local object stores stand on.
//!
//! - [`CommitQueue`] makes groups of the requests that wait at the same time, so that they share
//!   one sync.
//! - [`RecordStore`] is an object store over any sorted key-value [`Engine`].
//! - [`DirLock`] keeps a data directory to one store.
//! - [`files`] has what stores of files share: system calls, temporary files, reads, tags.
//! - [`Reserve`] keeps space back, to be given up when the disk is full.
//! - [`off_thread`] and [`blocking`] run blocking work on the blocking pool.
//!
//! This crate is for writers of backends. Applications use the backends.
//!
//! Architecture invariants: nothing here names a backend; outside of [`files`] nothing here
//! opens a file other than a directory's lock, its reserve and a record store's mark.

mod commit_queue;
mod dir_lock;
#[cfg(unix)]
pub mod files;
mod off_thread;
mod records;
mod reserve;

pub use commit_queue::{Answers, Commit, CommitQueue, Pending, QueueOptions, Reply, Unanswered};
pub use dir_lock::DirLock;
pub use off_thread::{blocking, off_thread};
pub use records::{
    CheckReport, Engine, EngineStats, Fault, KeyRange, Limits, RecordStats, RecordStore,
    SalvageReport, Span, Visit, proven_version,
};
pub use reserve::Reserve;
