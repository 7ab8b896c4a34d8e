//! The crate's one error type.

use storehouse_objectstore::ErrorClass;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a record or its store.
///
/// `Display` tells this error alone; the cause, if there is one, is its
/// [`source()`](std::error::Error::source).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{Digest, HashFunction};
/// use storehouse_objectstore::{ErrorClass, Memory};
/// use storehouse_stores::{AllocationStore, Layout};
///
/// let allocations = AllocationStore::new(Memory::new(), &Layout::database());
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let error = allocations.get(&digest, &"did:web:example.com".parse()?).await.unwrap_err();
/// assert!(error.is_not_found() && error.class() == ErrorClass::NotFound);
/// assert!(!error.is_record() && !error.is_full() && !error.is_already_exists());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The store failed, or found no such record; it says which.
    #[error(transparent)]
    Store(#[from] storehouse_genericstore::Error),
    /// Text or bytes are not of a record's format.
    #[error(transparent)]
    Format(#[from] storehouse_formats::Error),
    /// A value is not one that a record can have.
    #[error("invalid {what}: {reason}")]
    Invalid {
        /// The value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A database that is to be imported cannot be read.
    #[error(transparent)]
    LevelDb(#[from] storehouse_formats::leveldb::LevelDbError),
    /// There is nothing to import.
    #[error("{} holds none of a Piri node's record databases", .path.display())]
    NothingToImport {
        /// The directory.
        path: std::path::PathBuf,
    },
    /// A record that was imported does not read back as it was.
    #[error("record {key:?} reads back as another than was written")]
    Compare {
        /// The object.
        key: storehouse_objectstore::Key,
    },
}

impl Error {
    pub(crate) fn invalid(what: &'static str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            what,
            reason: reason.into(),
        }
    }

    /// What a caller can do about it.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Store(e) => e.class(),
            _ => ErrorClass::InvalidInput,
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

    /// Whether it says of one record that it cannot be read, while others can.
    #[must_use]
    pub fn is_record(&self) -> bool {
        matches!(self, Self::Store(e) if e.is_record())
    }
}
