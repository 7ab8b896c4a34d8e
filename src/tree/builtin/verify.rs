//! The type of store that verifies, which not every build has.

use serde::Deserialize;

use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    not(feature = "verify"),
    allow(dead_code, reason = "read to find what is misspelt, in every build")
)]
pub(super) struct VerifySettings {
    #[serde(default)]
    outboards: bool,
    #[serde(default)]
    refuse_unverified: bool,
    store: StoreRef,
}

#[cfg(feature = "verify")]
pub(super) fn verify(settings: StoreSettings) -> Result<StorePlan> {
    use storehouse_layers::{VerifyOptions, VerifyStore};
    use storehouse_objectstore::BoxError;

    let given: VerifySettings = settings.read()?;
    let options = VerifyOptions::default()
        .outboards(given.outboards)
        .refuse_unverified(given.refuse_unverified);
    let about = if given.outboards {
        "whole objects and ranges"
    } else {
        "whole objects"
    };
    let plan = StorePlan::layer("store", given.store, move |inner| {
        Ok::<_, BoxError>(VerifyStore::new(inner, options))
    });
    Ok(plan.about(about))
}

#[cfg(not(feature = "verify"))]
pub(super) fn verify(settings: StoreSettings) -> Result<StorePlan> {
    let _: VerifySettings = settings.read()?;
    Err(settings.error(
        "type",
        "is \"verify\", which this build of storehouse has not; build it with the feature \
         \"verify\"",
    ))
}
