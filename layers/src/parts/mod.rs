//! Parts that several layers share.

mod commit;
mod detached;
mod exact;
mod key_locks;
#[cfg(any(feature = "compressed", feature = "dedup"))]
mod looked_up;
mod merge;
mod moves;
#[cfg(feature = "compressed")]
mod off_thread;
mod orders;
mod tags;

pub(crate) use commit::gated;
pub(crate) use detached::{CommitPoint, detached, detached_put};
pub(crate) use exact::ExactReader;
pub(crate) use key_locks::{KeyGuard, KeyLocks};
#[cfg(any(feature = "compressed", feature = "dedup"))]
pub(crate) use looked_up::looked_up;
pub(crate) use merge::{LookUp, Merge, merged};
pub(crate) use moves::Moves;
#[cfg(feature = "compressed")]
pub(crate) use off_thread::off_thread;
pub(crate) use orders::same_order;
pub(crate) use tags::{conditions, mark, marked, precondition, unmarked};
