//! What goes where.

use std::time::Duration;

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
/// use std::time::Duration;
/// use storehouse_layers::{TierDirection, TieredOptions};
///
/// // A cache of what others write.
/// let options = TieredOptions::default()
///     .fast(TierDirection::Get)
///     .slow_read_only(true)
///     .fill_ranges(true)
///     .max_copy(1 << 30)
///     .window(1 << 20)
///     .max_fills(16);
/// assert_eq!(options.fast, TierDirection::Get);
/// assert!(options.slow_read_only && options.fill_ranges);
/// assert_eq!((options.max_copy, options.window, options.max_fills), (1 << 30, 1 << 20, 16));
///
/// // Puts as fast as the fast tier.
/// let options = TieredOptions::default()
///     .write_back(true)
///     .max_due_bytes(1 << 20)
///     .max_due(100)
///     .max_tags(1000)
///     .drains(4)
///     .drain_min_pause(Duration::from_millis(10))
///     .drain_max_pause(Duration::from_secs(5));
/// assert!(options.write_back);
/// assert_eq!((options.max_due_bytes, options.max_due), (1 << 20, 100));
/// assert_eq!((options.max_tags, options.drains), (1000, 4));
/// assert_eq!(options.drain_min_pause, Duration::from_millis(10));
/// assert_eq!(options.drain_max_pause, Duration::from_secs(5));
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
    /// A put returns once it is durable in the fast tier, with a record of what the slow tier has
    /// yet to get; it follows in the background. False by default.
    pub write_back: bool,
    /// The most bytes of records of what is due (inclusive); further writes wait. An object that is
    /// larger goes to the slow tier at once. 1 GiB by default.
    pub max_due_bytes: u64,
    /// The most records of what is due (inclusive, 0 is taken as 1); further writes wait. 10,000 by
    /// default.
    pub max_due: usize,
    /// Of how many objects the fast tier remembers by which ETag they were put, once the slow tier
    /// has them under its own; an older one goes by that then. 10,000 by default.
    pub max_tags: usize,
    /// How many keys are brought to the slow tier at once. 8 by default.
    pub drains: usize,
    /// The pause after the first failure of bringing a key to the slow tier; each one after it is
    /// twice as long. 100 milliseconds by default.
    pub drain_min_pause: Duration,
    /// The longest of these pauses. 30 seconds by default.
    pub drain_max_pause: Duration,
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
            write_back: false,
            max_due_bytes: 1 << 30,
            max_due: 10_000,
            max_tags: 10_000,
            drains: 8,
            drain_min_pause: Duration::from_millis(100),
            drain_max_pause: Duration::from_secs(30),
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
    /// With puts that are durable in the fast tier alone when they return, or not.
    #[must_use]
    pub fn write_back(mut self, write_back: bool) -> Self {
        self.write_back = write_back;
        self
    }

    /// With at most this number of bytes due (inclusive).
    #[must_use]
    pub fn max_due_bytes(mut self, bytes: u64) -> Self {
        self.max_due_bytes = bytes;
        self
    }

    /// With at most this number of records due (inclusive).
    #[must_use]
    pub fn max_due(mut self, records: usize) -> Self {
        self.max_due = records;
        self
    }

    /// With this number of objects that keep the ETag they were put with.
    #[must_use]
    pub fn max_tags(mut self, objects: usize) -> Self {
        self.max_tags = objects;
        self
    }

    /// With this number of keys brought to the slow tier at once.
    #[must_use]
    pub fn drains(mut self, keys: usize) -> Self {
        self.drains = keys;
        self
    }

    /// With this pause after the first failure of the slow tier.
    #[must_use]
    pub fn drain_min_pause(mut self, time: Duration) -> Self {
        self.drain_min_pause = time;
        self
    }

    /// With this longest pause.
    #[must_use]
    pub fn drain_max_pause(mut self, time: Duration) -> Self {
        self.drain_max_pause = time;
        self
    }
}
