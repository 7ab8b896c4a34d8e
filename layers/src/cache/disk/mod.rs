//! The second level of the cache: blocks in any store, which a restart leaves there.

mod format;
mod index;
mod options;
mod queue;
mod store;

pub use options::{CacheDiskOptions, CacheDiskStats};
pub(super) use store::{CacheDisk, DiskBlock, Reserved};
