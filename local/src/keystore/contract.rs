//! What a keystore does.

use std::fmt::Debug;
use std::sync::Arc;

use futures_core::future::BoxFuture;

use super::name::KeyName;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// The most bytes that a key may have (inclusive): 64 KiB, a hundred times what an RSA key takes.
pub const MAX_KEY: usize = 64 << 10;

/// Whether a put may replace a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PutKey {
    /// Refuse if there is a key of that name.
    #[default]
    Create,
    /// Replace the key of that name, if there is one. The old key is gone then.
    Replace,
}

/// A store of keys.
pub trait KeyStore: Debug + Send + Sync + 'static {
    /// Stores a key of 1 to [`MAX_KEY`] bytes, atomically, and durably when it returns.
    ///
    /// # Errors
    /// [`Error::KeyExists`], [`Error::InvalidKey`] (no bytes, or too many), [`Error::Exposed`],
    /// [`Error::Io`], [`Error::Random`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, PutKey};
    ///
    /// let keys = MemoryKeyStore::new();
    /// let name = "node".parse()?;
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// assert!(keys.put(&name, &"other".into(), PutKey::Create).await.is_err());
    /// keys.put(&name, &"other".into(), PutKey::Replace).await?;
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn put<'a>(
        &'a self,
        name: &'a KeyName,
        key: &'a Secret,
        mode: PutKey,
    ) -> BoxFuture<'a, Result<()>>;

    /// The key of that name.
    ///
    /// # Errors
    /// [`Error::KeyNotFound`], [`Error::Exposed`], [`Error::PassphraseNeeded`],
    /// [`Error::WrongPassphrase`], [`Error::Damaged`], [`Error::Io`], [`Error::Stopped`].
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
    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>>;

    /// Whether there is a key of that name, readable or not.
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, PutKey};
    ///
    /// let keys = MemoryKeyStore::new();
    /// let name = "node".parse()?;
    /// assert!(!keys.has(&name).await?);
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// assert!(keys.has(&name).await?);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>>;

    /// The names of all keys, in byte order.
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, PutKey};
    ///
    /// let keys = MemoryKeyStore::new();
    /// let name = "node".parse()?;
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// assert_eq!(keys.list().await?, [name]);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>>;

    /// Removes a key. A missing one is ok. (The disk may keep its bytes until it uses the space
    /// again.)
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::keystore::{KeyStore, MemoryKeyStore, PutKey};
    ///
    /// let keys = MemoryKeyStore::new();
    /// let name = "node".parse()?;
    /// keys.put(&name, &"secret".into(), PutKey::Create).await?;
    /// keys.delete(&name).await?;
    /// assert!(keys.get(&name).await.unwrap_err().is_not_found());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>>;
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<K: KeyStore + ?Sized> KeyStore for $pointer<K> {
            fn put<'a>(&'a self, name: &'a KeyName, key: &'a Secret, mode: PutKey) -> BoxFuture<'a, Result<()>> {
                (**self).put(name, key, mode)
            }
            fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>> {
                (**self).get(name)
            }
            fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>> {
                (**self).has(name)
            }
            fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>> {
                (**self).list()
            }
            fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>> {
                (**self).delete(name)
            }
        }
    )*};
}

forward!(Arc, Box);

pub(super) fn check_size(key: &Secret) -> Result<()> {
    match key.len() {
        0 => Err(Error::InvalidKey {
            reason: "it has no bytes",
        }),
        1..=MAX_KEY => Ok(()),
        _ => Err(Error::InvalidKey {
            reason: "it has more than 65536 bytes",
        }),
    }
}
