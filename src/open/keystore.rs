//! The keystore, for stores that need a key of it to open.

use storehouse_local::Secret;
use storehouse_local::keystore::{FileKeyStore, KeyName, KeyStore};

use super::local::KEYSTORE_DIR;
use crate::config::RepoConfig;
use crate::{Error, Result};

/// The keystore of a configuration, opened once a key is asked for.
#[cfg_attr(
    not(feature = "encrypted"),
    allow(dead_code, reason = "only stores that encrypt ask for keys")
)]
pub(crate) struct Keystore<'a> {
    repo: &'a RepoConfig,
    passphrase: Option<Secret>,
}

#[cfg_attr(
    not(feature = "encrypted"),
    allow(dead_code, reason = "only stores that encrypt ask for keys")
)]
impl<'a> Keystore<'a> {
    pub(crate) fn new(repo: &'a RepoConfig, passphrase: Option<Secret>) -> Self {
        Self { repo, passphrase }
    }

    /// The key of that name, which `setting` asks for.
    pub(crate) async fn get(&self, setting: &str, name: &KeyName) -> Result<Secret> {
        let Some(data_dir) = &self.repo.data_dir else {
            let reason = "needs the keystore, which has no directory: repo.data_dir is not set";
            return Err(Error::setting(setting, reason));
        };
        let options = self.repo.keystore.options(self.passphrase.clone());
        let opened = FileKeyStore::open(data_dir.join(KEYSTORE_DIR), options).await;
        let key = match opened {
            Ok(keys) => keys.get(name).await,
            Err(error) => Err(error),
        };
        key.map_err(|error| {
            let reason = format!(
                "names {:?}, which the keystore does not give",
                name.as_str()
            );
            Error::setting(setting, reason).caused_by(Some(error.into()))
        })
    }
}
