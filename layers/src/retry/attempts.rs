//! How many times, and when.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use storehouse_objectstore::{Error, Result};
use tokio::time::Instant;

/// Options of a [`RetryStore`](crate::RetryStore).
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::RetryOptions;
///
/// let options = RetryOptions::default()
///     .attempts(3)
///     .budget(Duration::from_secs(5))
///     .min_pause(Duration::from_millis(10))
///     .max_pause(Duration::from_secs(1));
/// assert_eq!((options.attempts, options.budget), (3, Duration::from_secs(5)));
/// assert_eq!(options.min_pause, Duration::from_millis(10));
/// assert_eq!(options.max_pause, Duration::from_secs(1));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryOptions {
    /// The most times that one request is made, the first one included; 0 is taken as 1. A body or
    /// a listing that broke and then went on counts anew. 6 by default.
    pub attempts: u32,
    /// No attempt begins once this time has passed since the first one, and a pause that would
    /// reach past it is not made. An attempt itself is not cut short. 30 seconds by default.
    pub budget: Duration,
    /// The least first pause; it doubles with each attempt, and up to as much again is added at
    /// random. 50 ms by default.
    pub min_pause: Duration,
    /// The longest pause before the random part. 5 seconds by default.
    pub max_pause: Duration,
}

impl Default for RetryOptions {
    fn default() -> Self {
        Self {
            attempts: 6,
            budget: Duration::from_secs(30),
            min_pause: Duration::from_millis(50),
            max_pause: Duration::from_secs(5),
        }
    }
}

impl RetryOptions {
    /// With at most this number of attempts.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// With this time for all attempts.
    #[must_use]
    pub fn budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// With this least first pause.
    #[must_use]
    pub fn min_pause(mut self, pause: Duration) -> Self {
        self.min_pause = pause;
        self
    }

    /// With this longest pause.
    #[must_use]
    pub fn max_pause(mut self, pause: Duration) -> Self {
        self.max_pause = pause;
        self
    }

    /// Starts the attempts of one request.
    pub(super) fn start(&self) -> Attempts {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.min_pause)
            .with_max_delay(self.max_pause.max(self.min_pause))
            .with_max_times(self.attempts.max(1) as usize - 1)
            .with_jitter()
            .build();
        Attempts {
            pauses,
            deadline: Instant::now().checked_add(self.budget),
        }
    }

    /// Runs `call` until it gives something else than a transient error, or the attempts are used
    /// up.
    pub(super) async fn repeat<T, F>(&self, mut call: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        // Before the first failure there is nothing to draw or to measure.
        let mut attempts = None;
        loop {
            let error = match call().await {
                Err(error) if is_repeatable(&error) => error,
                answer => return answer,
            };
            let attempts = attempts.get_or_insert_with(|| self.start());
            if !attempts.pause().await {
                return Err(error);
            }
        }
    }
}

/// Whether another attempt may end otherwise.
pub(super) fn is_repeatable(error: &Error) -> bool {
    error.is_transient() && !error.is_full()
}

/// The remaining attempts of one request.
#[derive(Debug)]
pub(super) struct Attempts {
    pauses: ExponentialBackoff,
    /// `None`: never.
    deadline: Option<Instant>,
}

impl Attempts {
    /// Waits until the next attempt may begin; `false` at once if there is none.
    pub(super) async fn pause(&mut self) -> bool {
        let Some(pause) = self.pauses.next() else {
            return false;
        };
        let in_time = match (self.deadline, Instant::now().checked_add(pause)) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(deadline), Some(start)) => start < deadline,
        };
        if in_time {
            tokio::time::sleep(pause).await;
        }
        in_time
    }
}
