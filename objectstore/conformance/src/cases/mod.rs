//! The cases, a file a theme. The list of them is in `case.rs`.

pub(super) mod attributes;
pub(super) mod batches;
pub(super) mod cancel;
pub(super) mod concurrent;
pub(super) mod copies;
pub(super) mod delete;
pub(super) mod errors;
pub(super) mod events;
pub(super) mod folders;
pub(super) mod keys;
pub(super) mod lengths;
pub(super) mod list;
pub(super) mod many_ranges;
pub(super) mod model;
pub(super) mod modes;
pub(super) mod presigned;
pub(super) mod ranges;
pub(super) mod reading;
pub(super) mod reopen;
pub(super) mod sizes;
pub(super) mod waiting;
