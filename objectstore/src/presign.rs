//! Presigned requests: an operation that a client without keys may carry out.

use std::fmt;
use std::time::{Duration, SystemTime};

/// What a presigned request may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PresignMethod {
    /// Read the object, or ranges of it.
    Get,
    /// Read the object's metadata.
    Head,
    /// Write the object.
    Put,
    /// Remove the object.
    Delete,
}

impl PresignMethod {
    /// The method of the HTTP request.
    ///
    /// ```
    /// assert_eq!(storehouse_objectstore::PresignMethod::Put.as_str(), "PUT");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Options of [`ObjectStore::presign`](crate::ObjectStore::presign).
///
/// ```
/// use std::time::Duration;
/// use storehouse_objectstore::{PresignMethod, PresignOptions};
///
/// # let hash = [0; 32];
/// let upload = PresignOptions::new(PresignMethod::Put, Duration::from_secs(600))
///     .size(1024)
///     .sha256(hash);
/// assert_eq!((upload.size, upload.sha256), (Some(1024), Some(hash)));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresignOptions {
    /// What may be done.
    pub method: PresignMethod,
    /// For how long, from now on: whole seconds, 1 second to 7 days (both inclusive).
    pub expires: Duration,
    /// The size of a body that is put, in bytes: the server refuses another. Any size if `None`.
    pub size: Option<u64>,
    /// The SHA-256 of a body that is put: the server refuses another. Any body if `None`.
    pub sha256: Option<[u8; 32]>,
}

impl PresignOptions {
    /// The longest that a presigned request can be valid: 7 days.
    pub const MAX_EXPIRES: Duration = Duration::from_secs(7 * 24 * 3600);

    /// For `method`, valid for `expires`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use storehouse_objectstore::{PresignMethod, PresignOptions};
    ///
    /// let upload = PresignOptions::new(PresignMethod::Put, Duration::from_secs(600)).size(1024);
    /// assert_eq!(upload.size, Some(1024));
    /// ```
    #[must_use]
    pub fn new(method: PresignMethod, expires: Duration) -> Self {
        Self {
            method,
            expires,
            size: None,
            sha256: None,
        }
    }

    /// With this size of the body, in bytes.
    #[must_use]
    pub fn size(mut self, size: impl Into<Option<u64>>) -> Self {
        self.size = size.into();
        self
    }

    /// With this SHA-256 of the body.
    #[must_use]
    pub fn sha256(mut self, sha256: impl Into<Option<[u8; 32]>>) -> Self {
        self.sha256 = sha256.into();
        self
    }
}

/// An HTTP request that anybody may send who has it, until it expires. Its URL is a secret: `Debug`
/// leaves its query out.
///
/// ```
/// use std::time::SystemTime;
/// use storehouse_objectstore::{PresignMethod, PresignedRequest};
///
/// let url = "http://localhost/key?signature=secret";
/// let request = PresignedRequest::new(PresignMethod::Put, url, SystemTime::now())
///     .headers(vec![("content-length".into(), "1024".into())]);
/// assert_eq!(request.headers[0].0, "content-length");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PresignedRequest {
    /// The method to send.
    pub method: PresignMethod,
    /// The URL, signature included.
    pub url: String,
    /// Header fields, names in lower case, that must be sent exactly so: the signature covers them.
    pub headers: Vec<(String, String)>,
    /// When it stops being valid, by the clock of this machine.
    pub expires: SystemTime,
}

impl PresignedRequest {
    /// A request without signed headers.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use storehouse_objectstore::{PresignMethod, PresignedRequest};
    ///
    /// let url = "http://localhost/key?signature=secret";
    /// let request = PresignedRequest::new(PresignMethod::Get, url, SystemTime::now());
    /// assert!(!format!("{request:?}").contains("secret"));
    /// ```
    pub fn new(method: PresignMethod, url: impl Into<String>, expires: SystemTime) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            expires,
        }
    }

    /// With these signed headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<(String, String)>) -> Self {
        self.headers = headers;
        self
    }
}

impl fmt::Debug for PresignedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url.split('?').next().unwrap_or_default();
        f.debug_struct("PresignedRequest")
            .field("method", &self.method)
            .field("url", &url)
            .field("headers", &self.headers)
            .field("expires", &self.expires)
            .finish()
    }
}
