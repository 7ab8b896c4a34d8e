//! Wrappers: stores made of a store, one file each (and `gate.rs`, what `LimitStore` counts with).

mod gate;
mod limit;
#[cfg(feature = "observe")]
mod observed;
mod prefix;

pub use limit::LimitStore;
#[cfg(feature = "observe")]
pub use observed::ObservedStore;
pub use prefix::PrefixStore;
