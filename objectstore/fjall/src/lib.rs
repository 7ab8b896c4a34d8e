//! Small records in a [fjall](https://docs.rs/fjall) database: a log and sorted tables that are
//! merged in the background (a log-structured merge tree).
//!
//! Writes are fast: a group of them is one append to the log and one sync.
//!
//! - A put or batch is durable when it returns. One with
//!   [`Durability::Relaxed`](storehouse_objectstore::Durability::Relaxed) survives a crash of the
//!   process, and one of the machine once a durable one has followed.
//! - Memory: [`FjallOptions::cache`], five times [`FjallOptions::write_buffer`] while the disk is
//!   slower than the writers, and the records that are being put and read.
//! - Disk: beside the records up to 64 MiB of log for each write buffer that is in memory, and what
//!   waits to be merged.
//! - If the disk does not keep up, writers wait.
//!
//! Files: `LOCK`, `MARK` (the last acknowledged version) and the directory `fjall`.
//!
//! fjall takes damage in the middle of its log for the end of the log, cuts the log off there and
//! goes on with a shorter history. So the log is copied before it is opened, and if acknowledged
//! writes are missing then, the copy is put back and opening fails.
//!
//! `options` are the options, `open` opens and makes the database, `journal` keeps its log,
//! `tree` checks the lists of tables, `engine` reads and writes it, `error` translates fjall's
//! errors.

mod engine;
mod error;
mod journal;
mod open;
mod options;
mod store;
mod tree;

pub use engine::FjallEngine;
pub use options::FjallOptions;
pub use store::Fjall;
