//! A fast store before a slow one.
//!
//! The slow tier has everything and decides; the fast tier holds copies of whole objects, each with
//! a trailer that says of which version it is (its size, ETag and time in the slow tier). The fast
//! store, or the prefix of one, belongs to this layer alone, and all writes of the slow tier's keys
//! have to go through this layer: writes by others are not seen while a copy exists.
//!
//! | operation | requests of the fast tier | requests of the slow tier |
//! |---|---|---|
//! | get that hits | 1 for the trailer (and a small object), 1 for the rest | none |
//! | get that misses | 2 lookups, 1 put | 1, for all who read it at once |
//! | get of a range, or with a condition, that misses | 1 lookup | 1; ranges make a copy with [`TieredOptions::fill_ranges`] |
//! | head | 1 | 1 if it misses |
//! | put | 1 delete before; 1 put after, if puts are copied and the body [can be had again] | 1; 1 head before a copy |
//! | delete, delete_many | 1 delete after, for each key | 1 delete for each key |
//! | batch | 1 delete for each key before | 1 |
//! | copy, rename | 1 delete before, for each key that is written | 1 |
//! | get_ranges | 1 lookup; that of a copy: 1 lookup and 1 read for each read | 1 if it misses |
//! | list, list_delimited, events, presign | none | as without |
//! | health, close | 1 | 1 |
//!
//! Writes with a presigned request count as writes by others. An object is copied only if the fast
//! tier keeps attributes of that size.
//!
//! A miss reads the whole object once, in a task of its own at the fast tier's speed, even if
//! readers give up. Readers get its pieces as they arrive, from a window of some MiB; a reader that
//! falls behind continues from the fast tier. The copy becomes visible whole or not at all, and not
//! if the object was written meanwhile. If the fast tier fails, a reader continues with the slow
//! one, at the same version.
//!
//! Memory: [`TieredOptions::window`] for each copy being made. A crash loses nothing acknowledged:
//! the slow tier has it, and a copy is deleted durably before its object changes. A delete that was
//! not acknowledged may leave the copy of a deleted object, until the key is deleted again.
//!
//! # Written back
//!
//! With [`TieredOptions::write_back`] a put returns once it is durable in the fast tier, as one
//! record that holds its bytes and marks the key as *due* in the slow tier. A delete is a record
//! too. In the background each key's newest record is applied to the slow tier, by the operations
//! above, and is then removed, after the older records of its key.
//!
//! | operation | requests of the fast tier | requests of the slow tier |
//! |---|---|---|
//! | put, delete | 1 put; 1 delete if the key was due | 1 head or get to judge a condition |
//! | put, delete with a record of more than [`TieredOptions::max_due_bytes`] | as above, once nothing of the key is due | as above |
//! | get, head of a key that is due | 1; none for a head | none |
//! | get, head of other keys | as above | as above |
//! | list, list_delimited | none; keys that are due are merged in from memory | 1 |
//! | copy, get_ranges | as a get and a put; as a head and gets | |
//! | presign | as above, once nothing of the key is due | as without |
//! | batch, events, rename | unsupported | |
//! | in the background, for each key | 1 get, 1 delete; 1 put for the tag | 1 head, 1 put, as a put above; or 1 delete |
//! | open | 1 list of the records, 1 get for each; the first operations wait for it | none |
//!
//! Only the fast tier has the writes that are due: if its disk is lost, up to
//! [`TieredOptions::max_due_bytes`] of acknowledged writes are lost with it. A kill or crash at any
//! step loses nothing: the records are listed at open, and applied from there on. When the slow
//! tier fails, writes to it are retried after pauses. Once [`TieredOptions::max_due_bytes`] or
//! [`TieredOptions::max_due`] is reached, further writes wait
//! ([`TimeoutStore`](crate::TimeoutStore) bounds for how long). A close leaves due writes in the
//! fast tier; to have them in the slow one, call [`TieredStore::flush`] first.
//!
//! A put into the slow tier replaces the version that was seen there right before, if that tier
//! honours such a condition, so that a request which was given up and still arrives overwrites
//! nothing newer. (S3 honours none for objects above 5 GiB, which replace what is there. After a
//! newer delete such a request may bring its object back. So may a put into the fast tier that was
//! given up, if it arrives after its record was deleted: the next open takes it as due, and writes
//! it to the slow tier over newer writes.) The fast tier belongs to one store at a time: a store
//! that was dropped without being closed may still write to the slow tier until it releases the
//! fast one.
//!
//! An object keeps the ETag and time that it was put with while it is among the newest
//! [`TieredOptions::max_tags`]; after that it has those of the slow tier. Keys that begin with
//! `storehouse-due-` are refused, and not found.
//!
//! Memory: some 500 bytes for each key that is due or has a tag.
//!
//! Where the slow tier is a cluster of its own, that cluster's cache does this better, because it
//! sees every writer: Ceph's cache tiering, Garage's block cache.
//!
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
