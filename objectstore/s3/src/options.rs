//! How an S3 store is configured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where the server is and how to talk to it. `Debug` shows no secret.
///
/// ```
/// use storehouse_s3::S3Options;
///
/// let options = S3Options {
///     endpoint: "127.0.0.1:9000".into(),
///     insecure: Some(true),
///     bucket: "pdp".into(),
///     ..S3Options::default()
/// };
/// # let _ = options;
/// ```
#[derive(Clone, Debug)]
pub struct S3Options {
    /// `host:port`, or a URL (`http://` or `https://`, without a path). Required.
    pub endpoint: String,
    /// Whether to speak plain http. A `host:port` endpoint speaks https unless this is `true`; a
    /// URL that says otherwise is an error.
    pub insecure: Option<bool>,
    /// The region that requests are signed for. If `None`: `us-east-1`, or the region that the
    /// server names when the store is opened. A region that is set and wrong is an error that names
    /// the right one.
    pub region: Option<String>,
    /// The bucket. Requests name it in their path, never in the host name. Required.
    pub bucket: String,
    /// Whether a missing bucket is created when the store is opened. Default: true.
    pub create_bucket: bool,
    /// The keys. If `None`: those of the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_SESSION_TOKEN`), else of a web identity token, of the container, or of the instance,
    /// whichever the environment points to.
    pub credentials: Option<Credentials>,
    /// A PEM file of certificate authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The longest time that a TCP connection may take to be made. Default: 10 s.
    pub connect_timeout: Duration,
    /// The longest time without any progress on the server's side (an answer, a piece of a body
    /// taken or given). There is no limit on a whole request: a large object may take hours.
    /// Default: 60 s.
    pub stall_timeout: Duration,
    /// How often a request is sent again after a failure that passes. Default: 4. See the [module's
    /// documentation](storehouse_objectstore::s3) for which are.
    pub max_retries: u32,
    /// The pause before the first retry; it doubles with each further one, up to 5 s, and between
    /// half and all of it is waited. Default: 100 ms.
    pub retry_backoff: Duration,
    /// The most requests at once that hold a connection without waiting on the caller (bodies in
    /// memory, parts, heads, deletes, listings); further ones wait. Bodies streamed from or to the
    /// caller are not counted, for they wait on the caller. Default: 128.
    pub max_requests: usize,
    /// The size of a part of a multipart upload, in bytes, as long as 10,000 of them hold the
    /// object: at least 5 MiB. A body of unknown digest of at most this size goes up as one put.
    /// Default: 8 MiB.
    pub part_size: u64,
    /// The most bytes of parts that all puts of this store together hold on their way to the
    /// server. Each put holds the part it fills besides. Parts larger than this are not held at all
    /// but streamed, one after another. Default: 64 MiB.
    pub part_memory: u64,
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            insecure: None,
            region: None,
            bucket: String::new(),
            create_bucket: true,
            credentials: None,
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            max_retries: 4,
            retry_backoff: Duration::from_millis(100),
            max_requests: 128,
            part_size: 8 << 20,
            part_memory: 64 << 20,
        }
    }
}

/// Keys that sign requests. An empty text is the same as none, and only one of the two keys is an
/// error. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The access key's name.
    pub access_key_id: Option<String>,
    /// The access key's secret.
    pub secret_access_key: Option<SecretString>,
    /// The token that temporary keys come with.
    pub session_token: Option<SecretString>,
}

impl Credentials {
    /// A pair of keys.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<SecretString>,
    ) -> Self {
        Self {
            access_key_id: Some(access_key_id.into()),
            secret_access_key: Some(secret_access_key.into()),
            session_token: None,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let redacted = |secret: &Option<SecretString>| {
            secret
                .as_ref()
                .map(|_| format_args!("[redacted]").to_string())
        };
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .field("secret_access_key", &redacted(&self.secret_access_key))
            .field("session_token", &redacted(&self.session_token))
            .finish()
    }
}
