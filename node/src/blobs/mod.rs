//! `/blobs`: blobs in, out and listed.

pub(crate) mod listing;
pub(crate) mod transfer;
