//! Small records in a [redb](https://docs.rs/redb) database: a copy-on-write B-tree in one file.
//!
//! Reads are fast and never wait for writes. Each group of writes rewrites the pages on its way to
//! the root, so writes are slower than with `storehouse-fjall`.
//!
//! - A put or batch is durable when it returns.
//!   [`Durability::Relaxed`](storehouse_objectstore::Durability::Relaxed) changes nothing.
//! - Memory: [`RedbOptions::cache`], and the records that are being put and read.
//! - After a crash, opening reads the whole file once.
//!
//! Files: `LOCK`, `MARK` (the last acknowledged version), `RESERVE` (space for a full disk) and
//! `records.redb`.
//!
//! `options` are the options, `open` opens and makes the file, `disk` is the file below redb,
//! `engine` reads and writes, `reads` proves what is absent, `tree`
//! checks the way to the records, `salvage` makes a file anew from a
//! damaged one, `error` translates redb's errors.

mod disk;
mod engine;
mod error;
mod open;
mod options;
mod reads;
mod salvage;
mod store;
mod tree;

pub use engine::RedbEngine;
pub use options::RedbOptions;
pub use store::Redb;
