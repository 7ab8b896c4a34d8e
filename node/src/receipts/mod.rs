//! A receipt for every retrieval.
//!
//! [`retrieval`] notices them; [`writer`] signs and writes their receipts.

pub(crate) mod retrieval;
pub(crate) mod writer;
