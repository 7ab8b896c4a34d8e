//! Where a store that encrypts has its keys from.

use std::path::PathBuf;

use storehouse_layers::EncryptionKeys;
use storehouse_local::keystore::KeyName;

/// Where a store that encrypts has its keys from. No key is in it.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    /// A file of keys.
    File(PathBuf),
    /// Keys of the keystore: the one to encrypt with, and older ones.
    Keystore(Vec<KeyName>),
}

impl KeySource {
    /// The keys of these names in the keystore, which are their ids as well.
    ///
    /// # Errors
    /// What is wrong with the names.
    pub(super) fn keystore(names: &[String]) -> Result<Self, String> {
        let names: Vec<KeyName> = names
            .iter()
            .map(|name| {
                name.parse()
                    .map_err(|_| format!("{name:?} is no key's name"))
            })
            .collect::<Result<_, _>>()?;
        let blank = names.iter().map(|name| (name, [0; 32]));
        collected(blank).map_err(|e| match e {
            storehouse_objectstore::Error::Config { reason, .. } => reason,
            other => other.to_string(),
        })?;
        Ok(Self::Keystore(names))
    }

    /// The keys of a store that is described and not opened.
    pub(super) fn stand_in(&self) -> Option<EncryptionKeys> {
        match self {
            Self::File(_) => EncryptionKeys::new("described", [0; 32]).ok(),
            Self::Keystore(names) => collected(names.iter().map(|name| (name, [0; 32]))).ok(),
        }
    }
}

/// Keys under their names.
pub(super) fn collected<'a>(
    mut keys: impl Iterator<Item = (&'a KeyName, [u8; 32])>,
) -> storehouse_objectstore::Result<EncryptionKeys> {
    let Some((name, key)) = keys.next() else {
        let reason = "no name is in it";
        return Err(storehouse_objectstore::Error::config("keys", reason));
    };
    let first = EncryptionKeys::new(name.as_str(), key)?;
    keys.try_fold(first, |keys, (name, key)| {
        keys.with_older(name.as_str(), key)
    })
}
