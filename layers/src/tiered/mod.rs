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
//! # Written back
//!
//! With [`TieredOptions::write_back`] a put returns once it is durable in the fast tier, as a
//! record that has its bytes and is an entry in the list of what is due, in one; a delete is a
//! record too. In the background each key's newest record goes to the slow tier, by the operations
//! above, and is removed then, and not before the older ones of its key.
//!
//! | operation | requests of the fast tier | requests of the slow tier |
//! |---|---|---|
//! | put, delete | 1 put; 1 delete if the key was due | 1 head or get to judge a condition |
//! | put of more than [`TieredOptions::max_due_bytes`] | as above, once nothing of the key is due | as above |
//! | get, head of what is due | 1; none for a head | none |
//! | get, head, list of the rest | as above | as above |
//! | list, list_delimited | none, with what is due in its place | 1 |
//! | copy, get_ranges | as a get and a put; as a head and gets | |
//! | presign | as above, once nothing of the key is due | as without |
//! | batch, events, rename | unsupported | |
//! | in the background, for each key | 1 get, 1 delete; 1 put for the tag | 1 head, 1 put, as a put above; or 1 delete |
//! | open | 1 list of the records, 1 get for each; the first operations wait for it | none |
//!
//! The fast tier alone has what is due: if its disk is lost, up to
//! [`TieredOptions::max_due_bytes`] of acknowledged writes are lost with it. A kill or crash at any
//! step loses nothing: the list is read at open, and goes on. Failures of the slow tier are tried
//! again, after pauses; once as much is due as may be, writes wait
//! ([`TimeoutStore`](crate::TimeoutStore) bounds for how long). A close leaves what is due in the
//! fast tier; call [`TieredStore::flush`] before to have it in the slow one.
//!
//! A put into the slow tier replaces the version that was seen there right before, where that tier
//! can judge it, so that a request which was given up and still arrives overwrites nothing newer.
//! (After a newer delete it may bring its object back.) The fast tier belongs to one store at a
//! time: one that was dropped and not closed may be writing to the slow tier until it lets go of
//! the fast one.
//!
//! An object keeps the ETag and time that it was put with, while it is one of the newest
//! [`TieredOptions::max_tags`]; then it goes by the slow tier's. Keys that begin with
//! `storehouse-due-` are refused, and not found.
//!
//! Memory: some 500 bytes for each key that is due or has a tag.
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
mod write_back;
mod write_through;

pub use options::{TierDirection, TieredOptions};
pub use store::TieredStore;
