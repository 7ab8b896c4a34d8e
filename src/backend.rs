//! The stores by name, and what each lies in.

use std::fmt;
use std::path::{Path, PathBuf};

/// The stores that are over an object store: the blobs, and each kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreName {
    /// The blobs.
    Blobs,
    /// Allocations.
    Allocations,
    /// Acceptances.
    Acceptances,
    /// Delegations, also called claims.
    Delegations,
    /// Receipts.
    Receipts,
    /// Consolidations.
    Consolidations,
}

impl StoreName {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Blobs,
        Self::Allocations,
        Self::Acceptances,
        Self::Delegations,
        Self::Receipts,
        Self::Consolidations,
    ];

    /// The name, as in `repo.stores.NAME`.
    ///
    /// ```
    /// use storehouse::StoreName;
    ///
    /// assert_eq!(StoreName::Delegations.as_str(), "delegations");
    /// assert_eq!(StoreName::ALL.map(StoreName::as_str)[0], "blobs");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blobs => "blobs",
            Self::Allocations => "allocations",
            Self::Acceptances => "acceptances",
            Self::Delegations => "delegations",
            Self::Receipts => "receipts",
            Self::Consolidations => "consolidations",
        }
    }

    /// What follows the prefix in the name of its bucket, as Piri has it.
    pub(crate) fn bucket(self) -> &'static str {
        match self {
            Self::Blobs => "pdp",
            Self::Allocations => "allocations",
            Self::Acceptances => "acceptances",
            Self::Delegations => "claims",
            Self::Receipts => "receipts",
            Self::Consolidations => "consolidation",
        }
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a store lies in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// This process's memory, gone with it.
    Memory,
    /// A store that the program handed to [`StoresBuilder::store`](crate::StoresBuilder::store).
    Own,
    /// A store of the section `[stores]` of the configuration.
    Named {
        /// Its name there.
        name: String,
    },
    /// Files under a directory.
    Flatfs {
        /// The flatfs directory.
        path: PathBuf,
    },
    /// A redb database in a directory.
    Redb {
        /// The database's directory.
        path: PathBuf,
    },
    /// A bucket of an S3 server.
    S3 {
        /// The server, as it was configured.
        endpoint: String,
        /// The bucket.
        bucket: String,
    },
}

impl Backend {
    /// The directory that it lies in, if it lies in one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Flatfs { path } | Self::Redb { path } => Some(path),
            Self::Memory | Self::Own | Self::Named { .. } | Self::S3 { .. } => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory"),
            Self::Own => f.write_str("a store of the program's own"),
            Self::Named { name } => write!(f, "the store {name:?}"),
            Self::Flatfs { path } => write!(f, "flatfs at {}", path.display()),
            Self::Redb { path } => write!(f, "redb at {}", path.display()),
            Self::S3 { endpoint, bucket } => write!(f, "s3 bucket {bucket} at {endpoint}"),
        }
    }
}
