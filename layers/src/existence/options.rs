//! How much is remembered.

use std::time::Duration;

/// Options of an [`ExistenceStore`](crate::ExistenceStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::ExistenceOptions;
///
/// let options = ExistenceOptions::default();
/// assert_eq!((options.max_keys, options.max_age), (100_000, Duration::from_secs(60)));
/// let options = options.max_keys(1000).max_age(Duration::from_secs(5));
/// assert_eq!((options.max_keys, options.max_age), (1000, Duration::from_secs(5)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExistenceOptions {
    /// The most objects that are remembered. 100,000 by default.
    pub max_keys: usize,
    /// For how long an answer holds. 60 seconds by default.
    pub max_age: Duration,
}

impl Default for ExistenceOptions {
    fn default() -> Self {
        Self {
            max_keys: 100_000,
            max_age: Duration::from_secs(60),
        }
    }
}

impl ExistenceOptions {
    /// With at most this number of objects.
    #[must_use]
    pub fn max_keys(mut self, keys: usize) -> Self {
        self.max_keys = keys;
        self
    }

    /// With this time for which an answer holds.
    #[must_use]
    pub fn max_age(mut self, time: Duration) -> Self {
        self.max_age = time;
        self
    }
}
