//! Limits on the bytes and operations per second of a store.
//!
//! Each rate is a bucket that fills with time. An operation or a piece of a body takes its place in
//! the order of arrival and waits for its turn without holding anything, so a body that is left
//! unread delays no others (rule 13 of the contract). Bodies are passed on in pieces of at most
//! 64 KiB, one per turn, so concurrent readers and writers get equal shares.
//!
//! | operation | what it waits for | requests of the inner store |
//! |---|---|---|
//! | put | a write; then its bytes, as written | 1 |
//! | get | a read; then its bytes, as read | 1 |
//! | head | a read | 1 |
//! | list | a read, and one more for each 1,000 entries | as without |
//! | delete | a write | 1 |
//! | delete_many | a write for each key | as without |
//! | batch | a write for each operation, and its bytes | 1 |
//! | health, close | nothing | 1 |
//!
//! An operation that is dropped while it waits returns its turn. A body in memory of more than
//! 64 KiB becomes a stream if its direction has a rate of bytes. The layer holds no bytes, and a
//! crash loses nothing.
//!
//! The token buckets are this crate's own: the crate `governor` cannot reserve a turn before
//! waiting for it, so it gives waiting tasks no order.

mod bucket;
mod options;
mod store;

pub use options::ThrottleOptions;
pub use store::ThrottleStore;
