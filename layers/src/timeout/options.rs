//! How long is too long.

use std::time::Duration;

/// Options of a [`TimeoutStore`](crate::TimeoutStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::TimeoutOptions;
///
/// let options = TimeoutOptions::default()
///     .operation(Duration::from_secs(10))
///     .stall(Duration::from_secs(20))
///     .health(Duration::from_secs(1));
/// assert_eq!(options.operation, Duration::from_secs(10));
/// assert_eq!(options.stall, Duration::from_secs(20));
/// assert_eq!(options.health, Duration::from_secs(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeoutOptions {
    /// The longest time until an operation answers. 30 seconds by default.
    pub operation: Duration,
    /// The longest time in which a body or a listing does not move. 30 seconds by default.
    pub stall: Duration,
    /// The longest time until [`health`](storehouse_objectstore::ObjectStore::health) answers. 5
    /// seconds by default.
    pub health: Duration,
}

impl Default for TimeoutOptions {
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(30),
            stall: Duration::from_secs(30),
            health: Duration::from_secs(5),
        }
    }
}

impl TimeoutOptions {
    /// With this longest time until an operation answers.
    #[must_use]
    pub fn operation(mut self, time: Duration) -> Self {
        self.operation = time;
        self
    }

    /// With this longest time in which a body or a listing does not move.
    #[must_use]
    pub fn stall(mut self, time: Duration) -> Self {
        self.stall = time;
        self
    }

    /// With this longest time until health answers.
    #[must_use]
    pub fn health(mut self, time: Duration) -> Self {
        self.health = time;
        self
    }
}
