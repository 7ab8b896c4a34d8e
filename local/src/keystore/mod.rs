//! Keys under names.
//!
//! [`FileKeyStore`] keeps one file a key, which nobody but its owner may read, and which a
//! passphrase may seal; [`MemoryKeyStore`] keeps them in memory. A key is bytes; [`Ed25519Key`] is
//! what most of them are.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let dir = dir.path().join("keystore");
//! use storehouse_local::keystore::{Ed25519Key, FileKeyStore, FileKeyStoreOptions, KeyStore, PutKey};
//!
//! let keys = FileKeyStore::open(&dir, FileKeyStoreOptions::default()).await?;
//! let name = "node".parse()?;
//! let key = Ed25519Key::generate()?;
//! keys.put(&name, &key.to_secret(), PutKey::Create).await?;
//!
//! let again = Ed25519Key::from_secret(&keys.get(&name).await?)?;
//! assert_eq!(again.did(), key.did());
//! assert!(again.public().verify(b"message", &key.sign(b"message")));
//! # Ok(())
//! # }
//! ```

mod ed25519;
mod file;
mod format;
mod import;
mod memory;
mod name;
#[cfg(feature = "observe")]
mod observed;

use std::fmt::Debug;
use std::sync::Arc;

use futures_core::future::BoxFuture;

pub use ed25519::{Ed25519Key, Ed25519Public};
pub use file::{FileKeyStore, FileKeyStoreOptions};
pub use format::SealCost;
pub use import::{ImportOptions, ImportReport, import_piri_wallet};
pub use memory::MemoryKeyStore;
pub use name::KeyName;
#[cfg(feature = "observe")]
pub use observed::ObservedKeyStore;

use crate::{Error, Result, Secret};

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
    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>>;

    /// Whether there is a key of that name, readable or not.
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>>;

    /// The names of all keys, in byte order.
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>>;

    /// Removes a key. A missing one is ok. (The disk may keep its bytes until it uses the space
    /// again.)
    ///
    /// # Errors
    /// [`Error::Exposed`] (the directory), [`Error::Io`], [`Error::Stopped`].
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

fn check_size(key: &Secret) -> Result<()> {
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
