//! A reader of LevelDB databases, as LevelDB's own documents describe them (`doc/log_format.md`,
//! `doc/table_format.md`, `doc/impl.md`).
//!
//! It reads and changes nothing: opening a database with an engine rewrites its files. Nor does it
//! make a copy, which for a database of keys would leave one of each on the disk; what it holds of
//! values is wiped when dropped. [`Database::records`] merges tables and logs as it goes, with a
//! block of each table in memory. Damage is an error, except for a torn record at the end of a log,
//! which was never acknowledged.
//!
//! ```
//! # let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../stores/tests/vectors/data_dir/allocation");
//! let database = storehouse_formats::leveldb::Database::open(dir)?;
//! let mut bytes = 0;
//! for record in database.records()? {
//!     let (key, value) = record?;
//!     bytes += key.len() + value.len();
//! }
//! assert!(bytes > 0);
//! # Ok::<(), storehouse_formats::leveldb::LevelDbError>(())
//! ```

mod bytes;
mod database;
mod error;
mod file;
mod log;
mod manifest;
mod memtable;
mod merge;
mod table;
mod version;

pub use database::Database;
pub use error::LevelDbError;
pub use merge::Records;
