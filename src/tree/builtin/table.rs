//! The types by their names.

use super::backends::{self, DatabaseSettings, FlatfsSettings, Nothing};
use super::compressed::{self, CompressedSettings};
use super::layers::{
    self, LimitSettings, PrefixSettings, ReadOnlySettings, RetrySettings, ThrottleSettings,
    TimeoutSettings,
};
use super::spread::{self, ShardSettings, SizeSettings, TieredSettings};
use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::StoreSettings;

#[cfg(feature = "schema")]
use super::backends::BucketSettings;

/// A type of store.
pub(in crate::tree) struct BuiltinType {
    /// What `type` says.
    pub(in crate::tree) name: &'static str,
    /// The plan that it makes of its settings.
    pub(in crate::tree) plan: fn(StoreSettings) -> Result<StorePlan>,
    /// The schema of its settings.
    #[cfg(feature = "schema")]
    pub(in crate::tree) schema: fn(&mut schemars::SchemaGenerator) -> schemars::Schema,
}

macro_rules! types {
    ($($name:literal, $plan:expr, $settings:ty;)*) => {
        &[$(BuiltinType {
            name: $name,
            plan: $plan,
            #[cfg(feature = "schema")]
            schema: <$settings as schemars::JsonSchema>::json_schema,
        }),*]
    };
}

/// All of them, in the order of their names.
pub(in crate::tree) const TYPES: &[BuiltinType] = types![
    "compressed", compressed::compressed, CompressedSettings;
    "datastore", backends::datastore, DatabaseSettings;
    "flatfs", backends::flatfs, FlatfsSettings;
    "limit", layers::limit, LimitSettings;
    "memory", backends::memory, Nothing;
    "prefix", layers::prefix, PrefixSettings;
    "read_only", layers::read_only, ReadOnlySettings;
    "redb", backends::redb, DatabaseSettings;
    "retry", layers::retry, RetrySettings;
    "s3", backends::s3, BucketSettings;
    "shard", spread::shard, ShardSettings;
    "size", spread::size, SizeSettings;
    "throttle", layers::throttle, ThrottleSettings;
    "tiered", spread::tiered, TieredSettings;
    "timeout", layers::timeout, TimeoutSettings;
];
