//! The blob store: reading and deleting.

use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    self as objectstore, Body, ByteRange, GetOptions, Key, Object, ObjectStore,
};

use crate::damage::is_impossible;
use crate::known_sizes::KnownSizes;
use crate::{BlobOperation, Digest, Error, GetBlob, KeyEncoder, Result};

/// Blobs in an object store, named by their digests. Clones share the store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_blobstore::{BlobStore, Digest, FlatfsKeys, HashFunction};
/// use storehouse_objectstore::{Memory, ObjectStore};
///
/// let blobs = BlobStore::new(Memory::new(), FlatfsKeys);
/// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
/// blobs.put(&digest, "hello").await?;
///
/// let blob = blobs.get(&digest).await?;
/// assert_eq!((blob.size, blob.body.collect(1024).await?), (5, "hello".into()));
/// let part = blobs.get_range(&digest, 1..3).await?;
/// assert_eq!((part.size, part.body.collect(1024).await?), (5, "el".into()));
///
/// // The object underneath.
/// let key = blobs.key(&digest)?;
/// assert_eq!(blobs.store().head(&key).await?.size, 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct BlobStore<S = Arc<dyn ObjectStore>, E = Arc<dyn KeyEncoder>> {
    shared: Arc<StoreParts<S, E>>,
    sizes: Option<Arc<dyn KnownSizes>>,
}

#[derive(Debug)]
struct StoreParts<S, E> {
    store: S,
    keys: E,
}

impl<S, E> Clone for BlobStore<S, E> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            sizes: self.sizes.clone(),
        }
    }
}

/// What is known of a blob without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobInfo {
    /// The blob.
    pub digest: Digest,
    /// The key that it was found under: the encoder's, or its legacy one.
    pub key: Key,
    /// Its size, in bytes.
    pub size: u64,
    /// When it was written, by the backend's clock, if it keeps that.
    pub last_modified: Option<SystemTime>,
    /// Whether its size alone tells that it is not the blob: see [`Error::Damaged`]. Only listings
    /// give such; other operations give the error.
    pub damaged: bool,
}

/// A blob, or the range of it that was asked for, open for reading.
#[derive(Debug)]
pub struct Blob {
    /// The blob.
    pub digest: Digest,
    /// The size of the *whole* blob, in bytes, whatever range was asked for.
    pub size: u64,
    /// The bytes that the body gives, half open: `0..size` for the whole blob.
    pub range: Range<u64>,
    /// When it was written, by the backend's clock, if it keeps that.
    pub last_modified: Option<SystemTime>,
    /// The bytes themselves, as they are stored: not verified. Its [`Body::size`] is the length of
    /// `range`.
    pub body: Body,
}

impl<S: ObjectStore, E: KeyEncoder> BlobStore<S, E> {
    /// Blobs in `store` under keys that `keys` makes. Other objects in the store are left alone.
    pub fn new(store: S, keys: E) -> Self {
        Self {
            shared: Arc::new(StoreParts { store, keys }),
            sizes: None,
        }
    }

    /// The same blobs, where an object whose size `sizes` rules out is [damaged](Error::Damaged)
    /// too: a file that was cut short, for example.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use std::sync::Arc;
    /// use futures_core::future::BoxFuture;
    /// use storehouse_blobstore::{BlobStore, Digest, KnownSizes, PlainKeys};
    /// use storehouse_objectstore::Memory;
    ///
    /// /// No blob here is empty.
    /// #[derive(Debug)]
    /// struct NotEmpty;
    ///
    /// impl KnownSizes for NotEmpty {
    ///     fn rule_out<'a>(&'a self, _: &'a Digest, size: u64) -> BoxFuture<'a, bool> {
    ///         Box::pin(async move { size == 0 })
    ///     }
    /// }
    ///
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = blobs.add("").await?.digest;
    /// assert!(blobs.exists(&digest).await?);
    /// assert!(!blobs.with_known_sizes(Arc::new(NotEmpty)).exists(&digest).await?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn with_known_sizes(mut self, sizes: Arc<dyn KnownSizes>) -> Self {
        self.sizes = Some(sizes);
        self
    }

    /// Whether an object of this size is not the blob.
    pub(crate) async fn cannot_be(&self, digest: &Digest, size: u64) -> bool {
        is_impossible(digest, size)
            || match &self.sizes {
                Some(sizes) => sizes.rule_out(digest, size).await,
                None => false,
            }
    }

    /// The object store underneath.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.shared.store
    }

    pub(crate) fn keys(&self) -> &E {
        &self.shared.keys
    }

    /// The key that the blob is written under, whether or not it is there.
    ///
    /// # Errors
    /// [`Error::Store`] if the encoder has no key for this digest, which those of this crate always
    /// have.
    pub fn key(&self, digest: &Digest) -> Result<Key> {
        self.keys()
            .encode(digest)
            .map_err(|e| Error::store(BlobOperation::Key, Some(digest), e))
    }

    fn legacy_key(&self, digest: &Digest) -> Result<Option<Key>> {
        self.keys()
            .encode_legacy(digest)
            .map_err(|e| Error::store(BlobOperation::Key, Some(digest), e))
    }

    /// Opens the whole blob for reading.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_blobstore::{BlobStore, PlainKeys};
    /// use storehouse_objectstore::Memory;
    ///
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = blobs.add("hello").await?.digest;
    /// let blob = blobs.get(&digest).await?;
    /// assert_eq!(blob.body.collect(1024).await?, "hello"); // at most 1 KiB
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`BlobStore::get_opts`].
    pub async fn get(&self, digest: &Digest) -> Result<Blob> {
        self.get_opts(digest, GetBlob::default()).await
    }

    /// Opens an exact range of the blob for reading.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_blobstore::{BlobStore, PlainKeys};
    /// use storehouse_objectstore::Memory;
    ///
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = blobs.add("0123456789").await?.digest;
    /// assert_eq!(blobs.get_range(&digest, 2..5).await?.body.collect(3).await?, "234");
    /// assert!(blobs.get_range(&digest, 2..11).await.is_err(), "exact");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`BlobStore::get_opts`].
    pub async fn get_range(&self, digest: &Digest, range: impl Into<ByteRange>) -> Result<Blob> {
        self.get_opts(digest, GetBlob::default().range(range)).await
    }

    /// Opens the blob, or an exact range of it, for reading. One request of the store; a second one
    /// only if the blob is not found where it should be and the encoder knows a legacy key.
    ///
    /// # Errors
    /// [`NotFound`](Error::NotFound), [`RangeNotSatisfiable`](Error::RangeNotSatisfiable),
    /// [`Damaged`](Error::Damaged), [`Store`](Error::Store). The body may fail later.
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, GetBlob, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::{ByteRange, Memory};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// blobs.put(&digest, "hello").await?;
    ///
    /// let last = GetBlob::default().range(ByteRange::suffix(3));
    /// let blob = blobs.get_opts(&digest, last).await?;
    /// assert_eq!((blob.size, blob.range), (5, 2..5));
    /// # Ok(()) }
    /// ```
    pub async fn get_opts(&self, digest: &Digest, options: GetBlob) -> Result<Blob> {
        let (_, object) = self.open(BlobOperation::Get, digest, options, true).await?;
        Ok(Blob {
            digest: digest.clone(),
            size: object.size(),
            range: object.range,
            last_modified: object.metadata.last_modified,
            body: object.body,
        })
    }

    /// Opens the object under the blob's key; with `refuse`, one that cannot be the blob is passed
    /// over for the one under the legacy key, and is an error if that is missing.
    pub(crate) async fn open(
        &self,
        operation: BlobOperation,
        digest: &Digest,
        options: GetBlob,
        refuse: bool,
    ) -> Result<(Key, Object)> {
        let mut get = GetOptions::default();
        get.range = options.range;
        let key = self.key(digest)?;
        let found = self.open_at(operation, digest, key, get.clone(), refuse);
        match found.await {
            Err(e) if e.is_not_found() || e.is_damaged() => match self.legacy_key(digest)? {
                Some(legacy) => {
                    let found = self.open_at(operation, digest, legacy, get, refuse).await;
                    or_missing(found, e)
                }
                None => Err(e),
            },
            found => found,
        }
    }

    async fn open_at(
        &self,
        operation: BlobOperation,
        digest: &Digest,
        key: Key,
        options: GetOptions,
        refuse: bool,
    ) -> Result<(Key, Object)> {
        let found = self.store().get_opts(&key, options).await;
        let size = match &found {
            Ok(object) => Some(object.size()),
            Err(objectstore::Error::RangeNotSatisfiable { size, .. }) => Some(*size),
            Err(_) => None,
        };
        if let Some(size) = size.filter(|_| refuse)
            && self.cannot_be(digest, size).await
        {
            return Err(damaged(operation, digest, key, size));
        }
        match found {
            Ok(object) => Ok((key, object)),
            Err(e) => Err(Error::store(operation, Some(digest), e)),
        }
    }

    /// What is known of the blob without reading it. Requests as [`BlobStore::get_opts`].
    ///
    /// # Errors
    /// [`NotFound`](Error::NotFound), [`Damaged`](Error::Damaged), [`Store`](Error::Store).
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// blobs.put(&digest, "hello").await?;
    /// assert_eq!(blobs.head(&digest).await?.size, 5);
    /// # Ok(()) }
    /// ```
    pub async fn head(&self, digest: &Digest) -> Result<BlobInfo> {
        match self.head_at(digest, self.key(digest)?).await {
            Err(e) if e.is_not_found() || e.is_damaged() => match self.legacy_key(digest)? {
                Some(legacy) => or_missing(self.head_at(digest, legacy).await, e),
                None => Err(e),
            },
            found => found,
        }
    }

    async fn head_at(&self, digest: &Digest, key: Key) -> Result<BlobInfo> {
        match self.store().head(&key).await {
            Ok(metadata) if self.cannot_be(digest, metadata.size).await => {
                Err(damaged(BlobOperation::Head, digest, key, metadata.size))
            }
            Ok(metadata) => Ok(BlobInfo {
                digest: digest.clone(),
                key,
                size: metadata.size,
                last_modified: metadata.last_modified,
                damaged: false,
            }),
            Err(e) => Err(Error::store(BlobOperation::Head, Some(digest), e)),
        }
    }

    /// Whether the blob is there. A [damaged](Error::Damaged) one is not: putting it heals it.
    /// Requests as [`BlobStore::get_opts`].
    ///
    /// # Errors
    /// [`Store`](Error::Store).
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// assert!(!blobs.exists(&digest).await?);
    /// # Ok(()) }
    /// ```
    pub async fn exists(&self, digest: &Digest) -> Result<bool> {
        match self.head(digest).await {
            Ok(_) => Ok(true),
            Err(e) if e.is_not_found() || e.is_damaged() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes the blob from under its key and its legacy key, durably when it returns. A missing
    /// one is ok. One request where the store has bulk deletes.
    ///
    /// # Errors
    /// [`Store`](Error::Store); the blob may then still be there.
    ///
    /// ```
    /// # use storehouse_blobstore::{BlobStore, Digest, HashFunction, PlainKeys};
    /// # use storehouse_objectstore::Memory;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let blobs = BlobStore::new(Memory::new(), PlainKeys);
    /// let digest = Digest::of(HashFunction::Sha2_256, b"hello");
    /// blobs.put(&digest, "hello").await?;
    /// blobs.delete(&digest).await?;
    /// blobs.delete(&digest).await?; // once more is ok
    /// assert!(!blobs.exists(&digest).await?);
    /// # Ok(()) }
    /// ```
    pub async fn delete(&self, digest: &Digest) -> Result<()> {
        let failed = |e| Error::store(BlobOperation::Delete, Some(digest), e);
        let key = self.key(digest)?;
        let Some(legacy) = self.legacy_key(digest)? else {
            return self.store().delete(&key).await.map_err(failed);
        };
        let mut deleted = self
            .store()
            .delete_many(stream::iter([key, legacy]).boxed());
        let mut outcome = Ok(());
        // To the end, also after an error: what is not read may not be done.
        while let Some(one) = deleted.next().await {
            outcome = outcome.and(one.map(|_| ()));
        }
        outcome.map_err(failed)
    }
}

/// What was found under the legacy key; if that is nothing, what was wrong under the blob's own.
fn or_missing<T>(found: Result<T>, missing: Error) -> Result<T> {
    match found {
        Err(e) if e.is_not_found() => Err(missing),
        found => found,
    }
}

fn damaged(operation: BlobOperation, digest: &Digest, key: Key, size: u64) -> Error {
    let digest = digest.clone();
    Error::Damaged {
        operation,
        digest,
        key,
        size,
    }
}
