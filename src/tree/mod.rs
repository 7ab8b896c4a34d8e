//! Stores by name: a tree of stores over stores, written in a configuration.
//!
//! [`StoreTypes`] knows the types; a [`StorePlan`] is what a type makes of the settings of one
//! store, before anything is opened; `StoreTree` is all of it, checked.

mod builtin;
mod describe;
mod expand;
mod fields;
mod named;
mod nearest;
mod open;
mod parse;
mod plan;
#[cfg(feature = "encrypted")]
mod read_keys;
#[cfg(feature = "schema")]
mod schema;
mod settings;
#[cfg(feature = "encrypted")]
mod store_keys;
mod types;

pub use describe::{Description, describe};
pub use named::NamedStores;
pub(crate) use open::{OpenedTree, open_tree};
pub(crate) use parse::StoreTree;
pub use plan::StorePlan;
pub use settings::{StoreRef, StoreSettings};
pub use types::StoreTypes;
