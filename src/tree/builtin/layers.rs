//! Types of stores over one other store.

use std::time::Duration;

use serde::Deserialize;
use storehouse_layers::{
    LimitStore, PrefixStore, ReadOnlyStore, RetryOptions, RetryStore, ThrottleOptions,
    ThrottleStore, TimeoutOptions, TimeoutStore,
};
use storehouse_objectstore::BoxError;

use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct PrefixSettings {
    prefix: String,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct LimitSettings {
    operations: usize,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ReadOnlySettings {
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct RetrySettings {
    attempts: Option<u32>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    budget: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    min_pause: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    max_pause: Option<Duration>,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct TimeoutSettings {
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    operation: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    stall: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    health: Option<Duration>,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ThrottleSettings {
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    read_bytes: Option<u64>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    write_bytes: Option<u64>,
    read_operations: Option<u64>,
    write_operations: Option<u64>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    burst: Option<Duration>,
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

pub(super) fn read_only(settings: StoreSettings) -> Result<StorePlan> {
    let ReadOnlySettings { store } = settings.read()?;
    Ok(StorePlan::layer("store", store, |inner| {
        Ok::<_, BoxError>(ReadOnlyStore::new(inner))
    }))
}

pub(super) fn retry(settings: StoreSettings) -> Result<StorePlan> {
    let given: RetrySettings = settings.read()?;
    if given.attempts == Some(0) {
        return Err(settings.error("attempts", "is 0; nothing would be done"));
    }
    let mut options = RetryOptions::default();
    set(&mut options.attempts, given.attempts);
    set(&mut options.budget, given.budget);
    set(&mut options.min_pause, given.min_pause);
    set(&mut options.max_pause, given.max_pause);
    let about = format!(
        "up to {} attempts in {}",
        options.attempts,
        humantime::format_duration(options.budget)
    );
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(RetryStore::with_options(inner, options))
    });
    Ok(plan.about(about))
}

pub(super) fn timeout(settings: StoreSettings) -> Result<StorePlan> {
    let given: TimeoutSettings = settings.read()?;
    let mut options = TimeoutOptions::default();
    for (name, field, value) in [
        ("operation", &mut options.operation, given.operation),
        ("stall", &mut options.stall, given.stall),
        ("health", &mut options.health, given.health),
    ] {
        if value.is_some_and(|value| value.is_zero()) {
            return Err(settings.error(name, "is no time at all"));
        }
        set(field, value);
    }
    let about = format!(
        "{} for an operation, {} for a stall",
        humantime::format_duration(options.operation),
        humantime::format_duration(options.stall)
    );
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(TimeoutStore::with_options(inner, options))
    });
    Ok(plan.about(about))
}

pub(super) fn throttle(settings: StoreSettings) -> Result<StorePlan> {
    let given: ThrottleSettings = settings.read()?;
    let mut options = ThrottleOptions::default();
    let mut about = Vec::new();
    for (name, field, rate) in [
        ("read_bytes", &mut options.read_bytes, given.read_bytes),
        ("write_bytes", &mut options.write_bytes, given.write_bytes),
        (
            "read_operations",
            &mut options.read_operations,
            given.read_operations,
        ),
        (
            "write_operations",
            &mut options.write_operations,
            given.write_operations,
        ),
    ] {
        if rate == Some(0) {
            return Err(settings.error(name, "is 0; nothing could go on"));
        }
        if let Some(rate) = rate {
            about.push(format!("{name} {rate}/s"));
        }
        *field = rate;
    }
    set(&mut options.burst, given.burst);
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(ThrottleStore::new(inner, options))
    });
    Ok(plan.about(about.join(", ")))
}

/// Sets what is given, and leaves the default otherwise.
pub(super) fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
