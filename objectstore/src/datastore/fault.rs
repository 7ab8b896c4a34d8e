//! What can go wrong under a read or a write, before it is an error about a key.

use std::fmt;
use std::io;

use crate::{Error, ErrorClass, Key, Operation};

/// Why something could not be done.
#[derive(Debug)]
pub(super) enum Fault {
    /// The bytes are not in memory, and the caller may not wait for a disk.
    WouldWait,
    /// A system call failed.
    Io(String, io::Error),
    /// A file does not hold what was written to it.
    Damaged(Damage),
}

/// A place where a file does not hold what was written to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file's name in the store's directory.
    pub file: String,
    /// Where, in bytes from its start.
    pub at: u64,
    /// What is wrong there.
    pub what: &'static str,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} is damaged at byte {}: {}",
            self.file, self.at, self.what
        )
    }
}

impl Fault {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |e| Self::Io(what.into(), e)
    }

    pub(super) fn damaged(file: impl Into<String>, at: u64, what: &'static str) -> Self {
        Self::Damaged(Damage {
            file: file.into(),
            at,
            what,
        })
    }

    /// The error that a caller of the store sees.
    pub(super) fn into_error(self, operation: Operation, key: Option<&Key>) -> Error {
        let message = match self {
            Self::Io(what, source) => return Error::io(operation, key, what, source),
            Self::Damaged(damage) => damage.to_string(),
            Self::WouldWait => "the disk was not waited for".to_owned(),
        };
        Error::Backend {
            operation,
            key: key.cloned(),
            class: ErrorClass::Fatal,
            message,
            source: None,
        }
    }

    /// The same fault for one more caller of a group that failed together.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::WouldWait => Self::WouldWait,
            Self::Damaged(damage) => Self::Damaged(damage.clone()),
            Self::Io(what, e) => {
                let copy = e.raw_os_error().map_or_else(
                    || io::Error::new(e.kind(), e.to_string()),
                    io::Error::from_raw_os_error,
                );
                Self::Io(what.clone(), copy)
            }
        }
    }
}
