//! A store that does a number of bytes and operations a second and no more.
//!
//! Each rate is a bucket that fills with time. An operation or a piece of a body takes its place in
//! the order of arrival and waits until its turn without holding anything, so a body that is left
//! unread holds nothing up (rule 13). Bodies are given on in pieces of at most 64 KiB, one a turn:
//! tasks that read or write at once get the same share each.
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
//! An operation that is dropped while it waits gives its turn back. A body in memory of more than
//! 64 KiB becomes a stream if its direction has a rate of bytes. The layer holds no bytes, and a
//! crash loses nothing.
//!
//! The buckets are of this crate: the crate `governor` has no turn that can be taken without
//! waiting, and so no order among those who wait.

mod bucket;
mod options;
mod store;

pub use options::ThrottleOptions;
pub use store::ThrottleStore;
