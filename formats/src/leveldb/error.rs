use std::io;
use std::path::{Path, PathBuf};

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LevelDbError {
    /// There is none in the directory.
    #[error("{} is not a LevelDB database: it has no file CURRENT", .path.display())]
    NotADatabase {
        /// The directory.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("{} is in use by another process", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A file is not what was written.
    #[error("{} is damaged: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What shows it.
        reason: &'static str,
    },
    /// A file cannot be read.
    #[error("cannot {operation} {}", .path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

pub(super) type Result<T> = std::result::Result<T, LevelDbError>;

/// What is wrong with a file's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);

pub(super) type Parsed<T> = std::result::Result<T, Damage>;

impl Damage {
    pub(super) fn of(self, path: &Path) -> LevelDbError {
        LevelDbError::Damaged {
            path: path.to_owned(),
            reason: self.0,
        }
    }
}

pub(super) trait IoContext<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn context(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| LevelDbError::Io {
            operation,
            path: path.to_owned(),
            source,
        })
    }
}
