//! Options.

use std::time::Duration;

/// Options of an [`ExpiringStore`](super::ExpiringStore).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiringOptions {
    /// The time that an object has which is put, or copied with other attributes, without an
    /// expiry; more than 0. `None` by default: it does not expire. A copy that keeps its
    /// attributes keeps its expiry, or its having none.
    pub default_ttl: Option<Duration>,
    /// The time between two sweeps in the background; more than 0. `None` by default: there are
    /// none. They run in the Tokio runtime in which the store was made, which needs its timer;
    /// outside of one there are none either.
    pub sweep_every: Option<Duration>,
    /// How long a wall clock that has jumped must be steady to be believed. An hour by default.
    pub clock_settles: Duration,
}

impl Default for ExpiringOptions {
    fn default() -> Self {
        Self {
            default_ttl: None,
            sweep_every: None,
            clock_settles: Duration::from_secs(3600),
        }
    }
}

impl ExpiringOptions {
    /// With this time for objects without an expiry.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::ExpiringOptions;
    /// let day = Duration::from_secs(24 * 3600);
    /// assert_eq!(ExpiringOptions::default().default_ttl(day).default_ttl, Some(day));
    /// ```
    #[must_use]
    pub fn default_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.default_ttl = ttl.into();
        self
    }

    /// With sweeps in the background, this long apart.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::ExpiringOptions;
    /// let minute = Duration::from_secs(60);
    /// assert_eq!(ExpiringOptions::default().sweep_every(minute).sweep_every, Some(minute));
    /// ```
    #[must_use]
    pub fn sweep_every(mut self, pause: impl Into<Option<Duration>>) -> Self {
        self.sweep_every = pause.into();
        self
    }

    /// With a wall clock that is believed after this time.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use storehouse_layers::ExpiringOptions;
    /// let options = ExpiringOptions::default().clock_settles(Duration::ZERO);
    /// assert!(options.clock_settles.is_zero());
    /// ```
    #[must_use]
    pub fn clock_settles(mut self, time: Duration) -> Self {
        self.clock_settles = time;
        self
    }
}
