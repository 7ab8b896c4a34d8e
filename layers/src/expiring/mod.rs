//! Until when: objects with an expiry are gone for readers from that moment on, and removed later.
//!
//! The expiry is [`Attributes::expires`](storehouse_objectstore::Attributes::expires) of the object,
//! or what [`ExpiringOptions::default_ttl`] gives to those that are put without one.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put | one put | the key, while it runs |
//! | put that creates or replaces | a head and a put: an expired object does not stand in the way of a create, which replaces that version and so needs an inner store with both modes | the same |
//! | get, head, get of ranges | the same; and a head if it fails by a condition or a range, which an expired object does not judge | |
//! | delete, delete_many | the same | |
//! | copy | a head and a copy of that version, which keeps its expiry; a head of the target for a create or replace | both keys, while it runs |
//! | list | one listing; a head for each object that it shows without attributes, 16 at once | 16 entries |
//! | list_delimited | as the keys of list, with folders passed over once 64 of their keys were looked at | 16 entries |
//! | batch | a head for each condition, and one batch; none with a `default_ttl`, as puts of a batch have no attributes | all of it |
//! | events | those of the inner store: an object is told as deleted when it is swept | |
//! | presigned requests | none: they would give what has expired | |
//! | [`ExpiringStore::sweep`] | one listing; a head for each object that has expired or shows no attributes, and a delete for each that has | 16 keys |
//!
//! A crash loses nothing acknowledged. A body that was opened before its object expired is read to
//! its end.
//!
//! # What is swept
//!
//! A sweep removes the version that it saw expired: where the inner store has batches, by a delete
//! with a condition. Elsewhere it looks and deletes, and writes through this store and its clones
//! wait for both, so an object that is renewed meanwhile stays. There, have all that write to an
//! expiring object do it through the process that sweeps.
//!
//! # Clocks
//!
//! The wall clock may jump, forward or back, and a jump may be wrong or mend a wrong time. So there
//! are two times:
//!
//! - *known*: the wall clock when the store was made, and what a monotonic clock has counted since.
//!   The wall clock is taken over once its difference from the monotonic one has been steady, to a
//!   second, for [`ExpiringOptions::clock_settles`];
//! - *wall*: what the wall clock says.
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
