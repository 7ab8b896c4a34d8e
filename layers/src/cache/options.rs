//! How much is cached, and for how long.

use std::time::Duration;

/// Options of a [`CacheStore`](crate::CacheStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::CacheOptions;
///
/// let options = CacheOptions::default()
///     .max_bytes(1 << 30)
///     .max_blocks(10_000)
///     .max_age(Duration::from_secs(5))
///     .block_size(1 << 20)
///     .max_keys(1000);
/// assert_eq!((options.max_bytes, options.max_blocks), (1 << 30, 10_000));
/// assert_eq!((options.block_size, options.max_keys), (1 << 20, 1000));
/// assert_eq!(options.max_age, Duration::from_secs(5));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheOptions {
    /// The most memory for blocks, in bytes (inclusive), with some 200 for each besides its own.
    /// Leased objects may exceed it. 256 MiB by default.
    pub max_bytes: u64,
    /// The most blocks. No limit by default.
    pub max_blocks: usize,
    /// For how long a block is used, and a version is taken for the current one. 60 seconds by
    /// default.
    pub max_age: Duration,
    /// The size of a block, in bytes: 64 KiB to 4 MiB (both inclusive), others are taken as the
    /// nearest. 256 KiB by default.
    pub block_size: u64,
    /// The most objects whose current version is known. 100,000 by default.
    pub max_keys: usize,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self {
            max_bytes: 256 * 1024 * 1024,
            max_blocks: usize::MAX,
            max_age: Duration::from_secs(60),
            block_size: 256 * 1024,
            max_keys: 100_000,
        }
    }
}

impl CacheOptions {
    /// With at most this much memory for blocks, in bytes (inclusive).
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// With at most this number of blocks.
    #[must_use]
    pub fn max_blocks(mut self, blocks: usize) -> Self {
        self.max_blocks = blocks;
        self
    }

    /// With this time for which a block and a version are used.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = time;
        self
    }

    /// With this size of a block, in bytes.
    #[must_use]
    pub fn block_size(mut self, bytes: u64) -> Self {
        self.block_size = bytes;
        self
    }

    /// With at most this number of objects whose version is known.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }
}
