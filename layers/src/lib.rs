//! Stores over other stores, one module each. Each module's page has a table of what every
//! operation does and costs.
//!
//! | question | layer |
//! |---|---|
//! | How are attributes kept by a store that has no place for them? | [`AttributeStore`] |
//! | How are objects that were read cached, in memory and on disk? | [`CacheStore`] |
//! | How do objects take less space? | `CompressedStore` (feature `compressed`) |
//! | How are equal bytes stored once? | `DedupStore` (feature `dedup`) |
//! | Do the objects that a record names exist? | [`CompleteStore`] |
//! | How is content hidden from those who can read the disk or the server? | `EncryptedStore` (feature `encrypted`) |
//! | What was changed, in a store without events? | [`EventStore`] |
//! | Does an object exist, without asking each time? | [`ExistenceStore`] |
//! | How do objects expire? | [`ExpiringStore`] |
//! | How does my code behave when its store fails? | [`FaultStore`] |
//! | How many operations may run at once? | [`LimitStore`] |
//! | What if a store is lost? | [`MirrorStore`] |
//! | Where do writes go that need not be kept? | [`NoopStore`] |
//! | How many operations, how fast, how many bytes? | `ObservedStore` (feature `observe`) |
//! | How does a part of a store become a store of its own? | [`PrefixStore`] |
//! | How is a store protected from writes? | [`ReadOnlyStore`] |
//! | What if an operation fails transiently? | [`RetryStore`] |
//! | How are objects spread over several stores? | [`ShardStore`] |
//! | How are small and large objects kept in different stores? | [`SizeStore`] |
//! | How fast may a store be used? | [`ThrottleStore`] |
//! | How does a fast store speed up a slow one? | [`TieredStore`] |
//! | What if a store stops answering? | [`TimeoutStore`] |
//! | Is an object what was put? | `VerifyStore` (feature `verify`) |
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
