//! What if a store is lost? Each object lies in several replicas.
//!
//! With *N* replicas a put succeeds once *W* of them hold it
//! ([`MirrorOptions::writes`]), and a read once *R* of them have answered
//! ([`MirrorOptions::reads`]): the newest of their answers is the object. By default *W* is more
//! than half of the replicas and *R* is *N* − *W* + 1, so each read meets each put that succeeded.
//!
//! | *N* | *W* | *R* | reads go on without | writes go on without |
//! |---|---|---|---|---|
//! | 2 | 2 | 1 | 1 replica | none |
//! | 2, `writes` 1, `reads` 2 | 1 | 2 | none | 1 replica |
//! | 2, `writes` 1, `reads` 1 | 1 | 1 | 1 replica, but see below | 1 replica |
//! | 3 | 2 | 2 | 1 replica | 1 replica |
//! | 5 | 3 | 3 | 2 replicas | 2 replicas |
//!
//! | operation | requests of the inner stores | memory |
//! |---|---|---|
//! | put | a small read of *R* replicas, then a put to each; a body goes to all as it comes | at most 1 MiB in memory; 3 pieces for each replica of a body that streams |
//! | put of a stream under a condition | besides, a small read of *R* replicas before | |
//! | get | a read of the last 64 KiB of *R* replicas; of a larger object, one get of one of them | 64 KiB for each answer |
//! | get from a remote replica | a read of the last 44 bytes of *R* replicas and a get of one of them, at once | a piece of the body |
//! | get of a range | the same, with the last 4 KiB | |
//! | head | a read of the last 44 bytes of *R* replicas | |
//! | delete | a small read of each replica, then a put of 44 bytes to each; no put if none has the object | |
//! | list | one listing of each replica, merged in order; for each record that comes without its bytes, a read of its last 44 bytes | a page of each replica |
//! | copy | a get and a put | |
//! | [`MirrorStore::scrub`] | one listing and, for each record, a small read of each replica; for each record that is missing a get and a put | a page of each replica, a piece of each object that is copied |
//!
//! There are no batches, presigned requests or events ([`EventStore`](crate::EventStore) tells
//! some).
//!
//! # When a replica fails
//!
//! - A read takes the first good answers. It asks another replica as soon as one fails, and after
//!   [`MirrorOptions::hedge_after`] also if one is slow, at the beginning of a body and in the
//!   middle. A body that breaks goes on in another replica, with the same version. A replica that
//!   failed is asked last for the next [`MirrorOptions::timeout`].
//! - A put goes on without the replicas that fail or [stall](MirrorOptions::timeout), as long as
//!   *W* are left. Once *W* have it, it waits at most
//!   [`MirrorOptions::wait_for_all`] for the others, which then go on in the background.
//! - A read that meets replicas which differ has the object repaired in the background. What was
//!   not read is repaired by [`MirrorStore::scrub`], which should run after a replica was away.
//! - A put or delete that fails says which replica failed with what. Some replicas, fewer than
//!   *W*, may hold it nevertheless: until the object is repaired or written again, one read may
//!   see it and another one not. A repair completes it where it finds it.
//! - A record that is damaged (its trailer is, or a content of which all was read) counts as a
//!   failure of its replica and is repaired. Ranges of large contents are not checked: let each
//!   replica be a `VerifyStore` for that. [`ScrubOptions::contents`] reads everything.
//!
//! What *W* replicas acknowledged is there for every reader as long as at most *N* − *R* replicas
//! fail at a time, and is lost only if all of those *W* lose their data. A crash of this process
//! loses nothing acknowledged.
//!
//! If *W* + *R* is *N* or less, a read may miss the replicas that have the newest object. This
//! process remembers which replicas missed what (65,536 keys; beyond it, that a replica is behind)
//! and does not believe them until they are repaired. Another process, or this one started again,
//! does not know it and may read older objects until a scrub has succeeded.
//!
//! # Deletes
//!
//! A delete writes a record too, so that a replica which missed it does not bring the object back.
//! A scrub removes it from all replicas once it is older than
//! [`MirrorOptions::keep_tombstones`] and every replica has answered, after what is older.
//!
//! # Versions
//!
//! Each write has a version: a hybrid logical clock, which is the machine's time in nanoseconds,
//! moved past all versions that the write found, and a random number of the store's. The newest
//! version is the object. The version is the object's ETag and its time the time of the object, in
//! whichever replica it is read. A replica's record is the content and a trailer of 44 bytes;
//! replicas can hold no other objects, and a store becomes a replica by copying it through the
//! mirror.
//!
//! # Conditions, and several processes
//!
//! Within one `MirrorStore` and its clones, writes of one key are ordered, conditional puts are
//! judged by what *R* replicas hold, and of several at once one wins. Nothing orders those of two
//! processes: both can win, and then the newer version stays. So over
//! [remote](storehouse_objectstore::Capabilities::remote) replicas, which others can reach,
//! conditional puts are offered only with [`MirrorOptions::sole_writer`]. Two processes that
//! overwrite and delete the same key at once leave the replicas with one of the two, once
//! repaired; until then a read may give the older one. They need clocks that agree to within the
//! time between two writes of a key that must not be swapped.
//!
//! A scrub removes the records of old deletes without a condition, as stores have no conditional
//! delete. If another process puts the key anew at that moment, the new object can go with it. So
//! run scrubs in the process that writes, or while no other one does. Repairs put under a condition
//! where the replica has them, and elsewhere can put an older record over one that another process
//! has just written; the other replicas hold it still.
//!
//! A request that was given up after [`MirrorOptions::timeout`] and that its server carries out
//! later still can put an older record over a newer one in that replica. The others hold the
//! newer, and a repair puts it back.
//!
//! # When another engine is the better answer
//!
//! This layer places every object in every replica and repairs when it is told to. Where many
//! disks or machines share the objects, come and go, or have to agree on conditional writes, a
//! cluster that replicates by itself (Garage, Ceph, MinIO) is the better answer, and so is a
//! cloud's own replication between regions (AWS S3) where both ends are there: this crate's S3
//! store speaks to them. A mirror is for stores that know nothing of each other: a disk and a
//! bucket, or two providers.

mod body;
mod clock;
mod commits;
mod failures;
mod fan;
mod list;
mod missed;
mod open;
mod options;
mod read;
mod record;
mod repair;
mod replica_puts;
mod scrub;
mod shared;
mod sources;
mod store;
mod write;

pub use options::MirrorOptions;
pub use scrub::{ScrubOptions, Scrubbed, ScrubbedKey};
pub use store::MirrorStore;
