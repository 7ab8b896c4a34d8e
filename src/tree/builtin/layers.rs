//! Types of stores over stores.

use serde::Deserialize;
use storehouse_layers::{LimitStore, PrefixStore};
use storehouse_objectstore::BoxError;

use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
struct PrefixSettings {
    prefix: String,
    store: StoreRef,
}

#[derive(Deserialize)]
struct LimitSettings {
    operations: usize,
    store: StoreRef,
}

pub(super) fn prefix(settings: StoreSettings) -> Result<StorePlan> {
    let PrefixSettings { prefix, store } = settings.read()?;
    settings.not_empty("prefix", &prefix)?;
    let about = format!("{prefix:?}");
    let plan = StorePlan::layer("store", store, move |inner| PrefixStore::new(inner, prefix));
    Ok(plan.about(about))
}

pub(super) fn limit(settings: StoreSettings) -> Result<StorePlan> {
    let LimitSettings { operations, store } = settings.read()?;
    if operations == 0 {
        return Err(settings.error("operations", "is 0; nothing could go on"));
    }
    let plan = StorePlan::layer("store", store, move |inner| {
        Ok::<_, BoxError>(LimitStore::new(inner, operations))
    });
    Ok(plan.about(format!("{operations} at once")))
}
