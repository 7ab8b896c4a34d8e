//! Options of a queue.

use std::time::Duration;

/// Options of [`CommitQueue::new`](crate::CommitQueue::new).
///
/// ```
/// use std::time::Duration;
/// use storehouse_engine::QueueOptions;
///
/// let options = QueueOptions::default()
///     .max_requests(1000)
///     .max_bytes(1 << 20)
///     .groups_at_once(2)
///     .linger(Duration::from_micros(200))
///     .max_waiting(16 << 20);
/// assert_eq!((options.max_requests, options.groups_at_once), (1000, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueOptions {
    /// The most requests in a group (inclusive, at least 1). Default: no limit.
    pub max_requests: usize,
    /// The most bytes in a group (inclusive), unless one request alone has more. Default: 4 MiB.
    pub max_bytes: usize,
    /// The most groups that are committed at the same time (at least 1). With one group at a time,
    /// requests are committed in the order in which they came. Default: 1.
    pub groups_at_once: usize,
    /// The longest time that a group waits for further requests, if the recent past says that more
    /// are to come: callers that were just answered tend to come again. Zero: groups take what is
    /// there. Default: zero.
    pub linger: Duration,
    /// The most bytes of requests in the queue, committing or not, unless one request alone has
    /// more. Further callers wait. Each request counts at least 1 KiB. Default: 64 MiB.
    pub max_waiting: usize,
}

impl Default for QueueOptions {
    fn default() -> Self {
        Self {
            max_requests: usize::MAX,
            max_bytes: 4 << 20,
            groups_at_once: 1,
            linger: Duration::ZERO,
            max_waiting: 64 << 20,
        }
    }
}

impl QueueOptions {
    /// With at most this many requests in a group (inclusive, at least 1).
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests;
        self
    }

    /// With at most this many bytes in a group (inclusive).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// With at most this many groups at the same time (at least 1).
    #[must_use]
    pub fn groups_at_once(mut self, groups: usize) -> Self {
        self.groups_at_once = groups;
        self
    }

    /// With this linger time.
    #[must_use]
    pub fn linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// With at most this many bytes in the queue.
    #[must_use]
    pub fn max_waiting(mut self, bytes: usize) -> Self {
        self.max_waiting = bytes;
        self
    }
}
