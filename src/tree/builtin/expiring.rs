//! Types of stores for what objects say of themselves, and for when they expire.

use std::time::Duration;

use serde::Deserialize;
use storehouse_layers::{AttributeStore, ExpiringOptions, ExpiringStore};
use storehouse_objectstore::BoxError;

use super::layers::set;
use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

/// The time between two sweeps, unless the settings say another.
const SWEEP_EVERY: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct AttributeSettings {
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ExpiringSettings {
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    default_ttl: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    sweep_every: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    clock_settles: Option<Duration>,
    store: StoreRef,
}

pub(super) fn attribute(settings: StoreSettings) -> Result<StorePlan> {
    let AttributeSettings { store } = settings.read()?;
    Ok(StorePlan::layer("store", store, |inner| {
        Ok::<_, BoxError>(AttributeStore::new(inner))
    }))
}

pub(super) fn expiring(settings: StoreSettings) -> Result<StorePlan> {
    let given: ExpiringSettings = settings.read()?;
    for (name, time) in [
        ("default_ttl", given.default_ttl),
        ("sweep_every", given.sweep_every),
    ] {
        if time.is_some_and(|time| time.is_zero()) {
            return Err(settings.error(name, "is no time at all"));
        }
    }
    let every = given.sweep_every.unwrap_or(SWEEP_EVERY);
    let mut options = ExpiringOptions::default()
        .default_ttl(given.default_ttl)
        .sweep_every(every);
    set(&mut options.clock_settles, given.clock_settles);
    let mut about = format!("swept every {}", humantime::format_duration(every));
    if let Some(ttl) = given.default_ttl {
        about = format!("{about}, {} unless told", humantime::format_duration(ttl));
    }
    let plan = StorePlan::layer("store", given.store, move |inner| {
        ExpiringStore::new(inner, options)
    });
    Ok(plan.about(about))
}
