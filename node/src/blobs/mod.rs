//! `/blobs`: blobs in, out and listed.

mod allocated_sizes;
pub(crate) mod listing;
pub(crate) mod transfer;

pub(crate) use allocated_sizes::AllocatedSizes;
