//! How a store is opened.

use std::time::Duration;

use storehouse_engine::files::SystemCalls;

use super::shard::ShardFunction;

/// Options of [`FlatFs::open`](crate::FlatFs::open).
///
/// ```
/// use std::time::Duration;
/// use storehouse_flatfs::{FlatFsOptions, ShardFunction, SystemCalls};
///
/// let options = FlatFsOptions::default()
///     .shard(ShardFunction::Prefix(3))
///     .system_calls(SystemCalls::default())
///     .log(true)
///     .log_idle(Duration::from_secs(1))
///     .log_age(Duration::from_secs(5))
///     .cached_handles(64)
///     .handle_age(Duration::from_secs(2));
/// assert!(options.log && options.cached_handles == 64);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlatFsOptions {
    /// The directory that an object is in. A directory that exists must have been made with the
    /// same function. Default: `next-to-last/2`.
    pub shard: ShardFunction,
    /// Which system calls to use. Default: the best that this system has.
    pub system_calls: SystemCalls,
    /// Make durable puts of at most 64 KiB (inclusive) durable in a write-ahead log first, and
    /// their files later. Faster for many small puts; but after a power cut the directory is whole
    /// only once storehouse has opened it. Default: off, each put syncs its file and directory.
    ///
    /// Used where a sync of the whole file system is known to be sound: on ext2 to ext4, XFS, Btrfs
    /// and F2FS on Linux, not with [`SystemCalls::Portable`]. A log that an earlier store left
    /// behind is applied whatever this says.
    pub log: bool,
    /// Checkpoint the log after this long without writes. Default: 2 s.
    pub log_idle: Duration,
    /// Checkpoint the log once its first record is this old. Default: 10 s.
    pub log_age: Duration,
    /// The most files kept open for further short reads (inclusive; 0: none), and never more than
    /// a sixteenth of the file handles that the process may have. Default: 256.
    pub cached_handles: usize,
    /// Keep a file open only if its last change is at least this old: two changes within one tick
    /// of the file system's clock look like one. The clock ticks every few milliseconds; on ext4
    /// with 128-byte inodes, every second. Default: 2 s.
    pub handle_age: Duration,
}

impl Default for FlatFsOptions {
    fn default() -> Self {
        Self {
            shard: ShardFunction::default(),
            system_calls: SystemCalls::default(),
            log: false,
            log_idle: Duration::from_secs(2),
            log_age: Duration::from_secs(10),
            cached_handles: 256,
            handle_age: Duration::from_secs(2),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl FlatFsOptions {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )*}
    };
}

setters! {
    /// With this shard function.
    shard: ShardFunction;
    /// With these system calls.
    system_calls: SystemCalls;
    /// With or without the log of small puts.
    log: bool;
    /// With this time without writes before a checkpoint.
    log_idle: Duration;
    /// With this age of the log's first record before a checkpoint.
    log_age: Duration;
    /// With at most this many files kept open (inclusive; 0: none).
    cached_handles: usize;
    /// With this age of a file before it is kept open.
    handle_age: Duration;
}
