//! Wrappers: stores made of a store, one file each (and `gate.rs`, what `LimitStore` counts with).

mod gate;
mod limit;
mod prefix;

pub use limit::LimitStore;
pub use prefix::PrefixStore;
