//! Stores that never leave the machine: a keystore and a journal of retrieval receipts.
//!
//! - [`keystore`]: one file a key, private to its owner, optionally sealed under a passphrase;
//!   secrets in memory wipe themselves. Keys of a Piri node are imported by
//!   [`keystore::import_piri_wallet`]; [`keystore::Ed25519Key`] signs with them.
//! - [`journal`]: receipts appended as frames to an open batch, which rotates into files named by
//!   their hash. The files are Piri's, byte by byte.
//!
//! Architecture invariants: nothing here knows of configuration files or of S3; file systems are
//! touched on blocking threads only; no error, log or `Debug` holds a byte of a secret.

mod error;
mod files;
pub mod journal;
pub mod keystore;
#[cfg(feature = "observe")]
mod observe;
mod secret;

pub use error::{Error, Result};
pub use secret::Secret;
