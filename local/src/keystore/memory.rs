//! Keys in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;

use super::contract::{KeyStore, PutKey, check_size};
use super::name::KeyName;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// Keys in memory, gone with the process.
#[derive(Debug, Default)]
pub struct MemoryKeyStore(Mutex<BTreeMap<KeyName, Secret>>);

impl MemoryKeyStore {
    /// An empty store.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, PutKey};
    ///
    /// let keys = MemoryKeyStore::new();
    /// let name = "node".parse()?;
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// assert_eq!(keys.get(&name).await?.expose(), b"secret");
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<KeyName, Secret>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KeyStore for MemoryKeyStore {
    fn put<'a>(
        &'a self,
        name: &'a KeyName,
        key: &'a Secret,
        mode: PutKey,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            check_size(key)?;
            let mut keys = self.lock();
            if mode == PutKey::Create && keys.contains_key(name) {
                return Err(Error::KeyExists {
                    name: name.to_string(),
                });
            }
            keys.insert(name.clone(), key.clone());
            Ok(())
        })
    }

    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>> {
        Box::pin(async {
            self.lock()
                .get(name)
                .cloned()
                .ok_or_else(|| Error::KeyNotFound {
                    name: name.to_string(),
                })
        })
    }

    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async { Ok(self.lock().contains_key(name)) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>> {
        Box::pin(async { Ok(self.lock().keys().cloned().collect()) })
    }

    fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.lock().remove(name);
            Ok(())
        })
    }
}
