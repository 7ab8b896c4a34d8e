//! Reading the keys of a store that encrypts.

use storehouse_layers::EncryptionKeys;
use zeroize::Zeroizing;

use super::store_keys::{KeySource, collected};
use crate::open::Keystore;
use crate::{Error, Result};

/// The keys from where they lie, for the store at `path` in the configuration.
pub(super) async fn read_keys(
    source: KeySource,
    keystore: &Keystore<'_>,
    path: &str,
) -> Result<EncryptionKeys> {
    match source {
        KeySource::File(file) => EncryptionKeys::from_file(file).map_err(|e| {
            Error::setting(format!("{path}.keys_file"), "cannot be used").caused_by(Some(e.into()))
        }),
        KeySource::Keystore(names) => {
            let setting = format!("{path}.keys");
            let mut keys = Vec::with_capacity(names.len());
            for name in &names {
                let secret = keystore.get(&setting, name).await?;
                let Ok(key) = <[u8; 32]>::try_from(secret.expose()) else {
                    let (name, len) = (name.as_str(), secret.len());
                    let reason = format!("names {name:?}, which has {len} bytes, not 32");
                    return Err(Error::setting(setting, reason));
                };
                keys.push((name, Zeroizing::new(key)));
            }
            let keys = keys.into_iter().map(|(name, key)| (name, *key));
            collected(keys)
                .map_err(|e| Error::setting(setting, "cannot be used").caused_by(Some(e.into())))
        }
    }
}
