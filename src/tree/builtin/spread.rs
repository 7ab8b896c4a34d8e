//! Types of stores over several others.

use std::collections::BTreeMap;

use serde::Deserialize;
use storehouse_layers::{
    Shard, ShardOptions, ShardStore, SizeOptions, SizeStore, TierDirection, TieredOptions,
    TieredStore,
};
use storehouse_objectstore::BoxError;

use super::layers::set;
use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct SizeSettings {
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    largest_small: Option<u64>,
    small: StoreRef,
    large: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct ShardSettings {
    settled: Option<bool>,
    moves: Option<usize>,
    shards: BTreeMap<String, OneShard>,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct OneShard {
    weight: Option<u32>,
    store: StoreRef,
}

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct TieredSettings {
    write_fast: Option<WriteFast>,
    slow_read_only: Option<bool>,
    fill_ranges: Option<bool>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    max_copy: Option<u64>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    window: Option<u64>,
    max_fills: Option<usize>,
    write_back: Option<bool>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    max_due_bytes: Option<u64>,
    max_due: Option<usize>,
    fast: StoreRef,
    slow: StoreRef,
}

/// When the fast tier is written.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
enum WriteFast {
    Both,
    OnGet,
    OnPut,
    Never,
}

pub(super) fn tiered(settings: StoreSettings) -> Result<StorePlan> {
    let given: TieredSettings = settings.read()?;
    let mut options = TieredOptions::default();
    let direction = given.write_fast.map(|when| match when {
        WriteFast::Both => TierDirection::Both,
        WriteFast::OnGet => TierDirection::Get,
        WriteFast::OnPut => TierDirection::Update,
        WriteFast::Never => TierDirection::ReadOnly,
    });
    set(&mut options.fast, direction);
    set(&mut options.slow_read_only, given.slow_read_only);
    set(&mut options.fill_ranges, given.fill_ranges);
    set(&mut options.max_copy, given.max_copy);
    set(&mut options.window, given.window);
    set(&mut options.max_fills, given.max_fills);
    set(&mut options.write_back, given.write_back);
    set(&mut options.max_due_bytes, given.max_due_bytes);
    set(&mut options.max_due, given.max_due);
    if options.write_back && options.slow_read_only {
        return Err(settings.error("write_back", "says nothing if the slow tier is not written"));
    }
    if options.write_back && options.fast == TierDirection::ReadOnly {
        return Err(settings.error("write_back", "writes the fast tier, which is never written"));
    }
    let about = if options.write_back {
        "puts are durable in the fast tier"
    } else {
        ""
    };
    let below = [
        ("fast".to_owned(), given.fast),
        ("slow".to_owned(), given.slow),
    ];
    let plan = StorePlan::over(below, move |mut stores| {
        // Two were asked for, so two are there.
        let slow = stores.remove(1);
        Ok::<_, BoxError>(TieredStore::with_options(stores.remove(0), slow, options))
    });
    Ok(plan.about(about))
}

pub(super) fn size(settings: StoreSettings) -> Result<StorePlan> {
    let given: SizeSettings = settings.read()?;
    let mut options = SizeOptions::default();
    set(&mut options.largest_small, given.largest_small);
    let about = format!("small is up to {} bytes", options.largest_small);
    let below = [
        ("small".to_owned(), given.small),
        ("large".to_owned(), given.large),
    ];
    let plan = StorePlan::over(below, move |mut stores| {
        // Two were asked for, so two are there.
        let large = stores.remove(1);
        SizeStore::new(stores.remove(0), large, options)
    });
    Ok(plan.about(about))
}

pub(super) fn shard(settings: StoreSettings) -> Result<StorePlan> {
    let given: ShardSettings = settings.read()?;
    if given.shards.is_empty() {
        return Err(settings.error("shards", "has none"));
    }
    let mut options = ShardOptions::default();
    set(&mut options.settled, given.settled);
    set(&mut options.moves, given.moves);
    let about = format!("{} shards", given.shards.len());
    let mut names = Vec::new();
    let mut below = Vec::new();
    for (name, one) in given.shards {
        below.push((format!("shards.{name}.store"), one.store));
        names.push((name, one.weight.unwrap_or(1)));
    }
    let plan = StorePlan::over(below, move |stores| {
        let shards = names
            .into_iter()
            .zip(stores)
            .map(|((name, weight), store)| Shard::new(name, store).weight(weight));
        ShardStore::new(shards, options)
    });
    Ok(plan.about(about))
}
