//! Each object in several stores, its replicas, so that losing one store loses no object.
//!
//! With *N* replicas a put succeeds once *W* of them hold it
//! ([`MirrorOptions::writes`]), and a read once *R* of them have answered
//! ([`MirrorOptions::reads`]): the newest of their answers is the object. By default *W* is more
//! than half of the replicas and *R* is *N* − *W* + 1, so each read meets each put that succeeded.
//! A put or delete asks *R* replicas first, so that its version is newer than theirs: reads go on
//! without *N* − *R* replicas, writes without the lesser of *N* − *W* and *N* − *R*.
//!
//! | *N* | *W* | *R* | reads go on without | writes go on without |
//! |---|---|---|---|---|
//! | 2 | 2 | 1 | 1 replica | none |
//! | 2, `writes` 1, `reads` 2 | 1 | 2 | none | none |
//! | 2, `writes` 1, `reads` 1 | 1 | 1 | 1 replica, but see below | 1 replica |
//! | 3 | 2 | 2 | 1 replica | 1 replica |
//! | 5 | 3 | 3 | 2 replicas | 2 replicas |
//!
//! | operation | requests of the inner stores | memory |
//! |---|---|---|
//! | put | a small read of *R* replicas, then a put to each; a body streams to all of them at once | at most 1 MiB in memory; 3 pieces for each replica of a body that streams |
//! | put of a stream under a condition | besides, a small read of *R* replicas before | |
//! | get | a read of the last 64 KiB of *R* replicas; of a larger object, one get of one of them | 64 KiB for each answer |
//! | get from a remote replica | a read of the last 44 bytes of *R* replicas and a get of one of them, at once | a piece of the body |
//! | get of a range | the same, with the last 4 KiB | |
//! | head | a read of the last 44 bytes of *R* replicas | |
//! | delete | a small read of each replica, then a put of 44 bytes to each; no put if none has the object | |
//! | list | one listing of each replica, merged in order; for each record that is not inlined, a read of its last 44 bytes; for each damaged one, a small read of *R* replicas | a page of each replica |
//! | copy | a get and a put | |
//! | [`MirrorStore::scrub`] | one listing and, for each record, a small read of each replica; for each record that is missing a get and a put | a page of each replica, a piece of each object that is copied |
//!
//! There are no batches, presigned requests or events ([`EventStore`](crate::EventStore) adds
//! events).
//!
//! # When a replica fails
//!
//! - A read takes the first good answers. It asks another replica as soon as one fails, and after
//!   [`MirrorOptions::hedge_after`] also if one is slow, at the beginning of a body and in the
//!   middle. A body that breaks goes on in another replica, with the same version. A replica that
//!   failed is asked last for the next [`MirrorOptions::timeout`]. If the slow one of a body's
//!   middle is the first after all, the next other one is asked after twice the time.
//! - A put goes on without the replicas that fail or [stall](MirrorOptions::timeout), as long as
//!   *W* are left. Once *W* have it, it waits at most
//!   [`MirrorOptions::wait_for_all`] for the others, which then go on in the background.
//! - A read that finds that replicas differ starts a repair of the object in the background.
//!   [`MirrorStore::scrub`] repairs the objects that are not read; run it after a replica was
//!   unavailable.
//! - The error of a failed put or delete names each replica that failed, with its error. Fewer than
//!   *W* replicas may hold the write nevertheless: until the object is repaired or written again,
//!   one read may see it and another may not. A repair that finds it completes it.
//! - A damaged record (in its trailer, or in a content that was read whole) counts as a failure of
//!   its replica under this key and is repaired. A key that is damaged in too many replicas cannot
//!   be read or listed, but it can be overwritten and deleted. Ranges of large contents are not
//!   checked; make each replica a `VerifyStore` for that. [`ScrubOptions::contents`] reads
//!   everything.
//!
//! What *W* replicas acknowledged is there for every reader as long as at most *N* − *R* replicas
//! fail at a time, and is lost only if all of those *W* lose their data. A crash of this process
//! loses nothing acknowledged.
//!
//! If *W* + *R* is *N* or less, a read may miss the replicas that have the newest object. This
//! process remembers which replicas missed what (65,536 keys; beyond it, that a replica is behind)
//! and does not believe them until they are repaired: one that is behind, until a scrub in which no
//! replica failed. Another process, or this one after a restart, does not know this and may read
//! older objects until such a scrub.
//!
//! # Deletes
//!
//! A delete writes a record too, so that a replica which missed it does not bring the object back.
//! A scrub removes that record from all replicas once it is older than
//! [`MirrorOptions::keep_tombstones`] and every replica has answered, after removing older records
//! of the key.
//!
//! # Versions
//!
//! Each write has a version: a hybrid logical clock (the machine's time in nanoseconds, advanced
//! past all versions that the write found) and a random number of the `MirrorStore`. The newest
//! version is the object. Its version is the object's ETag, and its time the object's time,
//! whichever replica is read. A replica's record is the content and a trailer of 44 bytes. Replicas
//! must hold no other objects; to turn an existing store into a replica, copy its objects through
//! the mirror.
//!
//! # Conditions, and several processes
//!
//! Within one `MirrorStore` and its clones, writes of one key are ordered, conditional puts are
//! checked against *R* replicas, and of several concurrent ones one wins. Nothing orders those of
//! two processes: both can win, and then the newer version stays. So over
//! [remote](storehouse_objectstore::Capabilities::remote) replicas, which others can reach,
//! conditional puts are offered only with [`MirrorOptions::sole_writer`]. Two processes that
//! overwrite and delete the same key at once leave the replicas with one of the two once repaired;
//! until then a read may return the older one. If the order of two writes of a key by different
//! processes matters, their clocks must agree to within the time between the writes. A record whose
//! version is more than a day ahead of this machine's clock counts as damaged.
//!
//! A scrub removes the records of old deletes without a condition, as stores have no conditional
//! delete. If another process puts the key anew at that moment, the new object can go with it. So
//! run scrubs in the process that writes, or while no other process writes. Repairs use conditional
//! puts where the replica has one for the object. Elsewhere they can put an older record over one
//! that another process has just written; the other replicas still hold the newer one.
//!
//! A server may carry out a request after it was given up ([`MirrorOptions::timeout`]), and so put
//! an older record over a newer one in that replica. The others hold the newer one, and a repair
//! restores it.
//!
//! # When another engine is the better answer
//!
//! This layer places every object in every replica, and repairs on reads and scrubs only. Where
//! many disks or machines share the objects, come and go, or have to agree on conditional writes, a
//! cluster that replicates by itself (Garage, Ceph, MinIO) is the better answer. So is a cloud's
//! own replication between regions (AWS S3) if both ends are in that cloud. storehouse's S3 backend
//! works with them. A mirror is for stores that know nothing of each other: a disk and a bucket, or
//! two providers.

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
