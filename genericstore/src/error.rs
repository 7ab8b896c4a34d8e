//! The crate's one error type.

use storehouse_objectstore::{Error as StoreError, ErrorClass, Key};

use crate::CodecError;

/// The result of a record store's operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a record.
///
/// `Display` tells this error alone; the cause, if there is one, is its
/// [`source()`](std::error::Error::source).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_genericstore::{GenericStore, Json, Namespace};
/// use storehouse_objectstore::{ErrorClass, Memory, ObjectStoreExt};
///
/// let numbers = GenericStore::<u32, _, _>::new(Memory::new(), Json, Namespace::root());
/// let error = numbers.get("a").await.unwrap_err();
/// assert!(error.is_not_found() && error.class() == ErrorClass::NotFound);
///
/// numbers.object_store().put(&numbers.object_key("a")?, "no number").await?;
/// let error = numbers.get("a").await.unwrap_err();
/// assert!(error.is_record(), "this record cannot be read, others can");
/// assert_eq!(error.key().unwrap().as_str(), "a");
/// assert!(!error.is_full() && !error.is_already_exists() && !error.is_precondition());
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The object store failed, or found or refused the object; it says which.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What lies under the key is not a record of the type.
    #[error("record {key:?} cannot be decoded")]
    Decode {
        /// The object.
        key: Key,
        /// Why not.
        source: CodecError,
    },
    /// The value has no encoding.
    #[error("record {key:?} cannot be encoded")]
    Encode {
        /// The object.
        key: Key,
        /// Why not.
        source: CodecError,
    },
    /// A record is larger than the store's limit. It was neither read into memory nor written.
    #[error("record {key:?} has {size} bytes, more than the {limit} that are allowed")]
    TooLarge {
        /// The object.
        key: Key,
        /// Its size, in bytes.
        size: u64,
        /// The limit, in bytes (inclusive).
        limit: u64,
    },
    /// Another record holds an index key that is to be unique. Nothing was written.
    #[error("index {index:?}: {index_key:?} is held by record {holder:?} already")]
    NotUnique {
        /// The index.
        index: String,
        /// The key in the index, as text.
        index_key: String,
        /// The record that holds it: its key in the namespace.
        holder: String,
    },
    /// An entry of an index cannot be read.
    #[error("index entry {key:?} is not one: {reason}")]
    IndexEntry {
        /// The object.
        key: Key,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A store was put together in a way that cannot work.
    #[error("{what}: {reason}")]
    Config {
        /// The part at fault.
        what: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(e) => e.class(),
            Self::Encode { .. } | Self::TooLarge { .. } | Self::Config { .. } => {
                ErrorClass::InvalidInput
            }
            Self::NotUnique { .. } => ErrorClass::Conflict,
            Self::Decode { .. } | Self::IndexEntry { .. } => ErrorClass::Fatal,
        }
    }

    /// The object that it is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<&Key> {
        match self {
            Self::Decode { key, .. }
            | Self::Encode { key, .. }
            | Self::TooLarge { key, .. }
            | Self::IndexEntry { key, .. } => Some(key),
            Self::Store(_) | Self::NotUnique { .. } | Self::Config { .. } => None,
        }
    }

    /// Whether there is no such record.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_not_found())
    }

    /// Whether a record is there that was to be absent.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_already_exists())
    }

    /// Whether a disk or a quota is full: the operation can succeed once there is space.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_full())
    }

    /// Whether the record is no longer the one that was to be replaced.
    #[must_use]
    pub fn is_precondition(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_precondition())
    }

    /// Whether it says of one record that it cannot be read, while others can.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(
            self,
            Self::Decode { .. } | Self::TooLarge { .. } | Self::IndexEntry { .. }
        )
    }
}
