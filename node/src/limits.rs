//! What a request may take.

use std::time::Duration;

/// What a request may take, and how long.
///
/// ```
/// use storehouse_node::Limits;
///
/// let limits = Limits::default().blob_size(1 << 30).uploads(16);
/// assert_eq!(limits.blob_size, 1 << 30);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// The largest blob that is taken, in bytes (inclusive). 256 GiB by default.
    pub blob_size: u64,
    /// The largest record that is taken, in bytes (inclusive). 4 MiB by default.
    pub record_size: u64,
    /// Blobs on their way in at once; others wait. 64 by default. On S3 each holds a part in memory
    /// while it fills.
    pub uploads: usize,
    /// In which at least 16 KiB of a request's body must come, or its rest. 30 s by default.
    pub body_timeout: Duration,
    /// How long a request waits for an upload or memory to come free. 60 s by default.
    pub queue_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blob_size: 256 << 30,
            record_size: 4 << 20,
            uploads: 64,
            body_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// Sets [`blob_size`](Self::blob_size).
    #[must_use]
    pub fn blob_size(mut self, bytes: u64) -> Self {
        self.blob_size = bytes;
        self
    }

    /// Sets [`record_size`](Self::record_size).
    #[must_use]
    pub fn record_size(mut self, bytes: u64) -> Self {
        self.record_size = bytes;
        self
    }

    /// Sets [`uploads`](Self::uploads). 0 counts as 1.
    #[must_use]
    pub fn uploads(mut self, uploads: usize) -> Self {
        self.uploads = uploads.max(1);
        self
    }

    /// Sets [`body_timeout`](Self::body_timeout).
    #[must_use]
    pub fn body_timeout(mut self, timeout: Duration) -> Self {
        self.body_timeout = timeout;
        self
    }

    /// Sets [`queue_timeout`](Self::queue_timeout).
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.queue_timeout = timeout;
        self
    }
}
