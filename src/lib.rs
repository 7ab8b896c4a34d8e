//! Storehouse.
pub use storehouse_objectstore as objectstore;
