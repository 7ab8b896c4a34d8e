//! A fast store before a slow one.
//!
//! The slow tier has everything and decides; the fast tier holds copies of whole objects, each with
//! a trailer that says of which version it is (its size, ETag and time in the slow tier). The fast
//! store, or the prefix of one, belongs to this layer alone, and all writes of the slow tier's keys
//! have to go through this layer: others' writes are not seen while a copy is there.
//!
//! | operation | requests of the fast tier | requests of the slow tier |
//! |---|---|---|
//! | get that hits | 1 for the trailer (and a small object), 1 for the rest | none |
//! | get that misses | 2 lookups, 1 put | 1, for all who read it at once |
//! | get of a range, or with a condition, that misses | 1 lookup | 1; ranges fill if asked for |
//! | head | 1 | 1 if it misses |
//! | put | 1 delete before; 1 put after, if puts go there and the body [can be had again] | 1; 1 head before a copy |
//! | delete, delete_many | 1 delete after, for each key | 1 delete for each key |
//! | batch | 1 delete for each key before | 1 |
//! | copy, rename | 1 delete before, for each key that is written | 1 |
//! | get_ranges | 1 lookup; that of a copy: 1 lookup and 1 read for each read | 1 if it misses |
//! | list, list_delimited, events, presign | none | as without |
//! | health, close | 1 | 1 |
//!
//! A client that writes with a presigned request is one of the others. An object is copied only if
//! the fast tier keeps attributes as large as its own.
//!
//! A miss reads the whole object once, in a task of its own at the fast tier's speed, whichever
//! reader gives up. Readers get its pieces as they come, from a window of some MiB; one that falls
//! behind reads on from the fast tier. The copy becomes visible whole or not at all, and not if the
//! object was written meanwhile. A reader whose fast tier fails goes on with the slow one, at the
//! same version.
//!
//! Memory: [`TieredOptions::window`] for each fill. In a crash nothing acknowledged is lost: the
//! slow tier has it, and a copy is deleted durably before its object changes. A delete that was not
//! acknowledged may leave the copy of an object that is gone, until it is deleted again.
//!
//! Where the slow tier is a cluster of disks of its own, its engine's cache does this better:
//! Ceph's cache tiering and Garage's block cache see every writer.

//! [can be had again]: storehouse_objectstore::Body::again

mod copy;
mod fill;
mod keys;
mod options;
mod read;
mod store;
mod trailer;

pub use options::{TierDirection, TieredOptions};
pub use store::TieredStore;
