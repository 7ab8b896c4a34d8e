//! A bounded copy nearby, in memory and on disk.
//!
//! Objects are cached in blocks, by key, version (ETag) and place, so a block is never of another
//! version than the one that is read. Which version is the current one is known as an
//! [`ExistenceStore`](crate::ExistenceStore) knows it: writes through this layer and the inner
//! store's events are seen at once, others' after [`CacheOptions::max_age`] at the latest.
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | get of a version that is known | gives cached blocks; from the first one that is missing on it reads, and caches, up to the end of the range's last block | 0 or 1 |
//! | get of another, of which blocks may be on disk | a head, then as above | 1 or 2 |
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
//!
//! # On disk
//!
//! The second level ([`CacheStore::with_disk`]) is any store, with an object for each block. Its
//! limits, times and queue are [`CacheDiskOptions`]; what it needs besides is some 200 bytes of
//! memory for each block.
//!
//! | | what it does | requests of the disk |
//! |---|---|---|
//! | read of a block | the block is checked against its hash, key and version, and goes to memory | 1 get |
//! | write of a block | in the background, once the body that it came from has ended well; a body that fails or is dropped leaves nothing on disk | 1 put |
//! | eviction | when a write has no room: down to the low mark, the leased stay (SIEVE) | 1 delete for each block |
//! | open | its blocks are listed in the background; those that are known are read meanwhile, none is written | 1 list |
//! | close | waits for writes, up to [`CacheDiskOptions::close_timeout`] | 1 close |
//!
//! A damaged block is a miss and is deleted; so is one that cannot be read. A read that takes
//! longer than [`CacheDiskOptions::read_timeout`] is a miss, and the disk is left alone for
//! [`CacheDiskOptions::pause`]. Blocks that find no room in the queue, or on a disk that is full or
//! leased, are dropped and counted ([`CacheDiskStats`]). None of this fails a read, with one
//! exception: a body is read from blocks on disk as they are needed, so if one is lost and the
//! object has been replaced since the get, the body ends with a transient error.
//!
//! The hash (XXH3-128) finds damage, not forgery: who can write to the disk can write what is
//! read. An ETag, size and time that the inner store uses again for other bytes would be taken for
//! the same version, so a disk belongs to one inner store. Blocks that are used in memory count as
//! unused on disk.

mod blocks;
mod body;
mod disk;
mod fill;
mod leases;
mod levels;
mod options;
mod store;

pub use disk::{CacheDiskOptions, CacheDiskStats};
pub use leases::Lease;
pub use options::CacheOptions;
pub use store::CacheStore;
