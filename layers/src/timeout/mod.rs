//! A store that fails operations that make no progress.
//!
//! Timeouts measure silence, not whole transfers: a body may take hours as long as bytes arrive.
//! Time in which the layer waits for its caller (for a body's next bytes, for keys, for the reader
//! of a body or a listing) does not count. An operation that times out is dropped, which leaves
//! nothing behind (rule 12 of the contract), and fails with a transient [`Error::Backend`].
//!
//! | operation | what is timed |
//! |---|---|
//! | put | each stretch in which the inner store neither asks for more of the body nor answers |
//! | get | the answer; then each piece of the body |
//! | head, delete, batch | the answer |
//! | delete_many, list | the first answer, and each one after it |
//! | health | the answer, by an option of its own |
//! | close | nothing: it waits for what is under way |
//!
//! Each operation is one request of the inner store. The layer holds a timer for each operation and
//! no bytes. A put, delete or batch that timed out may still have happened, as with any lost
//! answer.
//!
//! [`Error::Backend`]: storehouse_objectstore::Error::Backend

mod options;
mod silence;
mod store;

pub use options::TimeoutOptions;
pub use store::TimeoutStore;
