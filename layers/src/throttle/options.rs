//! The rates.

use std::time::Duration;

/// Options of a [`ThrottleStore`](crate::ThrottleStore). A rate of `None` is no limit; 0 is taken
/// as 1.
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::ThrottleOptions;
///
/// let options = ThrottleOptions::default()
///     .read_bytes(50 << 20)
///     .write_bytes(10 << 20)
///     .read_operations(500)
///     .write_operations(100)
///     .burst(Duration::from_secs(5));
/// assert_eq!((options.read_bytes, options.write_bytes), (Some(50 << 20), Some(10 << 20)));
/// assert_eq!((options.read_operations, options.write_operations), (Some(500), Some(100)));
/// assert_eq!(options.burst, Duration::from_secs(5));
/// assert_eq!(options.read_bytes(None).read_bytes, None, "no limit again");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ThrottleOptions {
    /// Bytes of bodies that are read, a second.
    pub read_bytes: Option<u64>,
    /// Bytes of bodies that are written, a second.
    pub write_bytes: Option<u64>,
    /// Operations that read, a second.
    pub read_operations: Option<u64>,
    /// Operations that write, a second.
    pub write_operations: Option<u64>,
    /// For how much time a rate that is not used is saved up, to be used at once. 1 second by
    /// default.
    pub burst: Duration,
}

impl Default for ThrottleOptions {
    fn default() -> Self {
        Self {
            read_bytes: None,
            write_bytes: None,
            read_operations: None,
            write_operations: None,
            burst: Duration::from_secs(1),
        }
    }
}

impl ThrottleOptions {
    /// With this number of bytes read a second.
    #[must_use]
    pub fn read_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.read_bytes = bytes.into();
        self
    }

    /// With this number of bytes written a second.
    #[must_use]
    pub fn write_bytes(mut self, bytes: impl Into<Option<u64>>) -> Self {
        self.write_bytes = bytes.into();
        self
    }

    /// With this number of reading operations a second.
    #[must_use]
    pub fn read_operations(mut self, operations: impl Into<Option<u64>>) -> Self {
        self.read_operations = operations.into();
        self
    }

    /// With this number of writing operations a second.
    #[must_use]
    pub fn write_operations(mut self, operations: impl Into<Option<u64>>) -> Self {
        self.write_operations = operations.into();
        self
    }

    /// With this time for which an unused rate is saved up.
    #[must_use]
    pub fn burst(mut self, time: Duration) -> Self {
        self.burst = time;
        self
    }
}
