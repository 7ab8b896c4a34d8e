//! The choice of system calls.

/// Which system calls a file store uses. Its promises are the same either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SystemCalls {
    /// The best that this system has; on Linux `openat2`, `preadv2`, `syncfs` and the like where
    /// the kernel and the file system support them.
    #[default]
    Native,
    /// POSIX alone, as on any other Unix.
    Portable,
}
