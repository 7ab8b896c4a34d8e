use futures_core::stream::BoxStream;
use storehouse_blobstore::Digest;
use storehouse_genericstore::GenericStore;
use storehouse_objectstore::ObjectStore;

use super::by_space::{BySpace, InSpace};
use crate::{Acceptance, Did, Layout, RecordCodec, Result};

/// [`Acceptance`]s, by blob and space.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_blobstore::{Digest, HashFunction};
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Acceptance, AcceptanceStore, BlobRef, Cid, Did, Layout};
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let blob = BlobRef { digest: digest.clone(), size: 5 };
/// let space: Did = "did:web:example.com".parse()?;
/// let cause: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// let acceptances = AcceptanceStore::new(Memory::new(), &Layout::database());
/// let acceptance = Acceptance::new(space.clone(), blob, cause, 1_700_000_000)?;
/// acceptances.put(&acceptance).await?;
///
/// assert_eq!(acceptances.get(&digest, &space).await?, acceptance);
/// assert_eq!(acceptances.get_any(&digest).await?, Some(acceptance));
/// let listed: Vec<Acceptance> = acceptances.list(None).try_collect().await?;
/// assert_eq!(listed.len(), 1);
///
/// acceptances.delete(&digest, &space).await?;
/// assert!(!acceptances.exists(&digest).await?);
/// assert_eq!(acceptances.records().count("").await?, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AcceptanceStore<S>(BySpace<Acceptance, S>);

impl InSpace for Acceptance {
    fn digest(&self) -> &Digest {
        &self.blob().digest
    }

    fn space(&self) -> &Did {
        Self::space(self)
    }
}

impl<S: ObjectStore> AcceptanceStore<S> {
    /// The acceptances in `store`, under the keys of `layout`.
    pub fn new(store: S, layout: &Layout) -> Self {
        Self(BySpace::new(store, &layout.acceptances))
    }

    /// The records themselves, by key.
    pub fn records(&self) -> &GenericStore<Acceptance, RecordCodec, S> {
        &self.0.0
    }

    /// The acceptance of a blob in a space.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), also with not found, or if what is there is no
    /// acceptance.
    pub async fn get(&self, digest: &Digest, space: &Did) -> Result<Acceptance> {
        self.0.get(digest, space).await
    }

    /// Some acceptance of a blob, in whichever space. One that cannot be decoded is passed over if
    /// there is another.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn get_any(&self, digest: &Digest) -> Result<Option<Acceptance>> {
        self.0.first(digest, |_| true).await
    }

    /// Whether there is an acceptance of a blob, in whichever space.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        self.0.exists(digest).await
    }

    /// Stores an acceptance in place of the one for the same blob and space, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn put(&self, acceptance: &Acceptance) -> Result<()> {
        self.0.put(acceptance).await
    }

    /// Removes the acceptance of a blob in a space. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn delete(&self, digest: &Digest, space: &Did) -> Result<()> {
        self.0.delete(digest, space).await
    }

    /// The acceptances of a blob, or all, in the object store's order. One that cannot be decoded
    /// is an error in its place, and the rest goes on.
    pub fn list(&self, digest: Option<&Digest>) -> BoxStream<'_, Result<Acceptance>> {
        self.0.list(digest)
    }
}
