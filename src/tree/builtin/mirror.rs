//! The type of store with replicas.

use std::time::Duration;

use serde::Deserialize;
use storehouse_layers::{MirrorOptions, MirrorStore};

use super::layers::set;
use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct MirrorSettings {
    stores: Vec<StoreRef>,
    writes: Option<usize>,
    reads: Option<usize>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    hedge_after: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    timeout: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    wait_for_all: Option<Duration>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    keep_tombstones: Option<Duration>,
    eager_gets: Option<bool>,
    repair_reads: Option<bool>,
    repairs: Option<usize>,
    sole_writer: Option<bool>,
}

pub(super) fn mirror(settings: StoreSettings) -> Result<StorePlan> {
    let given: MirrorSettings = settings.read()?;
    let of = given.stores.len();
    if !(1..=MirrorOptions::MAX_REPLICAS).contains(&of) {
        let most = MirrorOptions::MAX_REPLICAS;
        return Err(settings.error("stores", format!("has {of} stores, not from 1 to {most}")));
    }
    for (place, store) in given.stores.iter().enumerate() {
        let same = |other: &StoreRef| match (store, other) {
            (StoreRef::Named(a), StoreRef::Named(b)) => a == b,
            _ => false,
        };
        if given.stores[..place].iter().any(same) {
            let field = format!("stores[{place}]");
            return Err(settings.error(&field, "is named twice; it would be no second replica"));
        }
    }
    for (name, number) in [("writes", given.writes), ("reads", given.reads)] {
        if number.is_some_and(|number| !(1..=of).contains(&number)) {
            let reason = format!("is not from 1 to {of}, the number of stores");
            return Err(settings.error(name, reason));
        }
    }
    if given.timeout.is_some_and(|time| time.is_zero()) {
        return Err(settings.error("timeout", "is no time at all"));
    }
    let mut options = MirrorOptions::default()
        .writes(given.writes)
        .reads(given.reads)
        .eager_gets(given.eager_gets);
    set(&mut options.hedge_after, given.hedge_after);
    set(&mut options.timeout, given.timeout);
    set(&mut options.wait_for_all, given.wait_for_all);
    set(&mut options.keep_tombstones, given.keep_tombstones);
    set(&mut options.repair_reads, given.repair_reads);
    set(&mut options.repairs, given.repairs);
    set(&mut options.sole_writer, given.sole_writer);
    let (writes, reads) = options.quorums(of);
    let about = format!("{writes} of {of} writes, {reads} of {of} reads");
    let stores = given.stores.into_iter().enumerate();
    let below: Vec<_> = stores
        .map(|(place, store)| (format!("stores[{place}]"), store))
        .collect();
    let plan = StorePlan::over(below, move |stores| MirrorStore::new(stores, options));
    Ok(plan.about(about))
}
