//! Objects that expire: readers no longer find them, and sweeps remove them later.
//!
//! The expiry is [`Attributes::expires`](storehouse_objectstore::Attributes::expires) of the
//! object, or what [`ExpiringOptions::default_ttl`] gives to those that are put without one.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put | the key, while it runs |
//! | put that creates or replaces | a head and a put: an expired object does not prevent a create, which replaces that version and so needs an inner store with both modes | the same |
//! | get, head, get of ranges | the same; and a head if a condition or range fails, because an expired object is not found whatever the condition | |
//! | delete, delete_many | the same | |
//! | copy | a head and a copy of that version, which keeps its expiry; a head of the target for a create or replace | both keys, while it runs |
//! | list | one listing; a head for each object that it lists without attributes, 16 at once | 16 entries |
//! | list_delimited | as list of the keys, but a folder is skipped over once 64 of its keys were read | 16 entries |
//! | batch | a head for each condition, and one batch; none with a `default_ttl`, as puts of a batch have no attributes | all of it |
//! | events | those of the inner store: an expired object is reported as deleted when it is swept | |
//! | presigned requests | none: they would return expired objects | |
//! | [`ExpiringStore::sweep`] | one listing; a head for each object that has expired or is listed without attributes, and a delete for each that has | 16 keys |
//!
//! A crash loses nothing acknowledged. A body that was opened before its object expired is read to
//! its end.
//!
//! # What is swept
//!
//! A sweep removes exactly the version that it saw expired. Where the inner store has batches, it
//! uses a delete with a condition. Elsewhere it does a head and a delete, and writes through this
//! store and its clones wait for both, so an object that is renewed meanwhile stays. There, let all
//! writers of expiring objects go through the process that sweeps, and put a `TimeoutStore` above
//! this layer, not below it: a delete that was given up may still be carried out, after a renewal.
//!
//! An object that cannot be looked at or removed does not keep others from being swept.
//!
//! # Creates over expired objects
//!
//! A create over an expired object replaces that version, so of several at once one wins. Where
//! tags are made from the contents, as on S3, the same bytes have the same tag: there two creates
//! of the bytes of the expired object may both succeed. A lease should name its owner.
//!
//! # Clocks
//!
//! The wall clock may jump, forward or back, and a jump may introduce an error or correct one. So
//! the store keeps two times:
//!
//! - *known*: the wall clock when the store was made, plus the time that a monotonic clock has
//!   counted since. It follows a jump of the wall clock once the difference of the two clocks has
//!   been steady, to a second, for [`ExpiringOptions::clock_settles`];
//! - *wall*: the current wall clock.
//!
//! An object is gone for readers if it has expired by the later of both, and is swept if it has
//! expired by the earlier one. So a wall clock that jumps back brings nothing back and sweeps
//! nothing early. One that jumps forward hides objects early and sweeps none; if it jumps back
//! within `clock_settles`, they are there again. A `default_ttl` counts from the later time. A
//! clock that is wrong when the store is made, or wrong for longer than `clock_settles`, is
//! believed.

mod claims;
mod clock;
mod options;
mod shared;
mod store;
mod sweep;

pub use clock::{ExpiryClock, SystemExpiryClock};
pub use options::ExpiringOptions;
pub use store::ExpiringStore;
pub use sweep::{BackgroundSweeps, Swept};
