//! What can go wrong in an engine, before it is an error about a key.

use std::fmt;
use std::io;

use storehouse_objectstore::{Error, ErrorClass, Key, Operation};

/// Why an engine could not do something.
///
/// ```
/// use std::io;
/// use storehouse_engine::Fault;
/// use storehouse_objectstore::{ErrorClass, Operation};
///
/// let full = io::Error::from(io::ErrorKind::StorageFull);
/// let error = Fault::io("the log cannot be written", full).into_error(Operation::Put, None);
/// assert!(error.is_full());
/// assert_eq!(error.to_string(), "put: the log cannot be written");
///
/// let damaged = Fault::damaged("page 7 has another checksum");
/// assert_eq!(damaged.into_error(Operation::Get, None).class(), ErrorClass::Fatal);
/// let stopped = Fault::stopped("no writes after a failed sync");
/// assert_eq!(stopped.to_string(), "no writes after a failed sync");
/// assert!(Fault::Closed.into_error(Operation::Get, None).is_closed());
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// A system call failed.
    Io {
        /// What was being done.
        what: String,
        /// The system's error.
        source: io::Error,
    },
    /// The files do not hold what was written to them.
    Damaged {
        /// What is wrong.
        what: String,
    },
    /// The engine does no more of this kind after an earlier failure, until it is opened again.
    Stopped {
        /// What it does not do.
        what: String,
    },
    /// The store is closed.
    Closed,
}

impl Fault {
    /// A failed system call.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            what: what.into(),
            source,
        }
    }

    /// Files that do not hold what was written to them.
    pub fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }

    /// An engine that does no more after an earlier failure.
    pub fn stopped(what: impl Into<String>) -> Self {
        Self::Stopped { what: what.into() }
    }

    /// The error that a caller of the store sees.
    #[must_use]
    pub fn into_error(self, operation: Operation, key: Option<&Key>) -> Error {
        let message = match self {
            Self::Io { what, source } => return Error::io(operation, key, what, source),
            Self::Damaged { what } | Self::Stopped { what } => what,
            Self::Closed => return Error::closed(operation, key),
        };
        let class = ErrorClass::Fatal;
        Error::Backend {
            operation,
            key: key.cloned(),
            class,
            message,
            source: None,
        }
    }

    /// The same fault for a further caller.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Io { what, source } => {
                let copy = || io::Error::new(source.kind(), source.to_string());
                let source = source
                    .raw_os_error()
                    .map_or_else(copy, io::Error::from_raw_os_error);
                Self::Io {
                    what: what.clone(),
                    source,
                }
            }
            Self::Damaged { what } => Self::Damaged { what: what.clone() },
            Self::Stopped { what } => Self::Stopped { what: what.clone() },
            Self::Closed => Self::Closed,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, source } => write!(f, "{what}: {source}"),
            Self::Damaged { what } | Self::Stopped { what } => f.write_str(what),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}
