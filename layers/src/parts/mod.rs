//! What several layers are made of.

mod commit;
mod detached;
mod key_locks;
mod merge;
mod moves;
mod orders;
mod tags;

pub(crate) use commit::gated;
pub(crate) use detached::{CommitPoint, detached, detached_put};
pub(crate) use key_locks::{KeyGuard, KeyLocks};
pub(crate) use merge::{LookUp, Merge, merged};
pub(crate) use moves::Moves;
pub(crate) use orders::same_order;
pub(crate) use tags::{conditions, mark, marked, precondition, unmarked};
