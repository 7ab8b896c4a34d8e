//! Puts that are durable in the fast tier first, and a list of what the slow tier has yet to get.
//!
//! The list is the objects of the fast store whose keys begin with a reserved prefix. Each has the
//! bytes of one put, or says that its key is deleted, so one durable put of the fast store makes a
//! write and its place in the list. A record is removed once the slow tier has what it says, and
//! never before the older ones of its key: what a crash leaves behind is always the newest.

mod core;
mod drain;
mod due;
mod reads;
mod record;
mod store;
mod tags;
mod writes;

pub(super) use store::WriteBack;
