//! A bounded cache of what was read, in memory and on disk.
//!
//! Objects are cached in blocks, by key, version (ETag, size and time) and position, so a
//! read never mixes versions. The current version is remembered as in an
//! [`ExistenceStore`](crate::ExistenceStore): writes through this layer and events of the inner
//! store take effect at once, writes by others after at most [`CacheOptions::max_age`].
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | get, if the current version is known | returns cached blocks; from the first missing one on it reads and caches up to the end of the range's last block | 0 or 1 |
//! | get otherwise, if blocks may be on disk | a head, then as above | 1 or 2 |
//! | get otherwise | reads the range, and caches the blocks that lie wholly in it | 1 |
//! | get_ranges | a head and gets, as above | 0 to one for each read |
//! | head | as [`ExistenceStore`](crate::ExistenceStore) | 0 or 1 |
//! | put, copy, delete, batch | as [`ExistenceStore`](crate::ExistenceStore); blocks of old versions age out | 1 |
//! | list, list_delimited, events, presign, health, close | as the inner store | as without |
//!
//! Memory: [`CacheOptions::max_bytes`], one block for each body that fills the cache, and the
//! blocks of bodies that are read from it. Eviction is that of the crate `quick_cache` (a variant
//! of Clock-PRO); blocks of leased objects are not evicted. A crash loses the cache and nothing
//! else.
//!
//! # On disk
//!
//! The second level ([`CacheStore::with_disk`]) is any store, with one object for each block.
//! [`CacheDiskOptions`] sets its limits, times and queue. It takes some 200 bytes of memory for
//! each block.
//!
//! | | what it does | requests of the disk |
//! |---|---|---|
//! | read of a block | the block is checked against its hash, key and version, and goes to memory | 1 get |
//! | write of a block | in the background, once the body that it came from has ended well; a body that fails or is dropped leaves nothing on disk | 1 put |
//! | eviction | when a write has no room: down to the low watermark, by SIEVE; leased blocks stay | 1 delete for each block |
//! | open | lists the blocks in the background; meanwhile blocks already listed are read, and none is written | 1 list |
//! | close | waits for writes, up to [`CacheDiskOptions::close_timeout`] | 1 close |
//!
//! A damaged block is a miss and is deleted; so is one that cannot be read. A read that takes
//! longer than [`CacheDiskOptions::read_timeout`] is a miss, and the disk is left alone for
//! [`CacheDiskOptions::pause`]. Blocks that find no room in the queue, or on a disk that is full or
//! leased, are dropped and counted ([`CacheDiskStats`]). None of this fails a read, with one
//! exception: a body is read from blocks on disk as they are needed, so if one is lost and the
//! object has been replaced since the get, the body ends with a transient error.
//!
//! The hash (XXH3-128) detects damage, not forgery: a program that can write to the disk can change
//! what is read. If another inner store used an ETag, size and time again for other bytes, they
//! would be taken for the same version, in memory too, so a disk belongs to one inner store. Reads
//! that memory serves do not count as uses of the block on disk.

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
