//! The types by their names.

use super::{backends, layers, spread};
use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::StoreSettings;

/// The plan that a type makes of its settings.
type PlanOf = fn(StoreSettings) -> Result<StorePlan>;

/// The names of the types, each with its function.
pub(in crate::tree) const TYPES: &[(&str, PlanOf)] = &[
    ("datastore", backends::datastore),
    ("flatfs", backends::flatfs),
    ("limit", layers::limit),
    ("memory", backends::memory),
    ("prefix", layers::prefix),
    ("read_only", layers::read_only),
    ("redb", backends::redb),
    ("retry", layers::retry),
    ("s3", backends::s3),
    ("shard", spread::shard),
    ("size", spread::size),
    ("throttle", layers::throttle),
    ("timeout", layers::timeout),
];
