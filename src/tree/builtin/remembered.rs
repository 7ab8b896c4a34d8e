//! Types of stores that remember what another one said.

use std::time::Duration;

use serde::Deserialize;
use storehouse_layers::{
    CacheDiskOptions, CacheOptions, CacheStore, EventOptions, EventStore, ExistenceOptions,
    ExistenceStore,
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
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    disk_bytes: Option<u64>,
    disk_blocks: Option<usize>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    disk_age: Option<Duration>,
    disk_low_watermark: Option<u8>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    disk_queue: Option<u64>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    disk_timeout: Option<Duration>,
    disk: Option<StoreRef>,
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
    let mut about = format!(
        "up to {} in memory for {}",
        bytesize::ByteSize::b(options.max_bytes),
        humantime::format_duration(options.max_age)
    );
    let on_disk = disk_options(&settings, &given)?;
    let Some(disk) = given.disk else {
        let plan = StorePlan::layer("store", given.store, move |inner| {
            Ok::<_, BoxError>(CacheStore::with_options(inner, options))
        });
        return Ok(plan.about(about));
    };
    about += &format!(
        ", {} on disk for {}",
        bytesize::ByteSize::b(on_disk.max_bytes),
        humantime::format_duration(on_disk.max_age)
    );
    let below = [("store".to_owned(), given.store), ("disk".to_owned(), disk)];
    let plan = StorePlan::over(below, move |mut stores| {
        // Two were asked for, so two are there.
        let disk = stores.remove(1);
        let inner = stores.remove(0);
        Ok::<_, BoxError>(CacheStore::with_disk(inner, options, disk, on_disk))
    });
    Ok(plan.about(about))
}

fn disk_options(settings: &StoreSettings, given: &CacheSettings) -> Result<CacheDiskOptions> {
    let mut options = CacheDiskOptions::default();
    let alone = [
        ("disk_bytes", given.disk_bytes.is_some()),
        ("disk_blocks", given.disk_blocks.is_some()),
        ("disk_age", given.disk_age.is_some()),
        ("disk_low_watermark", given.disk_low_watermark.is_some()),
        ("disk_queue", given.disk_queue.is_some()),
        ("disk_timeout", given.disk_timeout.is_some()),
    ];
    if given.disk.is_none()
        && let Some((name, _)) = alone.iter().find(|(_, given)| *given)
    {
        return Err(settings.error(name, "says nothing without `disk`, the store to use"));
    }
    if given
        .disk_low_watermark
        .is_some_and(|percent| percent > 100)
    {
        return Err(settings.error("disk_low_watermark", "is more than 100 percent"));
    }
    set(&mut options.max_bytes, given.disk_bytes);
    set(&mut options.max_blocks, given.disk_blocks);
    set(&mut options.max_age, given.disk_age);
    set(&mut options.low_watermark, given.disk_low_watermark);
    set(&mut options.queue_bytes, given.disk_queue);
    set(&mut options.read_timeout, given.disk_timeout);
    Ok(options)
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
