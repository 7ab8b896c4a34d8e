//! The crate's one error type.

use std::fmt;

use storehouse_objectstore::{self as objectstore, ByteRange, ErrorClass, Key};

use crate::{Digest, HashFunction};

/// The result of a blob store's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What was being done when an error happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlobOperation {
    /// Hashing a body, with no store.
    Hash,
    /// Making a blob's key.
    Key,
    /// [`BlobStore::add_opts`](crate::BlobStore::add_opts), until the digest is known.
    Add,
    /// [`BlobStore::put_opts`](crate::BlobStore::put_opts).
    Put,
    /// [`BlobStore::get_opts`](crate::BlobStore::get_opts).
    Get,
    /// [`BlobStore::head`](crate::BlobStore::head).
    Head,
    /// [`BlobStore::delete`](crate::BlobStore::delete).
    Delete,
    /// [`BlobStore::list`](crate::BlobStore::list).
    List,
    /// [`BlobStore::verify`](crate::BlobStore::verify) and
    /// [`BlobStore::scrub`](crate::BlobStore::scrub).
    Verify,
}

impl fmt::Display for BlobOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hash => "hash",
            Self::Key => "key",
            Self::Add => "add",
            Self::Put => "put",
            Self::Get => "get",
            Self::Head => "head",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Verify => "verify",
        })
    }
}

/// A blob store's error: the operation, the digest and what went wrong.
///
/// `Display` tells this error alone; the cause, if there is one, is its
/// [`source()`](std::error::Error::source).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
/// use storehouse_objectstore::{ErrorClass, Memory};
///
/// let blobs = BlobStore::new(Memory::new(), PlainKeys);
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let error = blobs.put(&digest, "world").await.unwrap_err();
/// assert!(error.is_data_inconsistent() && error.class() == ErrorClass::InvalidInput);
/// assert!(blobs.get(&digest).await.unwrap_err().is_not_found());
///
/// blobs.put(&digest, "hello").await?;
/// let error = blobs.get_range(&digest, 4..9).await.unwrap_err();
/// assert!(error.is_range_not_satisfiable() && !error.is_transient());
/// assert!(!error.is_damaged() && !error.is_full());
///
/// // What lies underneath: the store, and a blob's key in it.
/// assert_eq!(blobs.key(&digest)?.as_str(), digest.to_string());
/// use storehouse_objectstore::ObjectStore;
/// assert_eq!(blobs.store().head(&blobs.key(&digest)?).await.unwrap().size, 5);
/// # Ok::<(), storehouse_blobstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text or the bytes are no digest.
    #[error("invalid digest {text:?}: {reason}")]
    InvalidDigest {
        /// The text as it was given, or the bytes in hexadecimal; cut if it is long.
        text: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The digest is of a hash function that this crate cannot compute, so the blob can be neither
    /// put nor verified.
    #[error("{digest}: unknown hash function {code:#x}")]
    UnknownHash {
        /// The blob.
        digest: Digest,
        /// The function's code.
        code: u64,
    },
    /// The digest's hash does not have the length that its function gives. Truncated hashes are not
    /// accepted.
    #[error("{digest}: a {function} hash has {} bytes, not {len}", .function.hash_len())]
    HashLength {
        /// The blob.
        digest: Digest,
        /// The hash function.
        function: HashFunction,
        /// The length of the hash in the digest, in bytes.
        len: usize,
    },
    /// There is no such blob.
    #[error("{operation} {digest}: not found")]
    NotFound {
        /// What was being done.
        operation: BlobOperation,
        /// The blob.
        digest: Digest,
    },
    /// The body gave more bytes than were declared, or the declared size is more than the store can
    /// hold. Nothing was stored.
    #[error("put {digest}: the body is larger than {limit} bytes")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// The most that was allowed, in bytes (inclusive).
        limit: u64,
    },
    /// The body ended before the declared size. Nothing was stored.
    #[error("put {digest}: the body ended after {received} of {declared} bytes")]
    TooSmall {
        /// The blob.
        digest: Digest,
        /// The size declared, in bytes.
        declared: u64,
        /// The bytes that came.
        received: u64,
    },
    /// The bytes do not have the digest: the ones to be put, of which nothing was stored, or the
    /// ones that are stored and were verified.
    #[error("{operation} {digest}: the data does not match its digest{}", ButHas(.actual.as_ref()))]
    DataInconsistent {
        /// What was being done.
        operation: BlobOperation,
        /// The blob.
        digest: Digest,
        /// The digest that the bytes do have, by the same function. `None` if the server refused
        /// them, or if their declared size alone rules the digest out.
        actual: Option<Digest>,
    },
    /// An object lies under the blob's key that cannot be the blob, by its size alone: it is empty,
    /// or it is not where only the empty blob may be, or a known size rules it out (see
    /// [`BlobStore::with_known_sizes`](crate::BlobStore::with_known_sizes)). A put of the blob
    /// replaces it.
    #[error("{operation} {digest}: the object {key:?} is damaged: {size} bytes are not this blob")]
    Damaged {
        /// What was being done.
        operation: BlobOperation,
        /// The blob.
        digest: Digest,
        /// The object.
        key: Key,
        /// The object's size, in bytes.
        size: u64,
    },
    /// The range is empty, starts at or past the blob's end, or reaches past it.
    #[error("get {digest}: range {range} cannot be satisfied, the blob has {size} bytes")]
    RangeNotSatisfiable {
        /// The blob.
        digest: Digest,
        /// The range asked for.
        range: ByteRange,
        /// The size of the whole blob, in bytes.
        size: u64,
    },
    /// The store reported success without having read the body to its end, so what it stored was
    /// not verified: the store is at fault.
    #[error("put {digest}: the store took {key:?} for whole before the body had ended")]
    Unverified {
        /// The blob.
        digest: Digest,
        /// The object that was written.
        key: Key,
    },
    /// The object store, or the body's source, failed.
    #[error("{operation}{}: {}", Of(.digest.as_ref()), if matches!(source, objectstore::Error::Body { .. }) { "the body failed" } else { "the object store failed" })]
    Store {
        /// What was being done.
        operation: BlobOperation,
        /// The blob, if the operation was about one.
        digest: Option<Digest>,
        /// What it failed with.
        source: objectstore::Error,
    },
}

impl Error {
    pub(crate) fn invalid_digest(text: &str, reason: &'static str) -> Self {
        let text = match text.char_indices().nth(64) {
            None => text.to_owned(),
            Some((cut, _)) => format!("{}… ({} bytes)", &text[..cut], text.len()),
        };
        Self::InvalidDigest { text, reason }
    }

    /// The object store's error in terms of blobs.
    pub(crate) fn store(
        operation: BlobOperation,
        digest: Option<&Digest>,
        source: objectstore::Error,
    ) -> Self {
        let digest = digest.cloned();
        match (digest, source) {
            (Some(digest), objectstore::Error::NotFound { .. }) => {
                Self::NotFound { operation, digest }
            }
            (Some(digest), objectstore::Error::TooLarge { limit, .. }) => {
                Self::TooLarge { digest, limit }
            }
            (
                Some(digest),
                objectstore::Error::TooSmall {
                    declared, received, ..
                },
            ) => Self::TooSmall {
                digest,
                declared,
                received,
            },
            (Some(digest), objectstore::Error::ChecksumMismatch { .. }) => Self::DataInconsistent {
                operation,
                digest,
                actual: None,
            },
            (Some(digest), objectstore::Error::RangeNotSatisfiable { range, size, .. }) => {
                Self::RangeNotSatisfiable {
                    digest,
                    range,
                    size,
                }
            }
            (digest, source) => Self::Store {
                operation,
                digest,
                source,
            },
        }
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            // The caller's bytes were wrong, but stored ones that are wrong need somebody to look.
            Self::DataInconsistent {
                operation: BlobOperation::Verify,
                ..
            }
            | Self::Damaged { .. }
            | Self::Unverified { .. } => ErrorClass::Fatal,
            Self::InvalidDigest { .. }
            | Self::UnknownHash { .. }
            | Self::HashLength { .. }
            | Self::TooLarge { .. }
            | Self::TooSmall { .. }
            | Self::DataInconsistent { .. }
            | Self::RangeNotSatisfiable { .. } => ErrorClass::InvalidInput,
            Self::NotFound { .. } => ErrorClass::NotFound,
            Self::Store { source, .. } => source.class(),
        }
    }

    /// Whether there is no such blob.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    /// Whether the bytes do not match the digest.
    #[must_use]
    pub fn is_data_inconsistent(&self) -> bool {
        matches!(self, Self::DataInconsistent { .. })
    }

    /// Whether what lies under the blob's key cannot be the blob: see [`Error::Damaged`].
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Whether the range asked for is not one of the blob's.
    #[must_use]
    pub fn is_range_not_satisfiable(&self) -> bool {
        matches!(self, Self::RangeNotSatisfiable { .. })
    }

    /// Whether a disk or a quota is full: the operation can succeed once there is space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store { source, .. } if source.is_full())
    }

    /// Whether retrying may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.class() == ErrorClass::Transient
    }
}

/// `, but has zQm…`, or nothing.
struct ButHas<'a>(Option<&'a Digest>);

impl fmt::Display for ButHas<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |digest| write!(f, ", but {digest}"))
    }
}

/// ` zQm…`, or nothing.
struct Of<'a>(Option<&'a Digest>);

impl fmt::Display for Of<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |digest| write!(f, " {digest}"))
    }
}
