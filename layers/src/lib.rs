//! Stores made of stores, one file each.
//!
//! - [`PrefixStore`]: a part of a store, as a store of its own.
//! - [`LimitStore`]: a bounded number of operations at once.
//! - `ObservedStore` (feature `observe`): operations counted, timed and traced.
//!
//! Architecture invariant: no layer names a backend.

mod gate;
mod limit;
#[cfg(feature = "observe")]
mod observed;
mod prefix;

pub use limit::LimitStore;
#[cfg(feature = "observe")]
pub use observed::ObservedStore;
pub use prefix::PrefixStore;
