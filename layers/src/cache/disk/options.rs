//! How much is cached on disk, and what became of it.

use std::time::Duration;

/// Options of the second level of a [`CacheStore`](crate::CacheStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::CacheDiskOptions;
///
/// let options = CacheDiskOptions::default()
///     .max_bytes(50 << 30)
///     .max_blocks(100_000)
///     .max_age(Duration::from_secs(3600))
///     .low_watermark(80)
///     .queue_bytes(16 << 20)
///     .read_timeout(Duration::from_millis(20))
///     .pause(Duration::from_secs(10))
///     .close_timeout(Duration::from_secs(1));
/// assert_eq!((options.max_bytes, options.max_blocks), (50 << 30, 100_000));
/// assert_eq!((options.low_watermark, options.queue_bytes), (80, 16 << 20));
/// assert_eq!(options.max_age, Duration::from_secs(3600));
/// assert_eq!(options.read_timeout, Duration::from_millis(20));
/// assert_eq!(options.pause, Duration::from_secs(10));
/// assert_eq!(options.close_timeout, Duration::from_secs(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheDiskOptions {
    /// The most bytes of blocks on disk (inclusive), with what each has besides its own: some 100
    /// bytes and the object's key. 10 GiB by default.
    pub max_bytes: u64,
    /// The most blocks. No limit by default.
    pub max_blocks: usize,
    /// For how long a block is used after it was written. 7 days by default.
    pub max_age: Duration,
    /// How much stays when there is no room, in percent of `max_bytes` and `max_blocks`, 0 to 100
    /// (both inclusive, more is taken as 100). 90 by default.
    pub low_watermark: u8,
    /// The most bytes of blocks that wait to be written, among them those of bodies that are still
    /// being read (inclusive). Further blocks are not written. 64 MiB by default.
    pub queue_bytes: u64,
    /// How long a read of a block may take; then the inner store is read. 250 milliseconds by
    /// default.
    pub read_timeout: Duration,
    /// For how long the disk is not read after a read that took too long. 1 second by default.
    pub pause: Duration,
    /// How long a close waits for blocks to be written. 5 seconds by default.
    pub close_timeout: Duration,
}

impl Default for CacheDiskOptions {
    fn default() -> Self {
        Self {
            max_bytes: 10 << 30,
            max_blocks: usize::MAX,
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
            low_watermark: 90,
            queue_bytes: 64 << 20,
            read_timeout: Duration::from_millis(250),
            pause: Duration::from_secs(1),
            close_timeout: Duration::from_secs(5),
        }
    }
}

impl CacheDiskOptions {
    /// With at most this number of bytes on disk (inclusive).
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

    /// With this time for which a block is used.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = time;
        self
    }

    /// With this much that stays when there is no room, in percent.
    #[must_use]
    pub fn low_watermark(mut self, percent: u8) -> Self {
        self.low_watermark = percent;
        self
    }

    /// With at most this number of bytes that wait to be written (inclusive).
    #[must_use]
    pub fn queue_bytes(mut self, bytes: u64) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// With this time that a read of a block may take.
    #[must_use]
    pub fn read_timeout(mut self, time: Duration) -> Self {
        self.read_timeout = time;
        self
    }

    /// With this time for which the disk is not read after a read that took too long.
    #[must_use]
    pub fn pause(mut self, time: Duration) -> Self {
        self.pause = time;
        self
    }

    /// With this time that a close waits for blocks to be written.
    #[must_use]
    pub fn close_timeout(mut self, time: Duration) -> Self {
        self.close_timeout = time;
        self
    }
}

/// What the second level of a cache holds, and what became of its blocks since it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheDiskStats {
    /// The blocks that are there.
    pub blocks: usize,
    /// Their bytes in the store.
    pub bytes: u64,
    /// Whether all blocks that were there at the start are known by now.
    pub complete: bool,
    /// Blocks that were read.
    pub hits: u64,
    /// Blocks that were not there.
    pub misses: u64,
    /// Reads that took too long.
    pub timeouts: u64,
    /// Blocks that were damaged, or not the one that was looked for.
    pub damaged: u64,
    /// Blocks that were written.
    pub written: u64,
    /// Blocks that were deleted: to make room for others, or since they were too old or damaged.
    pub removed: u64,
    /// Blocks that were not written since too many waited, or all that is there is leased.
    pub dropped: u64,
    /// Reads, writes, deletes and listings that failed.
    pub failed: u64,
}
