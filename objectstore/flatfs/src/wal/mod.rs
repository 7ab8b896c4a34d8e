//! The write-ahead log of small puts: their bytes are durable here first, by one sync of one file
//! for all that wait, and in their own files later.
//!
//! A put's record is on disk before its file gets its name, so no crash leaves a name without bytes
//! that the log has. A checkpoint thread, alive while the log holds anything, syncs the files and
//! starts the log anew. Whatever changes a key that has a record in the log leaves a record as
//! well, so recovery never puts back anything older than what was acknowledged.
//!
//! `frame` has the bytes, `segment` one file of the log, `group_commit` appends to it, `checkpoint`
//! empties it, `recover` applies what a crash left, `apply` puts objects in place, `log` holds it
//! together. With the log off, `group_commit` still serializes changes of names.

mod apply;
mod checkpoint;
mod frame;
mod group_commit;
mod log;
mod recover;
mod segment;

pub(super) use group_commit::{NamesGuard, SyncPoint};
pub(super) use log::{Wal, WalOptions};
pub(super) use recover::recover;
#[cfg(test)]
pub(super) use segment::NAMES;
