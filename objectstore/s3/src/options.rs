//! How an S3 store is configured.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use storehouse_objectstore::Key;

use crate::credentials::{Credentials, SharedCredentials};

/// Where the server is and how to talk to it. `Debug` shows no secret.
///
/// The struct is `#[non_exhaustive]`: start with [`S3Options::new`] and set what differs, by a
/// method or by the field of the same name.
///
/// ```
/// use std::time::Duration;
/// use storehouse_s3::{Credentials, S3Options};
///
/// let options = S3Options::new("http://127.0.0.1:9000", "pdp")
///     .credentials(Credentials::new("key-id", "secret"))
///     .region("eu-north-1")
///     .stall_timeout(Duration::from_secs(20));
/// assert_eq!(options.max_attempts, 5);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct S3Options {
    /// `host:port`, or a URL (`http://` or `https://`, without a path). Required.
    pub endpoint: String,
    /// Whether to speak plain http. A `host:port` endpoint speaks https unless this is `true`; a
    /// URL that says otherwise is an error.
    pub insecure: Option<bool>,
    /// The region that requests are signed for. If `None`: the one in the name of an AWS host, else
    /// `us-east-1`; a server that names another region is believed. A region that is set and wrong
    /// is an error that names the right one.
    pub region: Option<String>,
    /// The bucket. Required.
    pub bucket: String,
    /// Whether a missing bucket is created when the store is opened. Default: true.
    pub create_bucket: bool,
    /// Where requests name the bucket. Default: [`Addressing::Auto`].
    pub addressing: Addressing,
    /// The keys. If `None`: those of [`S3Options::provider`], else of AWS's usual places; see
    /// [`SharedCredentials::from_options`].
    pub credentials: Option<Credentials>,
    /// A source of keys, shared by all stores that were opened with a clone of it.
    pub provider: Option<SharedCredentials>,
    /// The profile of `~/.aws/config` and `~/.aws/credentials` to take keys from. If `None`:
    /// `AWS_PROFILE`, else `default`.
    pub profile: Option<String>,
    /// Sends requests unsigned, for public buckets. No keys may be set then. Default: false.
    pub anonymous: bool,
    /// A PEM file of certificate authorities to trust besides the system's. If `None`: the file
    /// that `AWS_CA_BUNDLE` names, if it is set.
    pub ca_file: Option<PathBuf>,
    /// The longest time that a TCP connection may take to be made. Default: 10 s.
    pub connect_timeout: Duration,
    /// The longest time without any progress on the server's side (an answer, a piece of a body
    /// taken or given). There is no limit on a whole request: a large object may take hours.
    /// Default: 60 s.
    pub stall_timeout: Duration,
    /// The most times that one request is sent, the first one included; 0 counts as 1. Default: 5.
    /// See the crate's documentation for what is sent again.
    pub max_attempts: u32,
    /// The longest time from a request's first attempt to the start of its last one. For the body
    /// of a get: the longest time spent on getting it to flow again. Default: 2 min.
    pub retry_budget: Duration,
    /// The longest pause before the second attempt; it doubles with each further one, up to 5 s,
    /// and is drawn from its upper half. Default: 100 ms.
    pub retry_backoff: Duration,
    /// The most requests at once that hold a connection without waiting on the caller (bodies in
    /// memory, parts, heads, deletes, listings); further ones wait. Bodies streamed from or to the
    /// caller are not counted, for they wait on the caller. Default: 128.
    pub max_requests: usize,
    /// The size of a part of a multipart upload, in bytes, as long as 10,000 of them hold the
    /// object: 5 MiB to 5 GiB. A body of unknown digest of at most this size goes up as one put.
    /// Default: 8 MiB.
    pub part_size: u64,
    /// Objects of more bytes than this are copied in parts, which the server makes: 5 MiB to 5 GiB.
    /// Default: 5 GiB, the most that a copy in one request may have.
    pub single_copy: u64,
    /// The most bytes of parts that all puts of this store together hold on their way to the
    /// server. Each put holds the part it fills besides. Parts larger than this are not held at all
    /// but streamed, one after another. Default: 64 MiB.
    pub part_memory: u64,
    /// The storage class of what is put, like `STANDARD_IA`. If `None`: the bucket's default.
    pub storage_class: Option<String>,
    /// How the server encrypts what is put. If `None`: the bucket's default.
    pub encryption: Option<Encryption>,
    /// Aborts multipart uploads that were begun longer ago than this, soon after opening and then
    /// every [`S3Options::sweep_interval`] as long as the store lives. They are what a process
    /// leaves that died in the middle of a put. If `None`, the default, nothing is swept; see
    /// [`S3::sweep_uploads`](crate::S3::sweep_uploads).
    pub sweep_uploads_after: Option<Duration>,
    /// How often uploads are swept, if at all. Default: 1 day.
    pub sweep_interval: Duration,
    /// Sweeps only uploads of these keys; all if `None`, the default. For buckets that are shared
    /// with others.
    pub sweep_only: Option<KeyFilter>,
}

/// Where requests name the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addressing {
    /// In the host name on AWS, if the bucket's name is one label of a host name; else in the path.
    #[default]
    Auto,
    /// In the path: `https://HOST/BUCKET/KEY`.
    Path,
    /// In the host name: `https://BUCKET.HOST/KEY`.
    Virtual,
}

/// How the server encrypts what is put.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Encryption {
    /// With keys of S3's own (SSE-S3).
    S3,
    /// With a key of AWS's key management service (SSE-KMS).
    Kms {
        /// The key's id, ARN or alias. If `None`: the account's default key.
        key_id: Option<String>,
    },
    /// The same in two layers (DSSE-KMS).
    KmsDouble {
        /// The key's id, ARN or alias. If `None`: the account's default key.
        key_id: Option<String>,
    },
}

/// Some keys of a bucket.
///
/// ```
/// use storehouse_s3::{KeyFilter, S3Options};
///
/// let options = S3Options::new("s3.example.com", "shared")
///     .sweep_only(KeyFilter::new(|key| key.as_str().starts_with("node1/")));
/// assert!(options.sweep_only.is_some());
/// ```
#[derive(Clone)]
pub struct KeyFilter(Arc<dyn Fn(&Key) -> bool + Send + Sync>);

impl KeyFilter {
    /// The keys for which `accepts` gives true.
    pub fn new(accepts: impl Fn(&Key) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(accepts))
    }

    /// Whether `key` is one of them.
    ///
    /// ```
    /// use storehouse_objectstore::Key;
    ///
    /// let ours = storehouse_s3::KeyFilter::new(|key| key.as_str().starts_with("node1/"));
    /// assert!(ours.accepts(&Key::new("node1/blob")?));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn accepts(&self, key: &Key) -> bool {
        (self.0)(key)
    }
}

impl fmt::Debug for KeyFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyFilter")
    }
}

impl Default for S3Options {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            insecure: None,
            region: None,
            bucket: String::new(),
            create_bucket: true,
            addressing: Addressing::Auto,
            credentials: None,
            provider: None,
            profile: None,
            anonymous: false,
            ca_file: None,
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(60),
            max_attempts: 5,
            retry_budget: Duration::from_secs(120),
            retry_backoff: Duration::from_millis(100),
            max_requests: 128,
            part_size: 8 << 20,
            single_copy: 5 << 30,
            part_memory: 64 << 20,
            storage_class: None,
            encryption: None,
            sweep_uploads_after: None,
            sweep_interval: Duration::from_secs(24 * 3600),
            sweep_only: None,
        }
    }
}

macro_rules! setters {
    ($($name:ident($arg:ty) => |$value:ident| $set:expr, $example:literal;)*) => {
        impl S3Options {$(
            #[doc = concat!("Sets [`S3Options::", stringify!($name), "`](field@S3Options::", stringify!($name), ").")]
            ///
            /// ```
            /// # use storehouse_s3::*;
            /// # use std::time::Duration;
            #[doc = concat!("let options = S3Options::new(\"host\", \"bucket\").", stringify!($name), "(", $example, ");")]
            /// # let _ = options;
            /// ```
            #[must_use]
            pub fn $name(mut self, $value: $arg) -> Self {
                self.$name = $set;
                self
            }
        )*}
    };
}

impl S3Options {
    /// A server, as [`S3Options::endpoint`](field@S3Options::endpoint) describes it, and a bucket
    /// on it; everything else at its default.
    ///
    /// ```
    /// let options = storehouse_s3::S3Options::new("s3.example.com", "pdp");
    /// assert!(options.create_bucket);
    /// ```
    pub fn new(endpoint: impl Into<String>, bucket: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            bucket: bucket.into(),
            ..Self::default()
        }
    }
}

setters! {
    insecure(bool) => |insecure| Some(insecure), "true";
    region(impl Into<String>) => |region| Some(region.into()), "\"eu-north-1\"";
    bucket(impl Into<String>) => |bucket| bucket.into(), "\"other\"";
    create_bucket(bool) => |create| create, "false";
    addressing(Addressing) => |addressing| addressing, "Addressing::Virtual";
    credentials(Credentials) => |credentials| Some(credentials), "Credentials::new(\"id\", \"secret\")";
    provider(SharedCredentials) => |provider| Some(provider), "SharedCredentials::from_options(&S3Options::default()).unwrap()";
    profile(impl Into<String>) => |profile| Some(profile.into()), "\"node\"";
    anonymous(bool) => |anonymous| anonymous, "true";
    ca_file(impl Into<PathBuf>) => |path| Some(path.into()), "\"/etc/ssl/own.pem\"";
    connect_timeout(Duration) => |timeout| timeout, "Duration::from_secs(5)";
    stall_timeout(Duration) => |timeout| timeout, "Duration::from_secs(30)";
    max_attempts(u32) => |attempts| attempts, "3";
    retry_budget(Duration) => |budget| budget, "Duration::from_secs(60)";
    retry_backoff(Duration) => |backoff| backoff, "Duration::from_millis(50)";
    max_requests(usize) => |requests| requests, "64";
    part_size(u64) => |bytes| bytes, "16 << 20";
    single_copy(u64) => |bytes| bytes, "1 << 30";
    part_memory(u64) => |bytes| bytes, "128 << 20";
    storage_class(impl Into<String>) => |class| Some(class.into()), "\"STANDARD_IA\"";
    encryption(Encryption) => |encryption| Some(encryption), "Encryption::S3";
    sweep_uploads_after(Duration) => |age| Some(age), "Duration::from_secs(86_400)";
    sweep_interval(Duration) => |interval| interval, "Duration::from_secs(3600)";
    sweep_only(KeyFilter) => |filter| Some(filter), "KeyFilter::new(|key| key.as_str().starts_with(\"node1/\"))";
}
