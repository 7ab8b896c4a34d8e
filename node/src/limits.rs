//! What a request may take.

use std::time::Duration;

use crate::request_body::Pace;

/// What a request may take, and how long.
///
/// ```
/// use std::time::Duration;
/// use storehouse_node::Limits;
///
/// let behind_a_proxy = Limits::default()
///     .blob_size(1 << 30)
///     .record_size(1 << 20)
///     .uploads(16)
///     .uploads_per_client(16)
///     .record_requests(128)
///     .record_requests_per_client(128)
///     .min_upload_rate(64 << 10)
///     .body_timeout(Duration::from_secs(10))
///     .queue_timeout(Duration::from_secs(5));
/// assert_eq!(behind_a_proxy.uploads_per_client, Some(behind_a_proxy.uploads));
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
    /// Uploads of one client at once: of an IPv4 address, or of the first 64 bits of an IPv6
    /// address. `None`, the default, is an eighth of [`uploads`](Self::uploads). Behind a proxy all
    /// come from one address: set it to the whole there.
    pub uploads_per_client: Option<usize>,
    /// Requests for records at once, in and out; others wait. 256 by default.
    pub record_requests: usize,
    /// Requests for records of one client at once. `None`, the default, is an eighth of
    /// [`record_requests`](Self::record_requests).
    pub record_requests_per_client: Option<usize>,
    /// The bytes per second that an upload must reach over all of its time, after the first
    /// [`body_timeout`](Self::body_timeout). Time that a store takes does not count. 4 KiB by
    /// default.
    pub min_upload_rate: u64,
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
            uploads_per_client: None,
            record_requests: 256,
            record_requests_per_client: None,
            min_upload_rate: 4 << 10,
            body_timeout: Duration::from_secs(30),
            queue_timeout: Duration::from_secs(60),
        }
    }
}

impl Limits {
    /// How fast bodies must come.
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            timeout: self.body_timeout,
            rate: self.min_upload_rate,
        }
    }

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

    /// Sets [`uploads_per_client`](Self::uploads_per_client). 0 counts as 1.
    #[must_use]
    pub fn uploads_per_client(mut self, uploads: usize) -> Self {
        self.uploads_per_client = Some(uploads.max(1));
        self
    }

    /// Sets [`record_requests`](Self::record_requests). 0 counts as 1.
    #[must_use]
    pub fn record_requests(mut self, requests: usize) -> Self {
        self.record_requests = requests.max(1);
        self
    }

    /// Sets [`record_requests_per_client`](Self::record_requests_per_client). 0 counts as 1.
    #[must_use]
    pub fn record_requests_per_client(mut self, requests: usize) -> Self {
        self.record_requests_per_client = Some(requests.max(1));
        self
    }

    /// Sets [`min_upload_rate`](Self::min_upload_rate). 0 is no minimum.
    #[must_use]
    pub fn min_upload_rate(mut self, bytes_per_second: u64) -> Self {
        self.min_upload_rate = bytes_per_second;
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
