//! A store that repeats operations that failed transiently.
//!
//! An operation that fails with an error of class [`Transient`] is repeated, after growing pauses
//! with jitter, within the attempts and the time of [`RetryOptions`]. A full disk
//! ([`Error::is_full`]) and errors of other classes are not repeated.
//!
//! | operation | when it is repeated | requests of the inner store |
//! |---|---|---|
//! | put that overwrites | its body [can be had again][Body::again] (bytes, a file), or no byte of it was read | 1 an attempt |
//! | put that creates or replaces | no byte of its body was read, since a lost answer may have been a success; a [content addressed] one as above | 1 an attempt |
//! | get | always; a body that breaks goes on where it stopped, at the same version by its ETag | 1, and 1 for each break and attempt |
//! | head, delete, close | always | 1 an attempt |
//! | delete_many | each key that failed, by a delete of its own | as without, and 1 for each failure and attempt |
//! | list | goes on after the last key | as without, and 1 for each break and attempt |
//! | batch | none of its operations has a condition | 1 an attempt |
//! | health | never | 1 |
//!
//! A body in memory that must not be put twice is passed to the inner store as a stream, which may
//! cost one copy of it. The layer holds no bytes itself and acknowledges nothing that the inner
//! store did not, so a crash loses nothing.
//!
//! A put or delete that is repeated may take effect twice, the second time over a write by another
//! client in between. It is concurrent with that write, so either order is possible anyway.
//!
//! [`Transient`]: storehouse_objectstore::ErrorClass::Transient
//! [`Error::is_full`]: storehouse_objectstore::Error::is_full
//! [Body::again]: storehouse_objectstore::Body::again
//! [content addressed]: storehouse_objectstore::PutOptions::content_addressed

mod attempts;
mod lent_body;
mod resumed_body;
mod store;

pub use attempts::RetryOptions;
pub use store::RetryStore;
