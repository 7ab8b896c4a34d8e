//! The datastore backend: small records in an embedded database.
//!
//! A store is a directory. What is put goes to a write-ahead log, one write and one sync for all
//! puts that wait, and into memory. When 64 MiB have come together, they are written to a *table*,
//! a sorted file that never changes, and the log begins anew. Tables of similar size are merged in
//! the background. A get looks into memory and then into the few tables whose filters do not rule
//! the key out; a listing merges all of them.
//!
//! - A put or batch is durable when it returns, and after a crash all of it is there or none.
//!   [`Durability::Relaxed`](crate::Durability::Relaxed) changes nothing.
//! - Reads do not wait for writes or merges, and read on the spot what is in memory or in the
//!   system's cache. Only where the disk must be waited for does a blocking task read.
//! - Each record carries a checksum of key and value together that is made when it is put and
//!   checked when it is read; so does each block, index and log frame. What is damaged is an error,
//!   never another record, and [`Datastore::check`] finds all of it.
//! - A body is held in memory until it is committed, so records are limited in size
//!   ([`DatastoreOptions::max_size`]).
//!
//! Files: `LOCK`, `MANIFEST` (module `manifest` has the format), `*.table` (`table`, `block`,
//! `index`, `filter`), `*.log` (`log`), the last two made of frames (`frame`) and of entries
//! (`entry`).
//!
//! Architecture invariants: files are reached through the trait `Disk` alone; a table never
//! changes; nobody waits for a disk while holding the lock of what readers see; what was not in the
//! log when a write was acknowledged is in no table.

mod block;
mod builder;
mod cache;
mod check;
mod closing;
mod commit;
mod compact;
mod core;
mod disk;
mod entry;
mod fault;
mod filter;
mod flush;
mod frame;
mod index;
mod list;
mod log;
mod manifest;
mod memory;
mod memtable;
mod merge;
mod open;
mod options;
mod page;
mod queue;
mod store;
mod table;
mod walk;

#[cfg(test)]
mod tests;

pub use check::CheckReport;
pub use fault::Damage;
pub use options::DatastoreOptions;
pub use store::Datastore;

use self::core::Core;
use fault::Fault;
