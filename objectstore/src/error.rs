//! The crate's one error type.

use std::fmt;
use std::path::PathBuf;

use crate::{ByteRange, Key};

/// The result of an object store's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error, boxed: what a body's source may fail with and what a backend's cause is kept as.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What was being done when an error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Checking a key's text, before any store saw it.
    Key,
    /// Opening a store.
    Open,
    /// [`ObjectStore::put_opts`](crate::ObjectStore::put_opts).
    Put,
    /// [`ObjectStore::get_opts`](crate::ObjectStore::get_opts), or reading the body that it gave.
    Get,
    /// [`ObjectStore::head`](crate::ObjectStore::head).
    Head,
    /// [`ObjectStore::delete`](crate::ObjectStore::delete) or
    /// [`delete_many`](crate::ObjectStore::delete_many).
    Delete,
    /// [`Batches::batch`](crate::Batches::batch).
    Batch,
    /// [`ObjectStore::list`](crate::ObjectStore::list).
    List,
    /// [`ObjectStore::health`](crate::ObjectStore::health).
    Health,
    /// [`ObjectStore::close`](crate::ObjectStore::close).
    Close,
    /// [`ObjectStore::copy_opts`](crate::ObjectStore::copy_opts).
    Copy,
    /// [`ObjectStore::presign`](crate::ObjectStore::presign).
    Presign,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "key",
            Self::Open => "open",
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::Batch => "batch",
            Self::List => "list",
            Self::Health => "health",
            Self::Close => "close",
            Self::Copy => "copy",
            Self::Presign => "presign",
        })
    }
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// The request cannot succeed as it was made: change the request. Retrying does not help.
    InvalidInput,
    /// There is no such object. An answer rather than a failure.
    NotFound,
    /// The object is still the version that the caller has. An answer rather than a failure.
    NotModified,
    /// Another writer was first: the object exists already, or is another version than the one
    /// required. Read it again and decide anew.
    Conflict,
    /// Something between here and the data failed in a way that passes: retrying may help.
    Transient,
    /// The store, its configuration or its data is broken: somebody has to look.
    Fatal,
}

/// An object store's error: the operation, the key and what went wrong.
///
/// `Display` tells this error alone; the cause, if there is one, is its
/// [`source()`](std::error::Error::source).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Error, ErrorClass, Key, Memory, ObjectStoreExt, Operation};
///
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// let error = store.get(&key).await.unwrap_err();
/// assert!(error.is_not_found() && error.class() == ErrorClass::NotFound);
/// assert!(!error.is_already_exists() && !error.is_precondition() && !error.is_not_modified());
/// assert!(!error.is_transient() && !error.is_closed());
///
/// let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
/// let error = Error::io(Operation::Put, Some(&key), "the file cannot be written", full);
/// assert!(error.is_full());
/// assert_eq!(error.to_string(), "put \"a\": the file cannot be written");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is no key, or this backend does not accept it. Only `put` answers so on account of
    /// the backend.
    #[error("{operation}: invalid key {}: {reason}", Shortened(.key))]
    InvalidKey {
        /// What was being done.
        operation: Operation,
        /// The text as it was given.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The request contradicts itself or lacks something, whatever the store holds.
    #[error("{operation} {key:?}: {reason}")]
    InvalidRequest {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: Key,
        /// What is wrong with the request.
        reason: &'static str,
    },
    /// An attribute that no store could hold.
    #[error("attribute {name:?}: {reason}")]
    InvalidAttribute {
        /// The attribute's name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no such object.
    #[error("{operation} {key:?}: not found")]
    NotFound {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: Key,
    },
    /// A put that was to create the object found one there.
    #[error("put {key:?}: already exists")]
    AlreadyExists {
        /// The object.
        key: Key,
    },
    /// The object is not the one that the condition asked for.
    #[error("{operation} {key:?}: the object's ETag is not the one required")]
    Precondition {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: Key,
    },
    /// The object is still the one that `if_none_match` named.
    #[error("get {key:?}: not modified")]
    NotModified {
        /// The object.
        key: Key,
    },
    /// The range is empty, starts at or past the object's end, or reaches past it.
    #[error("get {key:?}: range {range} cannot be satisfied, the object has {size} bytes")]
    RangeNotSatisfiable {
        /// The object.
        key: Key,
        /// The range asked for.
        range: ByteRange,
        /// The size of the whole object, in bytes.
        size: u64,
    },
    /// The body gave more bytes than were declared, or the declared size is more than the store can
    /// hold.
    #[error("put {key:?}: the body is larger than {limit} bytes")]
    TooLarge {
        /// The object.
        key: Key,
        /// The most that was allowed, in bytes (inclusive): the declared size, or the store's own
        /// limit.
        limit: u64,
    },
    /// The body ended before the declared size.
    #[error("put {key:?}: the body ended after {received} of {declared} bytes")]
    TooSmall {
        /// The object.
        key: Key,
        /// The size declared, in bytes.
        declared: u64,
        /// The bytes that came.
        received: u64,
    },
    /// The body does not have the SHA-256 that [`PutOptions::sha256`](crate::PutOptions::sha256)
    /// promised.
    #[error("put {key:?}: the body does not have the SHA-256 declared for it")]
    ChecksumMismatch {
        /// The object.
        key: Key,
    },
    /// [`Body::collect`](crate::Body::collect) met a body of more bytes than it may hold.
    #[error("the body has more than the {limit} bytes that may be collected")]
    CollectLimit {
        /// The limit, in bytes (inclusive).
        limit: u64,
    },
    /// The body's source failed: the caller's stream, reader or file.
    #[error("{}the body's source failed", OnKey(.key.as_ref()))]
    Body {
        /// The object, once the body is part of a put.
        key: Option<Key>,
        /// What it failed with.
        source: BoxError,
    },
    /// The data ended or changed before all bytes promised were read.
    #[error("get {key:?}: the data ended after {received} of {expected} bytes")]
    Truncated {
        /// The object.
        key: Key,
        /// The bytes promised.
        expected: u64,
        /// The bytes that came.
        received: u64,
        /// What cut them off, if it is known: a connection that broke. `None` if the source itself
        /// is shorter than it said.
        source: Option<BoxError>,
    },
    /// The backend cannot do this, and says so in its [`Capabilities`](crate::Capabilities).
    #[error("{operation} {key:?}: this store does not support {feature}")]
    Unsupported {
        /// What was being done.
        operation: Operation,
        /// The object.
        key: Key,
        /// What it cannot do.
        feature: &'static str,
    },
    /// The store was [closed](crate::ObjectStore::close).
    #[error("{operation}{}: the store is closed", KeyAfter(.key.as_ref()))]
    Closed {
        /// What was being done.
        operation: Operation,
        /// The object, if the operation was about one.
        key: Option<Key>,
    },
    /// Another process, or another store of this one, has the directory open for writing.
    #[error("open: {} is in use by another store", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A store cannot be opened as it is configured.
    #[error("open: {setting}: {reason}")]
    Config {
        /// The setting at fault, by the name that its configuration gives it.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
        /// The cause, if there is a deeper one.
        source: Option<BoxError>,
    },
    /// What lies under the store failed: a disk, a server, the network between.
    #[error("{operation}{}: {message}", KeyAfter(.key.as_ref()))]
    Backend {
        /// What was being done.
        operation: Operation,
        /// The object, if the operation was about one.
        key: Option<Key>,
        /// Whether retrying may help.
        class: ErrorClass,
        /// What failed, in the backend's words.
        message: String,
        /// The cause, if there is a deeper one.
        source: Option<BoxError>,
    },
}

impl Error {
    /// An [`Error::InvalidKey`].
    ///
    /// ```
    /// use storehouse_objectstore::{Error, ErrorClass, Operation};
    ///
    /// let error = Error::invalid_key(Operation::Put, "a b", "it has a space");
    /// assert_eq!(error.to_string(), r#"put: invalid key "a b": it has a space"#);
    /// assert_eq!(error.class(), ErrorClass::InvalidInput);
    /// ```
    pub fn invalid_key(operation: Operation, key: impl Into<String>, reason: &'static str) -> Self {
        Self::InvalidKey {
            operation,
            key: key.into(),
            reason,
        }
    }

    /// An [`Error::NotFound`].
    ///
    /// ```
    /// use storehouse_objectstore::{Error, Key, Operation};
    ///
    /// let error = Error::not_found(Operation::Get, &Key::new("a")?);
    /// assert!(error.is_not_found());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn not_found(operation: Operation, key: &Key) -> Self {
        Self::NotFound {
            operation,
            key: key.clone(),
        }
    }

    /// An [`Error::Closed`].
    ///
    /// ```
    /// use storehouse_objectstore::{Error, Key, Operation};
    ///
    /// assert!(Error::closed(Operation::Get, Some(&Key::new("a")?)).is_closed());
    /// assert!(Error::closed(Operation::List, None).is_closed());
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn closed(operation: Operation, key: Option<&Key>) -> Self {
        Self::Closed {
            operation,
            key: key.cloned(),
        }
    }

    /// An [`Error::Config`] without a deeper cause.
    ///
    /// ```
    /// use storehouse_objectstore::{Error, ErrorClass};
    ///
    /// let error = Error::config("bucket", "is empty");
    /// assert!(error.to_string().contains("bucket"));
    /// assert_eq!(error.class(), ErrorClass::Fatal);
    /// ```
    pub fn config(setting: &'static str, reason: impl Into<String>) -> Self {
        Self::Config {
            setting,
            reason: reason.into(),
            source: None,
        }
    }

    /// An [`Error::Backend`] for a failed system call or socket, classed by the kind of `source`.
    pub fn io(
        operation: Operation,
        key: Option<&Key>,
        message: impl Into<String>,
        source: std::io::Error,
    ) -> Self {
        use std::io::ErrorKind as Kind;
        let class = match source.kind() {
            Kind::Interrupted
            | Kind::TimedOut
            | Kind::WouldBlock
            | Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::BrokenPipe
            | Kind::ResourceBusy
            | Kind::StorageFull
            | Kind::QuotaExceeded => ErrorClass::Transient,
            _ => ErrorClass::Fatal,
        };
        Self::Backend {
            operation,
            key: key.cloned(),
            class,
            message: message.into(),
            source: Some(Box::new(source)),
        }
    }

    /// The same error about another key: what `f` makes of the text of this one's, if that is a
    /// key. For writers of wrappers that change keys.
    ///
    /// ```
    /// use storehouse_objectstore::{Error, Key, Operation};
    ///
    /// let error = Error::not_found(Operation::Get, &Key::new("tenant/a")?);
    /// let error = error.map_key(|key| key.strip_prefix("tenant/").map(str::to_owned));
    /// assert_eq!(error.to_string(), r#"get "a": not found"#);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn map_key(mut self, f: impl FnOnce(&str) -> Option<String>) -> Self {
        match &mut self {
            Self::InvalidKey { key, .. } => *key = f(key).unwrap_or_else(|| std::mem::take(key)),
            Self::InvalidRequest { key, .. }
            | Self::NotFound { key, .. }
            | Self::AlreadyExists { key }
            | Self::Precondition { key, .. }
            | Self::NotModified { key }
            | Self::RangeNotSatisfiable { key, .. }
            | Self::TooLarge { key, .. }
            | Self::TooSmall { key, .. }
            | Self::ChecksumMismatch { key }
            | Self::Body { key: Some(key), .. }
            | Self::Truncated { key, .. }
            | Self::Unsupported { key, .. }
            | Self::Closed { key: Some(key), .. }
            | Self::Backend { key: Some(key), .. } => {
                if let Some(Ok(mapped)) = f(key.as_str()).map(Key::new) {
                    *key = mapped;
                }
            }
            Self::CollectLimit { .. }
            | Self::InvalidAttribute { .. }
            | Self::Body { key: None, .. }
            | Self::InUse { .. }
            | Self::Closed { key: None, .. }
            | Self::Config { .. }
            | Self::Backend { key: None, .. } => {}
        }
        self
    }

    /// The same error of another operation, where it says one. For writers of operations that are
    /// made of others.
    ///
    /// ```
    /// use storehouse_objectstore::{Error, Key, Operation};
    ///
    /// let error = Error::not_found(Operation::Get, &Key::new("a")?);
    /// let error = error.map_operation(Operation::Copy);
    /// assert_eq!(error.to_string(), r#"copy "a": not found"#);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn map_operation(mut self, to: Operation) -> Self {
        match &mut self {
            Self::InvalidKey { operation, .. }
            | Self::InvalidRequest { operation, .. }
            | Self::NotFound { operation, .. }
            | Self::Precondition { operation, .. }
            | Self::Unsupported { operation, .. }
            | Self::Closed { operation, .. }
            | Self::Backend { operation, .. } => *operation = to,
            _ => {}
        }
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::InvalidKey { .. }
            | Self::InvalidRequest { .. }
            | Self::InvalidAttribute { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::TooLarge { .. }
            | Self::TooSmall { .. }
            | Self::ChecksumMismatch { .. }
            | Self::CollectLimit { .. }
            | Self::Body { .. }
            | Self::Unsupported { .. } => ErrorClass::InvalidInput,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::NotModified { .. } => ErrorClass::NotModified,
            Self::AlreadyExists { .. } | Self::Precondition { .. } => ErrorClass::Conflict,
            Self::Truncated { .. } | Self::InUse { .. } => ErrorClass::Transient,
            Self::Config { .. } | Self::Closed { .. } => ErrorClass::Fatal,
            Self::Backend { class, .. } => *class,
        }
    }

    /// Whether there is no such object.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether a put that was to create found an object there.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::AlreadyExists { .. })
    }

    /// Whether a condition on the ETag did not hold.
    #[must_use]
    pub fn is_precondition(&self) -> bool {
        matches!(self, Self::Precondition { .. })
    }

    /// Whether the object is still the one that `if_none_match` named.
    #[must_use]
    pub fn is_not_modified(&self) -> bool {
        matches!(self, Self::NotModified { .. })
    }

    /// Whether the store was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Whether a disk or a quota is full: the operation can succeed once there is space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        use std::io::ErrorKind as Kind;
        let causes =
            std::iter::successors(std::error::Error::source(self), |&cause| cause.source());
        let mut io = causes.filter_map(|cause| cause.downcast_ref::<std::io::Error>());
        matches!(self, Self::Backend { .. })
            && io.any(|io| {
                matches!(
                    io.kind(),
                    Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge
                )
            })
    }

    /// Whether retrying may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == ErrorClass::Transient
    }
}

/// A key in quotes, cut after 64 characters: a refused key may be megabytes long.
struct Shortened<'a>(&'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(64) {
            None => write!(f, "{:?}", self.0),
            Some((cut, _)) => write!(f, "{:?}… ({} bytes)", &self.0[..cut], self.0.len()),
        }
    }
}

/// `put "key": `, or nothing.
struct OnKey<'a>(Option<&'a Key>);

impl fmt::Display for OnKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, "put {key:?}: "))
    }
}

/// ` "key"`, or nothing.
struct KeyAfter<'a>(Option<&'a Key>);

impl fmt::Display for KeyAfter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |key| write!(f, " {key:?}"))
    }
}
