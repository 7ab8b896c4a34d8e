//! Keys in files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_core::future::BoxFuture;
use storehouse_engine::blocking;

use super::contract::{KeyStore, PutKey};
use super::key_dir::KeyDir;
use super::name::KeyName;
use super::options::FileKeyStoreOptions;
use crate::error::{Error, Result};
use crate::secret::Secret;

/// A [`KeyStore`] in a directory: one file a key, `{name}.key`, mode 0600 in a directory of mode
/// 0700.
///
/// A directory or file that belongs to another user, or that others may use, is refused with the
/// command that mends it. So is anything that is no regular file; no symbolic link is followed.
/// Clones are handles on the same store. Several processes may share a directory: every change is
/// atomic, and changes are made one at a time, under a lock on the directory.
#[derive(Clone, Debug)]
pub struct FileKeyStore(Arc<KeyDir>);

impl FileKeyStore {
    /// Opens the store in `dir`, and creates the directory if it does not exist. Removes temporary
    /// files that a crash left.
    ///
    /// # Errors
    /// [`Error::Exposed`], [`Error::ForeignOwner`], [`Error::FileKind`], [`Error::Invalid`] (the
    /// cost is out of its bounds, the passphrase is empty), [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions};
    ///
    /// let dir = dir.path().join("keystore");
    /// let keys = FileKeyStore::open(&dir, FileKeyStoreOptions::default()).await?;
    /// assert_eq!(keys.path(), dir);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn open(dir: impl Into<PathBuf>, options: FileKeyStoreOptions) -> Result<Self> {
        options.cost.check()?;
        if options.passphrase.as_ref().is_some_and(Secret::is_empty) {
            return Err(Error::Invalid {
                reason: "the passphrase is empty",
            });
        }
        let sealing = options.passphrase.is_some();
        let dir = Arc::new(KeyDir::new(dir.into(), options));
        let store = Self(Arc::clone(&dir));
        blocking(move || {
            dir.prepare()?;
            if sealing {
                warn_of_unsealed(&dir)?;
            }
            Ok::<_, Error>(())
        })
        .await??;
        Ok(store)
    }

    /// The directory.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions};
    ///
    /// let path = dir.path().join("keystore");
    /// let keys = FileKeyStore::open(&path, FileKeyStoreOptions::default()).await?;
    /// assert_eq!(keys.path(), path);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The keys that are stored as they are, not sealed, in byte order. With a passphrase, opening
    /// logs a warning that names them (feature `observe`). Files that cannot be read are left out.
    ///
    /// # Errors
    /// [`Error::Exposed`], [`Error::ForeignOwner`], [`Error::FileKind`] (the directory),
    /// [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let dir = dir.path().join("keystore");
    /// use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyStore, PutKey};
    ///
    /// let open = FileKeyStore::open(&dir, FileKeyStoreOptions::default()).await?;
    /// let name = "node".parse()?;
    /// open.put(&name, &"secret".into(), PutKey::Create).await?;
    ///
    /// let sealing = FileKeyStoreOptions::default().passphrase("correct horse");
    /// let sealed = FileKeyStore::open(&dir, sealing).await?;
    /// assert_eq!(sealed.unsealed().await?, [name.clone()]);
    /// assert!(sealed.get(&name).await.is_err());
    /// assert_eq!(sealed.seal_unsealed().await?, [name.clone()]);
    /// assert_eq!(sealed.get(&name).await?.expose(), b"secret");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn unsealed(&self) -> Result<Vec<KeyName>> {
        self.blocking(KeyDir::unsealed).await
    }

    /// Seals the keys that are stored as they are, and returns their names. Each is replaced
    /// atomically; a key that was sealed before an error stays sealed.
    ///
    /// # Errors
    /// [`Error::Invalid`] without a passphrase, [`Error::Damaged`] if a key is, those of
    /// [`KeyStore::put`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path().join("keystore");
    /// use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions};
    ///
    /// let sealing = FileKeyStoreOptions::default().passphrase("correct horse");
    /// let keys = FileKeyStore::open(&dir, sealing).await?;
    /// assert!(keys.seal_unsealed().await?.is_empty(), "there are no keys yet");
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn seal_unsealed(&self) -> Result<Vec<KeyName>> {
        self.blocking(KeyDir::seal_unsealed).await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyDir) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let dir = Arc::clone(&self.0);
        blocking(move || work(&dir)).await?
    }
}

/// Names in a warning what lies open although there is a passphrase.
fn warn_of_unsealed(dir: &KeyDir) -> Result<()> {
    #[cfg(feature = "observe")]
    {
        let names: Vec<_> = dir.unsealed()?.iter().map(ToString::to_string).collect();
        if !names.is_empty() {
            tracing::warn!(
                target: storehouse_objectstore::observe::TARGET,
                "keystore {}: a passphrase is set, but these keys are stored unsealed: {}",
                dir.path().display(),
                names.join(", "),
            );
        }
    }
    let _ = dir;
    Ok(())
}

impl KeyStore for FileKeyStore {
    fn put<'a>(
        &'a self,
        name: &'a KeyName,
        key: &'a Secret,
        mode: PutKey,
    ) -> BoxFuture<'a, Result<()>> {
        let (name, key) = (name.clone(), key.clone());
        Box::pin(self.blocking(move |dir| dir.put(&name, &key, mode)))
    }

    fn get<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<Secret>> {
        let name = name.clone();
        Box::pin(self.blocking(move |dir| dir.get(&name)))
    }

    fn has<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<bool>> {
        let name = name.clone();
        Box::pin(self.blocking(move |dir| dir.has(&name)))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeyName>>> {
        Box::pin(self.blocking(KeyDir::list))
    }

    fn delete<'a>(&'a self, name: &'a KeyName) -> BoxFuture<'a, Result<()>> {
        let name = name.clone();
        Box::pin(self.blocking(move |dir| dir.delete(&name)))
    }
}
