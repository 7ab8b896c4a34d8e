//! The type of store that compresses, which not every build has.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::config::units;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    not(feature = "compressed"),
    allow(dead_code, reason = "read to find what is misspelt, in every build")
)]
pub(super) struct CompressedSettings {
    level: Option<i32>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    frame_size: Option<u64>,
    #[serde(default, deserialize_with = "units::size")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::SizeText>"))]
    memory: Option<u64>,
    spool_dir: Option<PathBuf>,
    store: StoreRef,
}

#[cfg(feature = "compressed")]
pub(super) fn compressed(settings: StoreSettings) -> Result<StorePlan> {
    use storehouse_layers::{CompressedOptions, CompressedStore};

    use super::layers::set;

    let given: CompressedSettings = settings.read()?;
    let mut options = CompressedOptions::default();
    set(&mut options.level, given.level);
    if let Some(bytes) = given.frame_size {
        options.frame_size =
            u32::try_from(bytes).map_err(|_| settings.error("frame_size", "is more than 1 MiB"))?;
    }
    if let Some(bytes) = given.memory {
        options.memory = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    options.spool_dir = given.spool_dir;
    let about = format!("zstd level {}", options.level);
    let plan = StorePlan::layer("store", given.store, move |inner| {
        CompressedStore::new(inner, options)
    });
    Ok(plan.about(about))
}

#[cfg(not(feature = "compressed"))]
pub(super) fn compressed(settings: StoreSettings) -> Result<StorePlan> {
    let _: CompressedSettings = settings.read()?;
    Err(settings.error(
        "type",
        "is \"compressed\", which this build of storehouse has not; build it with the feature \
         \"compressed\"",
    ))
}
