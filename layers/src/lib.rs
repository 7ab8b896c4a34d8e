//! Stores made of stores, one module each, whose page has a table of what every operation does and
//! costs.
//!
//! | question | layer |
//! |---|---|
//! | How does a store keep attributes that has no place for them? | [`AttributeStore`] |
//! | How is what was read kept nearby, in memory and on disk? | [`CacheStore`] |
//! | How do objects take fewer bytes? | `CompressedStore` (feature `compressed`) |
//! | How are the same bytes stored once? | `DedupStore` (feature `dedup`) |
//! | Does what a record names exist? | [`CompleteStore`] |
//! | How are objects kept from those who can read the disk or the server? | `EncryptedStore` (feature `encrypted`) |
//! | Who changed what, in a store that does not tell? | [`EventStore`] |
//! | Is it there, without asking each time? | [`ExistenceStore`] |
//! | Until when is an object there? | [`ExpiringStore`] |
//! | How does my code behave when its store fails? | [`FaultStore`] |
//! | How are many operations kept from running at once? | [`LimitStore`] |
//! | What if a store is lost? A replica | [`MirrorStore`] |
//! | Where do writes go that are not wanted? | [`NoopStore`] |
//! | How many operations, how fast, how many bytes? | `ObservedStore` (feature `observe`) |
//! | How is a part of a store a store of its own? | [`PrefixStore`] |
//! | How is a store kept from being written? | [`ReadOnlyStore`] |
//! | What of failures that pass? | [`RetryStore`] |
//! | How do several stores hold what one cannot? | [`ShardStore`] |
//! | How do small objects go here and large ones there? | [`SizeStore`] |
//! | How fast may a store be used? | [`ThrottleStore`] |
//! | How is a fast store put before a slow one? | [`TieredStore`] |
//! | What of silence? | [`TimeoutStore`] |
//! | Is it what was put? | `VerifyStore` (feature `verify`) |
//!
//! Architecture invariant: no layer names a backend.

pub mod attribute;
pub mod cache;
pub mod complete;
#[cfg(feature = "compressed")]
pub mod compressed;
#[cfg(feature = "dedup")]
pub mod dedup;
#[cfg(feature = "encrypted")]
pub mod encrypted;
pub mod event;
pub mod existence;
pub mod expiring;
pub mod fault;
mod gate;
pub mod limit;
pub mod mirror;
pub mod noop;
#[cfg(feature = "observe")]
pub mod observed;
mod parts;
pub mod prefix;
pub mod read_only;
pub mod retry;
pub mod shard;
pub mod size;
pub mod throttle;
pub mod tiered;
pub mod timeout;
#[cfg(feature = "verify")]
pub mod verify;

pub use attribute::AttributeStore;
pub use cache::{CacheDiskOptions, CacheDiskStats, CacheOptions, CacheStore, Lease};
pub use complete::{CompleteOptions, CompleteStore};
#[cfg(feature = "compressed")]
pub use compressed::{CompressedOptions, CompressedStore};
#[cfg(feature = "dedup")]
pub use dedup::{Collected, DedupOptions, DedupStore};
#[cfg(feature = "encrypted")]
pub use encrypted::{EncryptedStore, EncryptionKeys, Rotated};
pub use event::{EventOptions, EventStore};
pub use existence::{ExistenceOptions, ExistenceStore};
pub use expiring::{
    BackgroundSweeps, ExpiringOptions, ExpiringStore, ExpiryClock, Swept, SystemExpiryClock,
};
pub use fault::{Fault, FaultStore, Faults};
pub use limit::LimitStore;
pub use mirror::{MirrorOptions, MirrorStore, ScrubOptions, Scrubbed, ScrubbedKey};
pub use noop::NoopStore;
#[cfg(feature = "observe")]
pub use observed::ObservedStore;
pub use prefix::PrefixStore;
pub use read_only::ReadOnlyStore;
pub use retry::{RetryOptions, RetryStore};
pub use shard::{Rebalanced, Shard, ShardOptions, ShardStore};
pub use size::{SizeOptions, SizeStore};
pub use throttle::{ThrottleOptions, ThrottleStore};
pub use tiered::{TierDirection, TieredOptions, TieredStore};
pub use timeout::{TimeoutOptions, TimeoutStore};
#[cfg(feature = "verify")]
pub use verify::{Verified, VerifyOptions, VerifyStore};
