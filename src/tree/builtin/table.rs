//! The types by their names.

use super::{
    backends, compressed, dedup, encrypted, expiring, layers, mirror, remembered, spread, verify,
};
use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::StoreSettings;

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
    "attribute", expiring::attribute, expiring::AttributeSettings;
    "cache", remembered::cache, remembered::CacheSettings;
    "compressed", compressed::compressed, compressed::CompressedSettings;
    "datastore", backends::datastore, backends::DirectorySettings;
    "dedup", dedup::dedup, dedup::DedupSettings;
    "encrypted", encrypted::encrypted, encrypted::EncryptedSettings;
    "event", remembered::event, remembered::EventSettings;
    "existence", remembered::existence, remembered::ExistenceSettings;
    "expiring", expiring::expiring, expiring::ExpiringSettings;
    "flatfs", backends::flatfs, backends::FlatfsSettings;
    "fs", backends::fs, backends::DirectorySettings;
    "limit", layers::limit, layers::LimitSettings;
    "memory", backends::memory, backends::Nothing;
    "mirror", mirror::mirror, mirror::MirrorSettings;
    "prefix", layers::prefix, layers::PrefixSettings;
    "read_only", layers::read_only, layers::ReadOnlySettings;
    "redb", backends::redb, backends::DirectorySettings;
    "retry", layers::retry, layers::RetrySettings;
    "s3", backends::s3, backends::BucketSettings;
    "shard", spread::shard, spread::ShardSettings;
    "size", spread::size, spread::SizeSettings;
    "throttle", layers::throttle, layers::ThrottleSettings;
    "tiered", spread::tiered, spread::TieredSettings;
    "timeout", layers::timeout, layers::TimeoutSettings;
    "verify", verify::verify, verify::VerifySettings;
];
