//! Options of opening.

use storehouse_engine::Limits;

/// Options of [`Redb::open`](crate::Redb::open). Sizes are in bytes.
///
/// ```
/// use storehouse_redb::RedbOptions;
///
/// let options = RedbOptions::default()
///     .cache(32 << 20)
///     .max_size(1 << 20)
///     .reserve(16 << 20)
///     .salvage(true);
/// assert_eq!((options.max_size, options.reserve), (1 << 20, 16 << 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedbOptions {
    /// The largest record (inclusive), at most 1 GiB. Default: 16 MiB.
    pub max_size: u64,
    /// The memory that cached pages take up. Default: 128 MiB. What is not in there is read
    /// through the system's cache.
    pub cache: usize,
    /// The space that is kept back on the disk, so that a store opens and deletes when it is full.
    /// Default: 4 MiB; 0 for none.
    pub reserve: u64,
    /// Opens a store from which acknowledged writes are missing, with what is there. If redb does
    /// not open the file at all, it is made anew from the records that are found in it: some may
    /// be missing, older, or have been deleted. The damaged file is kept, and `check` names it.
    /// Default: false.
    pub salvage: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            max_size: 16 << 20,
            cache: 128 << 20,
            reserve: 4 << 20,
            salvage: false,
        }
    }
}

impl RedbOptions {
    /// With this size of the largest record, in bytes (inclusive), at most 1 GiB.
    #[must_use]
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// With this much cache, in bytes.
    #[must_use]
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// With this much space kept back, in bytes; 0 for none.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }

    /// With or without [`salvage`](Self::salvage).
    #[must_use]
    pub fn salvage(mut self, salvage: bool) -> Self {
        self.salvage = salvage;
        self
    }

    pub(crate) fn limits(&self) -> Limits {
        Limits::new(self.max_size, self.salvage).reserve(self.reserve)
    }
}
