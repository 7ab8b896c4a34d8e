//! How a store is opened.

use std::time::Duration;

use storehouse_engine::files::SystemCalls;

/// Options of [`Fs::open`](crate::Fs::open).
///
/// ```
/// use std::time::Duration;
/// use storehouse_fs::{FsOptions, SystemCalls};
///
/// let options = FsOptions::default()
///     .system_calls(SystemCalls::Portable)
///     .cached_handles(64)
///     .handle_age(Duration::from_secs(1))
///     .listed_names(10_000);
/// assert_eq!((options.cached_handles, options.listed_names), (64, 10_000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsOptions {
    /// Which system calls to use. Default: the best that this system has.
    pub system_calls: SystemCalls,
    /// The most files kept open for further short reads (inclusive; 0: none), and never more than
    /// a sixteenth of the file handles that the process may have. Default: 256.
    pub cached_handles: usize,
    /// Keep a file open only if its last change is at least this old: two changes within one tick
    /// of the file system's clock look like one. The clock ticks every few milliseconds; on ext4
    /// with 128-byte inodes, every second. Default: 2 s.
    pub handle_age: Duration,
    /// The most names that a listing holds in memory (at least 64; exceeded at most twofold). A
    /// directory with more is read again for the next ones. Default: 262,144, some
    /// 100 bytes each.
    pub listed_names: usize,
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            system_calls: SystemCalls::default(),
            cached_handles: 256,
            handle_age: Duration::from_secs(2),
            listed_names: 262_144,
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        impl FsOptions {$(
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
    /// With these system calls.
    system_calls: SystemCalls;
    /// With at most this many files kept open (inclusive; 0: none).
    cached_handles: usize;
    /// With this age of a file before it is kept open.
    handle_age: Duration;
    /// With this many names of a listing in memory (at least 64; exceeded at most twofold).
    listed_names: usize;
}
