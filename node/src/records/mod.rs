//! Records in and out.
//!
//! [`placed`] are records of a blob in a space; [`archives`] are kept byte for byte.

pub(crate) mod archives;
pub(crate) mod placed;
