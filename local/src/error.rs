//! The crate's one error type.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storehouse_engine::Unanswered;
use storehouse_formats::Cid;
use storehouse_formats::car::CarError;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong in the keystore or in the journal.
///
/// `Display` is this error alone; a cause is its [`source()`](std::error::Error::source). No
/// variant ever holds a byte of a secret. Cloning is cheap: appends that waited together for one
/// failed sync each get the error.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a valid key name.
    #[error("invalid key name {name:?}: {reason}")]
    InvalidName {
        /// The text, cut after 64 characters.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no key of that name.
    #[error("no key is named {name:?}")]
    KeyNotFound {
        /// The key's name.
        name: String,
    },
    /// A key of that name exists, and the put was not to replace it.
    #[error("a key named {name:?} already exists")]
    KeyExists {
        /// The key's name.
        name: String,
    },
    /// The bytes are not those of a key, or too many.
    #[error("not a usable key: {reason}")]
    InvalidKey {
        /// What is wrong.
        reason: &'static str,
    },
    /// Others than the owner may read the file or directory.
    #[error("{} may be used by others than its owner (mode {mode:04o}); mend it with: {fix}", .path.display())]
    Exposed {
        /// The file or directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// A shell command that mends it.
        fix: String,
    },
    /// The file or directory belongs to another user.
    #[error("{} belongs to user {owner}, and this process runs as user {user}; mend it with: {fix}", .path.display())]
    ForeignOwner {
        /// The file or directory.
        path: PathBuf,
        /// The user that owns it.
        owner: u32,
        /// The user of this process.
        user: u32,
        /// A shell command that mends it, if it is run by root.
        fix: String,
    },
    /// A path does not name the kind of file that it has to.
    #[error("{} is {found}, where {wanted} is expected", .path.display())]
    FileKind {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
        /// What should be.
        wanted: &'static str,
    },
    /// The key is stored as it is, and the store was opened with a passphrase.
    #[error(
        "the key {name:?} is stored unsealed, although a passphrase is set; seal it, or allow unsealed keys"
    )]
    Unsealed {
        /// The key's name.
        name: String,
    },
    /// The key is sealed, and the store was opened without a passphrase.
    #[error("the key {name:?} is sealed under a passphrase, and none was given")]
    PassphraseNeeded {
        /// The key's name.
        name: String,
    },
    /// The key is whole, but sealed under another passphrase.
    #[error("the key {name:?} is sealed under another passphrase")]
    WrongPassphrase {
        /// The key's name.
        name: String,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// An import met a key that the store holds with other bytes. Nothing was imported.
    #[error("the store holds another key under the name {name:?}; nothing was imported")]
    ImportConflict {
        /// The key's name.
        name: String,
    },
    /// Another process, or another handle of this one, has the directory open.
    #[error("{} is in use by another process or handle", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// An archive is empty or larger than a frame may hold.
    #[error("an archive of {size} bytes does not fit a frame: it must have 1 to {limit} bytes")]
    FrameSize {
        /// The archive's size, in bytes.
        size: usize,
        /// The most that a frame holds, in bytes (inclusive).
        limit: usize,
    },
    /// There is no such batch.
    #[error("there is no batch {cid}")]
    BatchNotFound {
        /// The batch.
        cid: Cid,
    },
    /// A batch cannot be read.
    #[error("{context} cannot be read")]
    Car {
        /// What was being read.
        context: String,
        /// Why not.
        source: CarError,
    },
    /// An archive in a batch is not a receipt's.
    #[error("the archive {cid} cannot be read as a receipt")]
    Receipt {
        /// The archive.
        cid: Cid,
        /// Why not.
        source: Arc<storehouse_formats::Error>,
    },
    /// The operation cannot succeed as it was asked for.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: &'static str,
    },
    /// The runtime that carries the blocking work out is shutting down.
    #[error("the runtime is shutting down")]
    Stopped,
    /// The journal was closed.
    #[error("the journal is closed")]
    Closed,
    /// The work panicked. All, a part or nothing of it happened.
    #[error("the work panicked")]
    Panicked,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
    /// A system call failed.
    #[error("{operation} {}", .path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
}

impl Error {
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether there is no such key or batch.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore};
    ///
    /// let error = MemoryKeyStore::new().get(&"node".parse()?).await.unwrap_err();
    /// assert!(error.is_not_found());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::KeyNotFound { .. } | Self::BatchNotFound { .. })
    }

    /// What it means for the operation that failed, when operations are counted.
    #[cfg(feature = "observe")]
    pub(crate) fn outcome(&self) -> storehouse_objectstore::observe::OperationOutcome {
        use storehouse_objectstore::observe::OperationOutcome;
        match self {
            Self::KeyNotFound { .. } | Self::BatchNotFound { .. } => OperationOutcome::NotFound,
            Self::KeyExists { .. } => OperationOutcome::Condition,
            Self::InvalidName { .. }
            | Self::InvalidKey { .. }
            | Self::PassphraseNeeded { .. }
            | Self::Unsealed { .. }
            | Self::WrongPassphrase { .. }
            | Self::ImportConflict { .. }
            | Self::FrameSize { .. }
            | Self::Invalid { .. } => OperationOutcome::InvalidInput,
            Self::InUse { .. } | Self::Stopped | Self::Random => OperationOutcome::Transient,
            Self::Closed | Self::Panicked => OperationOutcome::Fatal,
            Self::Io { .. } if self.is_full() => OperationOutcome::Transient,
            Self::Exposed { .. }
            | Self::ForeignOwner { .. }
            | Self::FileKind { .. }
            | Self::Damaged { .. }
            | Self::Car { .. }
            | Self::Receipt { .. }
            | Self::Io { .. } => OperationOutcome::Fatal,
        }
    }

    /// Whether a disk or a quota is full: the operation can succeed once there is space.
    ///
    /// ```
    /// use storehouse_local::Error;
    ///
    /// fn advice(error: &Error) -> &'static str {
    ///     if error.is_full() { "make room" } else { "look at the log" }
    /// }
    /// assert_eq!(advice(&Error::Stopped), "look at the log");
    /// ```
    #[must_use]
    pub fn is_full(&self) -> bool {
        use io::ErrorKind as Kind;
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), Kind::StorageFull | Kind::QuotaExceeded | Kind::FileTooLarge))
    }
}

impl From<Unanswered> for Error {
    fn from(why: Unanswered) -> Self {
        match why {
            Unanswered::Closed => Self::Closed,
            Unanswered::Panicked => Self::Panicked,
            _ => Self::Stopped,
        }
    }
}

/// Says what was being done to which path when a system call failed.
pub(crate) trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::Io {
            operation,
            path: path.to_owned(),
            source: Arc::new(source),
        })
    }
}
