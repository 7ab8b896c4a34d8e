//! A store that fails by script, for tests.
//!
//! | operation | what a script can do to it | requests of the inner store |
//! |---|---|---|
//! | put | fail before or after it, wait; cut, stall, shorten or alter its body | 1, or none if it fails before |
//! | get | the same; bodies are altered as they are read | 1, or none |
//! | head, delete, health, close, batch | fail before or after it, wait | 1, or none |
//! | delete_many | the same for each key, as [`Operation::Delete`] | as without the layer |
//! | list | fail or wait at its start; cut, stall or shorten it after a number of entries | 1, or none |
//!
//! The layer holds the script and two counters for each operation, and no bytes of bodies. It
//! acknowledges nothing that the inner store did not.
//!
//! [`Operation::Delete`]: storehouse_objectstore::Operation::Delete

mod planned;
mod script;
mod store;
mod streams;

pub use script::{Fault, Faults};
pub use store::FaultStore;
