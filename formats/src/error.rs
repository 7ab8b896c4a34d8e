//! The crate's one error type.

use crate::car::CarError;
use crate::dag_cbor::DecodeError;

/// The result of an operation of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What is wrong with some text or bytes.
///
/// `Display` tells this error alone; the cause, if there is one, is its
/// [`source()`](std::error::Error::source). A LevelDB database has an error type of its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text or the bytes are no DID.
    #[error("invalid DID {did:?}: {reason}")]
    InvalidDid {
        /// The DID as it was given, cut after 64 characters; bytes in hexadecimal.
        did: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text or the bytes are no CID.
    #[error("invalid CID {cid:?}: {reason}")]
    InvalidCid {
        /// The CID as it was given, cut after 64 characters.
        cid: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The text is not of the format.
    #[error("invalid {what}: {reason}")]
    Text {
        /// The format.
        what: &'static str,
        /// What is wrong with the text.
        reason: &'static str,
    },
    /// The bytes are not dag-cbor, or not that of such a value.
    #[error("the bytes are not {what}")]
    DagCbor {
        /// The value.
        what: &'static str,
        /// What is wrong with them, and where.
        source: DecodeError,
    },
    /// An archive cannot be read.
    #[error("the archive of {what} cannot be read")]
    Car {
        /// What it is of.
        what: &'static str,
        /// What is wrong with it, and where.
        source: CarError,
    },
    /// An archive holds something else.
    #[error("the archive holds no {what}: {reason}")]
    Archive {
        /// What it should hold.
        what: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn cid(cid: &str, reason: &'static str) -> Self {
        Self::InvalidCid {
            cid: cut(cid),
            reason,
        }
    }

    pub(crate) fn did(did: &str, reason: &'static str) -> Self {
        Self::InvalidDid {
            did: cut(did),
            reason,
        }
    }
}

/// As much of a text as an error shows.
fn cut(text: &str) -> String {
    match text.char_indices().nth(64) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
    }
}
