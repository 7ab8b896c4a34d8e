//! A bounded copy nearby, in memory.
//!
//! Objects are cached in blocks, by key, version (ETag) and place, so a block is never of another
//! version than the one that is read. Which version is the current one is known as an
//! [`ExistenceStore`](crate::ExistenceStore) knows it: writes through this layer and the inner
//! store's events are seen at once, others' after [`CacheOptions::max_age`] at the latest.
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | get of a version that is known | gives cached blocks; from the first one that is missing on it reads, and caches, up to the end of the range's last block | 0 or 1 |
//! | get of another | reads what was asked for, and caches the whole blocks of it | 1 |
//! | get_ranges | a head and gets, as above | 0 to one for each read |
//! | head | as [`ExistenceStore`](crate::ExistenceStore) | 0 or 1 |
//! | put, copy, delete, batch | as [`ExistenceStore`](crate::ExistenceStore); blocks of old versions age out | 1 |
//! | list, list_delimited, events, presign, health, close | as the inner store | as without |
//!
//! Memory: [`CacheOptions::max_bytes`], one block for each body that fills the cache, and the
//! blocks of bodies that are read from it. Eviction is that of the crate `quick_cache` (a variant
//! of Clock-PRO), which lets blocks of leased objects stay. A crash loses the cache and nothing
//! else.

mod blocks;
mod body;
mod options;
mod store;

pub use blocks::Lease;
pub use options::CacheOptions;
pub use store::CacheStore;
