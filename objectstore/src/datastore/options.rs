//! Options of opening.

use crate::{Error, Result};

/// Options of [`Datastore::open`](super::Datastore::open). Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatastoreOptions {
    /// The largest record (inclusive), at most 1 GiB: 16 MiB. A put holds its record in memory.
    pub max_size: u64,
    /// The most memory that the cache of blocks takes up: 384 MiB, which holds a million
    /// allocations. It is taken as it is needed. What is not in there is read through the system's
    /// cache.
    pub cache: usize,
    /// How many bytes of records are collected in memory before they are written to a table, at
    /// least 64 KiB: 64 MiB. Up to twice as many are in memory. Opening after a crash reads as many
    /// from the log.
    pub write_buffer: usize,
    /// Opens a store whose log is damaged: the log is copied aside (`….log.damaged`), and what can
    /// be read of it is kept. Records that were written last may then be missing or have an earlier
    /// value. Without it such a store is not opened.
    pub salvage: bool,
}

impl Default for DatastoreOptions {
    fn default() -> Self {
        Self {
            max_size: 16 << 20,
            cache: 384 << 20,
            write_buffer: 64 << 20,
            salvage: false,
        }
    }
}

impl DatastoreOptions {
    pub(super) fn validate(&self) -> Result<()> {
        if self.max_size > 1 << 30 {
            return Err(Error::config(
                "max_size",
                "a datastore's records have at most 1 GiB",
            ));
        }
        if self.write_buffer < 64 << 10 {
            return Err(Error::config(
                "write_buffer",
                "a datastore collects at least 64 KiB before it writes a table",
            ));
        }
        Ok(())
    }
}
