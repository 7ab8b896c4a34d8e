//! How operations end.

use crate::{Error, ErrorClass};

/// How an operation ended: the label `outcome`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationOutcome {
    /// It did what was asked.
    Ok,
    /// There is no such object: an answer, not an error.
    NotFound,
    /// The condition of the request did not hold: an answer too.
    Condition,
    /// The request cannot succeed as it was made.
    InvalidInput,
    /// It failed, and retrying may help.
    Transient,
    /// It failed, and somebody has to look.
    Fatal,
    /// The caller dropped it before its end.
    Cancelled,
}

impl OperationOutcome {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Ok,
        Self::NotFound,
        Self::Condition,
        Self::InvalidInput,
        Self::Transient,
        Self::Fatal,
        Self::Cancelled,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::NotFound => "not_found",
            Self::Condition => "condition",
            Self::InvalidInput => "invalid_input",
            Self::Transient => "transient",
            Self::Fatal => "fatal",
            Self::Cancelled => "cancelled",
        }
    }

    /// What an error of an object store means for its operation.
    ///
    /// ```
    /// use storehouse_objectstore::observe::OperationOutcome;
    /// use storehouse_objectstore::{Error, Key, Operation};
    ///
    /// let error = Error::not_found(Operation::Get, &Key::new("a")?);
    /// assert_eq!(OperationOutcome::of(&error), OperationOutcome::NotFound);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn of(error: &Error) -> Self {
        error.class().into()
    }
}

impl From<ErrorClass> for OperationOutcome {
    fn from(class: ErrorClass) -> Self {
        match class {
            ErrorClass::InvalidInput => Self::InvalidInput,
            ErrorClass::NotFound => Self::NotFound,
            ErrorClass::NotModified | ErrorClass::Conflict => Self::Condition,
            ErrorClass::Transient => Self::Transient,
            ErrorClass::Fatal => Self::Fatal,
        }
    }
}
