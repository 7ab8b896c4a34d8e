//! The type of store that stores the same bytes once, which not every build has.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    not(feature = "dedup"),
    allow(dead_code, reason = "read to find what is misspelt, in every build")
)]
pub(super) struct DedupSettings {
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    chunk_size: Option<u64>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    inline: Option<u64>,
    #[serde(default, deserialize_with = "units::duration")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    grace: Option<Duration>,
    /// How long after the first write and after the last collection the next one begins; or
    /// `"never"`. Default: 1 day.
    #[serde(default, deserialize_with = "duration_or_never")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Option<crate::schema::DurationText>")
    )]
    collect_every: Option<Option<Duration>>,
    store: Option<StoreRef>,
    index: Option<StoreRef>,
    chunks: Option<StoreRef>,
}

/// Reads a duration, or `"never"` as one of `None`.
fn duration_or_never<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<Option<Duration>>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.trim().eq_ignore_ascii_case("never") {
        return Ok(Some(None));
    }
    let every = units::parse_duration(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(Some(every)))
}

#[cfg(feature = "dedup")]
pub(super) fn dedup(settings: StoreSettings) -> Result<StorePlan> {
    use storehouse_layers::{DedupOptions, DedupStore};

    use super::layers::set;

    let given: DedupSettings = settings.read()?;
    let mut options = DedupOptions::default();
    for (name, value, option) in [
        ("chunk_size", given.chunk_size, &mut options.chunk_size),
        ("inline", given.inline, &mut options.inline),
    ] {
        if let Some(bytes) = value {
            *option =
                usize::try_from(bytes).map_err(|_| settings.error(name, "is more than fits"))?;
        }
    }
    options.grace = given.grace;
    set(&mut options.collect_every, given.collect_every);
    let mut about = format!(
        "chunks of {} on average",
        bytesize::ByteSize::b(options.chunk_size as u64)
    );
    if options.collect_every.is_none() {
        about += ", never collected in the background";
    }
    let plan = match (given.store, given.index, given.chunks) {
        (Some(store), None, None) => StorePlan::layer("store", store, move |inner| {
            DedupStore::in_one(inner, options)
        }),
        (None, Some(index), Some(chunks)) => {
            let below = [("index".to_owned(), index), ("chunks".to_owned(), chunks)];
            StorePlan::over(below, move |mut stores| {
                // Two were asked for, so two are there.
                let chunks = stores.remove(1);
                DedupStore::new(stores.remove(0), chunks, options)
            })
        }
        (Some(_), ..) => {
            let reason = "is one store for all; set either it, or \"index\" and \"chunks\"";
            return Err(settings.error("store", reason));
        }
        (None, index, _) => {
            let missing = if index.is_some() { "chunks" } else { "index" };
            let reason = "is not set; set \"index\" and \"chunks\", or \"store\" for both";
            return Err(settings.error(missing, reason));
        }
    };
    Ok(plan.about(about))
}

#[cfg(not(feature = "dedup"))]
pub(super) fn dedup(settings: StoreSettings) -> Result<StorePlan> {
    let _: DedupSettings = settings.read()?;
    Err(settings.error(
        "type",
        "is \"dedup\", which this build of storehouse has not; build it with the feature \"dedup\"",
    ))
}
