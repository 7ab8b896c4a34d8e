//! A store that does not wait for ever.
//!
//! A timeout is of silence, not of a whole transfer: a body may take hours as long as it moves.
//! Time in which the layer waits on its caller (for a body's next bytes, for keys, for the reader
//! of a body or a listing) does not count. What timed out is dropped, which leaves nothing (rule
//! 12), and fails with a transient [`Error::Backend`].
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
//! One request of the inner store each. The layer holds a timer for each operation and no bytes. A
//! put, delete or batch that timed out may have happened all the same, as with any lost answer.
//!
//! [`Error::Backend`]: storehouse_objectstore::Error::Backend

mod options;
mod silence;
mod store;

pub use options::TimeoutOptions;
pub use store::TimeoutStore;
