//! What goes where.

/// When the fast tier is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TierDirection {
    /// By gets that miss and by puts.
    #[default]
    Both,
    /// By gets that miss. A put only deletes the copy of what it replaces.
    Get,
    /// By puts alone.
    Update,
    /// Never, not even to delete a copy: it is prepared by others, of objects that do not change.
    ReadOnly,
}

impl TierDirection {
    /// Whether a miss makes a copy.
    pub(super) fn fills(self) -> bool {
        matches!(self, Self::Both | Self::Get)
    }

    /// Whether a put makes a copy.
    pub(super) fn updates(self) -> bool {
        matches!(self, Self::Both | Self::Update)
    }
}

/// Options of a [`TieredStore`](crate::TieredStore).
///
/// ```
/// use storehouse_layers::{TierDirection, TieredOptions};
///
/// let options = TieredOptions::default().fast(TierDirection::Get).max_copy(1 << 30);
/// assert!(!options.fill_ranges);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TieredOptions {
    /// When the fast tier is written. Always by default.
    pub fast: TierDirection,
    /// The slow tier is not written: puts, deletes and batches are refused as
    /// [`Unsupported`](storehouse_objectstore::Error::Unsupported). False by default.
    pub slow_read_only: bool,
    /// A get of a range that misses copies the whole object too. False by default.
    pub fill_ranges: bool,
    /// The largest object that is copied to the fast tier, in bytes (inclusive). No limit by
    /// default.
    pub max_copy: u64,
    /// How many bytes of an object that is being copied are held for its readers. 4 MiB by default.
    pub window: u64,
    /// How many objects are copied at once; further misses are read from the slow tier alone. 64 by
    /// default.
    pub max_fills: usize,
}

impl Default for TieredOptions {
    fn default() -> Self {
        Self {
            fast: TierDirection::Both,
            slow_read_only: false,
            fill_ranges: false,
            max_copy: u64::MAX,
            window: 4 * 1024 * 1024,
            max_fills: 64,
        }
    }
}

impl TieredOptions {
    /// With the fast tier written so.
    #[must_use]
    pub fn fast(mut self, direction: TierDirection) -> Self {
        self.fast = direction;
        self
    }

    /// With a slow tier that is not written, or is.
    #[must_use]
    pub fn slow_read_only(mut self, read_only: bool) -> Self {
        self.slow_read_only = read_only;
        self
    }

    /// With copies made by gets of ranges too, or not.
    #[must_use]
    pub fn fill_ranges(mut self, fill: bool) -> Self {
        self.fill_ranges = fill;
        self
    }

    /// With this largest object that is copied, in bytes (inclusive).
    #[must_use]
    pub fn max_copy(mut self, bytes: u64) -> Self {
        self.max_copy = bytes;
        self
    }

    /// With this number of bytes held for readers of one copy.
    #[must_use]
    pub fn window(mut self, bytes: u64) -> Self {
        self.window = bytes;
        self
    }

    /// With this number of copies at once.
    #[must_use]
    pub fn max_fills(mut self, fills: usize) -> Self {
        self.max_fills = fills;
        self
    }
}
