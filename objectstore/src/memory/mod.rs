//! The memory backend: a sorted map behind a lock.

mod objects;
mod store;

pub use store::Memory;
