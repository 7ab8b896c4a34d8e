//! Options of opening.

use storehouse_engine::Limits;

/// Options of [`Fjall::open`](crate::Fjall::open). Sizes are in bytes.
///
/// ```
/// use storehouse_fjall::FjallOptions;
///
/// let options = FjallOptions::default()
///     .max_size(1 << 20)
///     .cache(32 << 20)
///     .write_buffer(8 << 20)
///     .salvage(true);
/// assert_eq!((options.max_size, options.write_buffer), (1 << 20, 8 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FjallOptions {
    /// The largest record (inclusive), at most 1 GiB. Default: 16 MiB.
    pub max_size: u64,
    /// The memory that cached blocks take up. Default: 128 MiB. What is not in there is read
    /// through the system's cache.
    pub cache: u64,
    /// The bytes of records that are collected in memory before they are written to a table.
    /// Default: 32 MiB. A database that exists keeps the size that it was made with.
    pub write_buffer: u64,
    /// Opens a store from which acknowledged writes are missing, with what is there. What the log
    /// held beyond is kept beside it, in files that end with `.cut`. Default: false.
    pub salvage: bool,
}

impl Default for FjallOptions {
    fn default() -> Self {
        Self {
            max_size: 16 << 20,
            cache: 128 << 20,
            write_buffer: 32 << 20,
            salvage: false,
        }
    }
}

impl FjallOptions {
    /// With this size of the largest record, in bytes (inclusive), at most 1 GiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// With this much cache, in bytes.
    #[must_use]
    pub fn cache(mut self, bytes: u64) -> Self {
        self.cache = bytes;
        self
    }

    /// With this size of a write buffer, in bytes.
    #[must_use]
    pub fn write_buffer(mut self, bytes: u64) -> Self {
        self.write_buffer = bytes;
        self
    }

    /// With or without [`salvage`](Self::salvage).
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits::new(self.max_size, self.salvage)
    }
}
