//! Types of stores that remember what another one said.

use std::time::Duration;

use serde::Deserialize;
use storehouse_layers::{
    CacheOptions, CacheStore, EventOptions, EventStore, ExistenceOptions, ExistenceStore,
};
use storehouse_objectstore::BoxError;

use super::layers::set;
use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct CacheSettings {
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    max_bytes: Option<u64>,
    max_blocks: Option<usize>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    max_age: Option<Duration>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    block_size: Option<u64>,
    max_keys: Option<usize>,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ExistenceSettings {
    max_keys: Option<usize>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    max_age: Option<Duration>,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct EventSettings {
    capacity: Option<usize>,
    store: StoreRef,
}

pub(super) fn cache(settings: StoreSettings) -> Result<StorePlan> {
    let given: CacheSettings = settings.read()?;
    let mut options = CacheOptions::default();
    if let Some(bytes) = given.block_size {
        if !(64 << 10..=4 << 20).contains(&bytes) {
            return Err(settings.error("block_size", "is not from 64 KiB to 4 MiB"));
        }
        options.block_size = bytes;
    }
    set(&mut options.max_bytes, given.max_bytes);
    set(&mut options.max_blocks, given.max_blocks);
    set(&mut options.max_age, given.max_age);
    set(&mut options.max_keys, given.max_keys);
    let about = format!(
        "up to {} in memory for {}",
        bytesize::ByteSize::b(options.max_bytes),
        humantime::format_duration(options.max_age)
    );
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(CacheStore::with_options(inner, options))
    });
    Ok(plan.about(about))
}

pub(super) fn existence(settings: StoreSettings) -> Result<StorePlan> {
    let given: ExistenceSettings = settings.read()?;
    let mut options = ExistenceOptions::default();
    set(&mut options.max_keys, given.max_keys);
    set(&mut options.max_age, given.max_age);
    let about = format!("up to {} keys", options.max_keys);
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(ExistenceStore::with_options(inner, options))
    });
    Ok(plan.about(about))
}

pub(super) fn event(settings: StoreSettings) -> Result<StorePlan> {
    let given: EventSettings = settings.read()?;
    if given.capacity == Some(0) {
        return Err(settings.error("capacity", "is 0; no event would be held"));
    }
    let mut options = EventOptions::default();
    set(&mut options.capacity, given.capacity);
    Ok(StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(EventStore::new(inner, options))
    }))
}
