use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};
use storehouse_blobstore::Digest;
use storehouse_genericstore::{GenericStore, ScanOptions};
use storehouse_objectstore::ObjectStore;

use super::by_space::{BySpace, InSpace};
use crate::{Allocation, Did, Layout, RecordCodec, Result};

/// [`Allocation`]s, by blob and space.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_blobstore::{Digest, HashFunction};
/// use storehouse_objectstore::Memory;
/// use storehouse_stores::{Allocation, AllocationStore, BlobRef, Cid, Did, Layout};
///
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// let blob = BlobRef { digest: digest.clone(), size: 5 };
/// let space: Did = "did:web:example.com".parse()?;
/// let cause: Cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
/// let allocation = Allocation { space: space.clone(), blob, expires: 100, cause };
/// let allocations = AllocationStore::new(Memory::new(), &Layout::s3());
/// allocations.put(&allocation).await?;
///
/// assert!(allocations.exists(&digest).await?);
/// assert_eq!(allocations.get(&digest, &space).await?, allocation);
/// assert_eq!(allocations.get_any(&digest).await?.as_ref(), Some(&allocation));
/// let live = allocations.get_any_non_expired(&digest, 99).await?;
/// assert_eq!(live.as_ref(), Some(&allocation));
/// assert!(allocations.get_any_non_expired(&digest, 100).await?.is_none());
/// let listed: Vec<Allocation> = allocations.list(Some(&digest)).try_collect().await?;
/// assert_eq!(listed, [allocation]);
/// assert_eq!(allocations.records().count("").await?, 1);
///
/// assert_eq!(allocations.remove_expired(99).await?, 0);
/// assert_eq!(allocations.remove_expired(100).await?, 1);
/// allocations.delete(&digest, &space).await?; // a missing one is ok
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct AllocationStore<S>(BySpace<Allocation, S>);

impl InSpace for Allocation {
    fn digest(&self) -> &Digest {
        &self.blob.digest
    }

    fn space(&self) -> &Did {
        &self.space
    }
}

/// How many expired allocations are removed at once.
const REMOVALS: usize = 32;

impl<S: ObjectStore> AllocationStore<S> {
    /// The allocations in `store`, under the keys of `layout`.
    pub fn new(store: S, layout: &Layout) -> Self {
        Self(BySpace::new(store, &layout.allocations))
    }

    /// The records themselves, by key.
    pub fn records(&self) -> &GenericStore<Allocation, RecordCodec, S> {
        &self.0.0
    }

    /// The allocation of a blob in a space.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), also with not found, or if what is there is no
    /// allocation.
    pub async fn get(&self, digest: &Digest, space: &Did) -> Result<Allocation> {
        self.0.get(digest, space).await
    }

    /// Some allocation of a blob, in whichever space. One that cannot be decoded is passed over if
    /// there is another.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn get_any(&self, digest: &Digest) -> Result<Option<Allocation>> {
        self.0.first(digest, |_| true).await
    }

    /// Some allocation of a blob, in whichever space, that is [valid](Allocation::is_valid_at) at
    /// `now`, in seconds since the start of 1970, UTC.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_blobstore::{Digest, HashFunction};
    /// use storehouse_objectstore::Memory;
    /// use storehouse_stores::{Allocation, AllocationStore, BlobRef, Layout};
    ///
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// let cause = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua".parse()?;
    /// let blob = BlobRef { digest: digest.clone(), size: 5 };
    /// let space = "did:web:example.com".parse()?;
    /// let allocations = AllocationStore::new(Memory::new(), &Layout::database());
    /// allocations.put(&Allocation { space, blob, expires: 100, cause }).await?;
    /// assert!(allocations.get_any_non_expired(&digest, 99).await?.is_some());
    /// assert!(allocations.get_any_non_expired(&digest, 100).await?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn get_any_non_expired(
        &self,
        digest: &Digest,
        now: u64,
    ) -> Result<Option<Allocation>> {
        self.0
            .first(digest, |allocation| allocation.is_valid_at(now))
            .await
    }

    /// Whether there is an allocation of a blob, in whichever space, valid or not.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        self.0.exists(digest).await
    }

    /// Stores an allocation in place of the one for the same blob and space, if there is one.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn put(&self, allocation: &Allocation) -> Result<()> {
        self.0.put(allocation).await
    }

    /// Removes the allocation of a blob in a space. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub async fn delete(&self, digest: &Digest, space: &Did) -> Result<()> {
        self.0.delete(digest, space).await
    }

    /// The allocations of a blob, or all, in the object store's order. One that cannot be decoded
    /// is an error in its place, and the rest goes on.
    pub fn list(&self, digest: Option<&Digest>) -> BoxStream<'_, Result<Allocation>> {
        self.0.list(digest)
    }

    /// Removes the allocations that are no more valid at `now`, in seconds since the start of 1970,
    /// UTC; says how many. One that is put again meanwhile stays, as far as
    /// [`delete_if_unchanged`](GenericStore::delete_if_unchanged) can promise. Those that cannot be
    /// decoded stay.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store): what was removed until then stays so.
    pub async fn remove_expired(&self, now: u64) -> Result<u64> {
        let records = self.records();
        let removed = records
            .scan(ScanOptions::default())
            .filter_map(|record| {
                future::ready(match record {
                    Ok(record) if record.value.is_valid_at(now) => None,
                    Err(e) if e.is_record() => None,
                    record => Some(record),
                })
            })
            .map(|record| async move {
                let record = record?;
                records.delete_if_unchanged(&record.key, record.etag).await
            })
            .buffer_unordered(REMOVALS)
            .try_fold(0, |count, removed| future::ok(count + u64::from(removed)))
            .await?;
        Ok(removed)
    }
}
