//! The type of store that encrypts, which not every build has.

use std::path::PathBuf;

use serde::Deserialize;

use crate::Result;
use crate::tree::plan::StorePlan;
use crate::tree::settings::{StoreRef, StoreSettings};

#[derive(Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(
    not(feature = "encrypted"),
    allow(dead_code, reason = "read to find what is misspelt, in every build")
)]
pub(super) struct EncryptedSettings {
    /// The names of keys in the keystore: the first one encrypts, the others are older ones.
    keys: Option<Vec<String>>,
    /// A file of keys, in place of the keystore.
    keys_file: Option<PathBuf>,
    store: StoreRef,
}

#[cfg(feature = "encrypted")]
pub(super) fn encrypted(settings: StoreSettings) -> Result<StorePlan> {
    use crate::tree::store_keys::KeySource;

    let given: EncryptedSettings = settings.read()?;
    let (keys, about) = match (given.keys, given.keys_file) {
        (Some(names), None) => {
            let about = format!("keys {} of the keystore", names.join(", "));
            let source = KeySource::keystore(&names);
            (source.map_err(|e| settings.error("keys", e))?, about)
        }
        (None, Some(path)) => {
            settings.not_empty("keys_file", &path)?;
            let about = format!("keys of {}", path.display());
            (KeySource::File(path), about)
        }
        (Some(_), Some(_)) => {
            return Err(settings.error("keys_file", "is set beside keys; leave one out"));
        }
        (None, None) => {
            let reason = "is not set, and neither is keys_file; one says what to encrypt with";
            return Err(settings.error("keys", reason));
        }
    };
    Ok(StorePlan::encrypted("store", given.store, keys).about(about))
}

#[cfg(not(feature = "encrypted"))]
pub(super) fn encrypted(settings: StoreSettings) -> Result<StorePlan> {
    let _: EncryptedSettings = settings.read()?;
    Err(settings.error(
        "type",
        "is \"encrypted\", which this build of storehouse has not; build it with the feature \
         \"encrypted\"",
    ))
}
