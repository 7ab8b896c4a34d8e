//! Why a collection failed, for [`health`](storehouse_objectstore::ObjectStore::health) to tell.

use std::error::Error as StdError;
use std::fmt;

use storehouse_objectstore::{Error, ErrorClass, Operation};

/// What an error and its causes say. The error itself went to the caller of the collection.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    text: String,
    cause: Option<Box<Self>>,
}

impl Failure {
    pub(super) fn of(error: &(dyn StdError + 'static)) -> Self {
        Self {
            text: error.to_string(),
            cause: error.source().map(|cause| Box::new(Self::of(cause))),
        }
    }

    pub(super) fn health(self) -> Error {
        Error::Backend {
            operation: Operation::Health,
            key: None,
            class: ErrorClass::Fatal,
            message: format!("the last collection of chunks failed: {self}"),
            source: self.cause.map(|cause| cause as Box<_>),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_ref().map(|cause| cause as &_)
    }
}
