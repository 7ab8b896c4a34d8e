//! A store that remembers what is there.
//!
//! Remembered are answers that an object is there, with its metadata: a bounded number, for a
//! bounded time. That nothing is there is never remembered. An answer is taken back by every write
//! of the key through this layer, by a get or head that finds nothing, and by the inner store's
//! events if it has some; a write of others that makes no event shows after
//! [`ExistenceOptions::max_age`] at the latest.
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | head | from memory; or asks, once for all who ask at the same time | 0 or 1 |
//! | get | asks, and remembers what it finds | 1 |
//! | put, copy, delete, batch | takes answers back before and after | 1 |
//! | delete_many | as delete | 1 for each key |
//! | get_ranges, list, list_delimited, events, presign, health, close | as the inner store | as without |
//!
//! Memory: some 200 bytes for each answer, besides the key and attributes. A crash loses them, and
//! nothing that was acknowledged. A write goes on to its end in a task of its own once it may take
//! effect, so that none happens unseen.

mod answers;
mod options;
mod store;

pub use options::ExistenceOptions;
pub use store::ExistenceStore;
