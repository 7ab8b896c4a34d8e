//! A store that remembers which objects exist.
//!
//! It remembers that an object exists, with its metadata, for a bounded number of objects and a
//! bounded time. It never remembers that an object is missing. An answer is forgotten at every
//! write of the key through this layer, at a get or head that finds nothing, and at an event of the
//! inner store. A write by others without an event becomes visible after at most
//! [`ExistenceOptions::max_age`].
//!
//! | operation | what it does | requests of the inner store |
//! |---|---|---|
//! | head | answers from memory, or asks the inner store, once for all concurrent heads of a key | 0 or 1 |
//! | get | asks the inner store, and remembers its metadata | 1 |
//! | put, copy, delete, batch | forgets answers before and after | 1 |
//! | delete_many | as delete | 1 for each key |
//! | get_ranges, list, list_delimited, events, presign, health, close | as the inner store | as without |
//!
//! Memory: some 200 bytes for each answer, besides the key and attributes. A crash loses the
//! answers, and nothing that was acknowledged. Once a write may take effect, it runs to its end in
//! a task of its own, even if its future is dropped, so that no write goes unnoticed.

mod answers;
mod options;
mod store;

pub use options::ExistenceOptions;
pub use store::ExistenceStore;
