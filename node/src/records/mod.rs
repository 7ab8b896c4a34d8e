//! Records in and out.
//!
//! [`placed`] are records of a blob in a space; [`archives`] are kept byte for byte.

mod archived;
pub(crate) mod archives;
mod from_json;
pub(crate) mod placed;
