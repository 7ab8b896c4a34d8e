//! The store.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use storehouse_objectstore::{
    Batch, ETag, Error as StoreError, Key, ObjectStore, ObjectStoreExt, Operation, PutMode,
    PutOptions,
};

use crate::index::{IndexedBy, Indexes};
use crate::{Codec, Error, Namespace, Result};

/// Records of type `T`, encoded by `C`, in the object store `S`.
///
/// Keys are text within the [`Namespace`]. What the object store promises holds for records: puts
/// are atomic and durable, listings are in its order. Clones share the store, its locks and its
/// indexes.
///
/// Futures may be dropped at any time. A put or delete with indexes that is dropped half-way leaves
/// what a crash would: see [`crate::index`].
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_genericstore::{GenericStore, Namespace, Raw};
/// use storehouse_objectstore::Memory;
///
/// let notes = GenericStore::<Vec<u8>, _, _>::new(Memory::new(), Raw, Namespace::new("note/", "")?)
///     .with_limit(1 << 10) // bytes
///     .with_read_ahead(8);
/// let etag = notes.put_if_absent("a", &b"one".to_vec()).await?;
/// assert!(notes.put_if_absent("a", &b"two".to_vec()).await.unwrap_err().is_already_exists());
///
/// // Only what is unchanged is replaced or deleted.
/// let newer = notes.replace_if_unchanged("a", &b"two".to_vec(), etag.clone()).await?;
/// let late = notes.replace_if_unchanged("a", &b"three".to_vec(), etag).await;
/// assert!(late.unwrap_err().is_precondition());
/// assert_eq!(notes.get_record("a").await?.etag, newer);
/// assert!(notes.delete_if_unchanged("a", newer).await?);
/// assert!(!notes.exists("a").await?);
/// notes.delete("a").await?; // a missing one is ok
///
/// assert_eq!(notes.object_key("a")?.as_str(), "note/a");
/// assert_eq!(notes.namespace().prefix(), "note/");
/// assert!(notes.object_store().head(&notes.object_key("a")?).await.is_err());
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_genericstore::{GenericStore, Json, Namespace, ScanOptions, UniqueIndex};
/// use storehouse_objectstore::Memory;
///
/// // Found by key, by prefix, and by what is in them.
/// let by_mail = UniqueIndex::new("mail", |user: &(String, u32)| vec![user.0.clone()]);
/// let users = GenericStore::new(Memory::new(), Json, Namespace::new("user/", ".json")?)
///     .with_index(&by_mail)?;
/// users.put("a1", &("ann@example.org".to_owned(), 30)).await?;
/// users.put("a2", &("bob@example.org".to_owned(), 40)).await?;
/// users.put("b1", &("eve@example.org".to_owned(), 50)).await?;
/// assert_eq!(users.get("a1").await?.1, 30);
/// assert_eq!(users.find(&by_mail, &"eve@example.org".to_owned()).await?.unwrap().key, "b1");
///
/// let keys: Vec<String> = users.keys(ScanOptions::prefix("a")).try_collect().await?;
/// assert_eq!(keys, ["a1", "a2"]);
/// let records: Vec<_> = users.scan(ScanOptions::default().start_after("a2")).try_collect().await?;
/// assert_eq!(records[0].key, "b1");
/// let ages = users.values(ScanOptions::default()).map_ok(|user| user.1);
/// assert_eq!(ages.try_collect::<Vec<_>>().await?, [30, 40, 50]);
/// assert_eq!(users.count("a").await?, 2);
/// assert!(!users.exists_prefix("c").await?);
/// assert_eq!(users.first("", |user| user.1 > 30).await?.unwrap().key, "a2");
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
pub struct GenericStore<T, C, S> {
    pub(crate) store: S,
    codec: Arc<C>,
    namespace: Namespace,
    pub(crate) limit: u64,
    pub(crate) read_ahead: usize,
    pub(crate) indexes: Arc<Indexes<T>>,
    records: PhantomData<fn() -> T>,
}

/// A record as a store gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<T> {
    /// Its key in the namespace.
    pub key: String,
    /// The record.
    pub value: T,
    /// The tag of this version, for [`GenericStore::replace_if_unchanged`].
    pub etag: ETag,
}

impl<T, C, S: Clone> Clone for GenericStore<T, C, S> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            codec: Arc::clone(&self.codec),
            namespace: self.namespace.clone(),
            limit: self.limit,
            read_ahead: self.read_ahead,
            indexes: Arc::clone(&self.indexes),
            records: PhantomData,
        }
    }
}

impl<T, C: fmt::Debug, S: fmt::Debug> fmt::Debug for GenericStore<T, C, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenericStore")
            .field("store", &self.store)
            .field("codec", &self.codec)
            .field("namespace", &self.namespace)
            .field("indexes", &self.indexes)
            .finish_non_exhaustive()
    }
}

impl<T, C, S> GenericStore<T, C, S> {
    /// The largest record that is read or written, unless [`with_limit`](Self::with_limit) says
    /// otherwise: 16 MiB.
    pub const DEFAULT_LIMIT: u64 = 16 << 20;
    /// How many records a scan fetches at once, unless [`with_read_ahead`](Self::with_read_ahead)
    /// says otherwise.
    pub const DEFAULT_READ_AHEAD: usize = 32;

    /// Records in `namespace` of `store`.
    #[must_use]
    pub fn new(store: S, codec: C, namespace: Namespace) -> Self {
        Self {
            store,
            codec: Arc::new(codec),
            namespace,
            limit: Self::DEFAULT_LIMIT,
            read_ahead: Self::DEFAULT_READ_AHEAD,
            indexes: Arc::new(Indexes::default()),
            records: PhantomData,
        }
    }

    /// With another limit on a record's size, in bytes (inclusive).
    #[must_use]
    pub fn with_limit(mut self, limit: u64) -> Self {
        self.limit = limit;
        self
    }

    /// With this number of records fetched at once by scans; at least one.
    #[must_use]
    pub fn with_read_ahead(mut self, records: usize) -> Self {
        self.read_ahead = records.max(1);
        self
    }

    /// With an index, which is kept with the records from now on. For records that are there
    /// already, call [`repair`](Self::repair).
    ///
    /// # Errors
    /// [`Error::Config`] if its entries have no place in the namespace, or lie where another
    /// index's lie.
    pub fn with_index(mut self, index: &impl IndexedBy<T>) -> Result<Self> {
        self.indexes = Arc::new(self.indexes.with(index.definition(), &self.namespace)?);
        Ok(self)
    }

    /// The object store.
    pub fn object_store(&self) -> &S {
        &self.store
    }

    /// Where the records lie in it.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The object's key for the record's `key`.
    ///
    /// # Errors
    /// [`Error::Store`] with an invalid key, also where `key` lies among the entries of an index.
    pub fn object_key(&self, key: &str) -> Result<Key> {
        let object = self.namespace.object_key(key)?;
        if self.indexes.holds(&object) {
            return Err(StoreError::invalid_key(
                Operation::Key,
                key,
                "it lies among the entries of an index",
            )
            .into());
        }
        Ok(object)
    }

    /// The record's key in an object's, if the object is a record's.
    pub(crate) fn record_key<'a>(&self, key: &'a Key) -> Option<&'a str> {
        if self.indexes.holds(key) {
            None
        } else {
            self.namespace.record_key(key)
        }
    }
}

impl<T, C, S> GenericStore<T, C, S>
where
    T: Send + Sync + 'static,
    C: Codec<T>,
    S: ObjectStore,
{
    /// Stores a record, whether or not one is there.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{Error, GenericStore, Namespace, Raw};
    /// use storehouse_objectstore::Memory;
    ///
    /// let notes = GenericStore::new(Memory::new(), Raw, Namespace::root()).with_limit(3);
    /// notes.put("a", &b"one".to_vec()).await?;
    /// notes.put("a", &b"two".to_vec()).await?;
    /// assert_eq!(notes.get("a").await?, b"two");
    /// let error = notes.put("a", &b"three".to_vec()).await.unwrap_err();
    /// assert!(matches!(error, Error::TooLarge { size: 5, limit: 3, .. }));
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Encode`], [`Error::TooLarge`], [`Error::NotUnique`], [`Error::Store`]. After any of
    /// them no reader finds the record changed; after a backend's error alone it may be.
    pub async fn put(&self, key: &str, value: &T) -> Result<ETag> {
        self.put_with(key, value, PutMode::Overwrite).await
    }

    /// Stores a record if none is there. Of several at once, one wins.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Store`] with already exists, or unsupported where the object
    /// store cannot tell.
    pub async fn put_if_absent(&self, key: &str, value: &T) -> Result<ETag> {
        self.put_with(key, value, PutMode::Create).await
    }

    /// Stores a record if the one that is there is still that of `etag`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{GenericStore, Json, Namespace};
    /// use storehouse_objectstore::Memory;
    ///
    /// let counters = GenericStore::<u64, _, _>::new(Memory::new(), Json, Namespace::root());
    /// counters.put("visits", &0).await?;
    ///
    /// // Read, change, write, as often as another writer is first.
    /// loop {
    ///     let there = counters.get_record("visits").await?;
    ///     match counters.replace_if_unchanged("visits", &(there.value + 1), there.etag).await {
    ///         Ok(_) => break,
    ///         Err(error) if error.is_precondition() => continue,
    ///         Err(error) => return Err(error),
    ///     }
    /// }
    /// assert_eq!(counters.get("visits").await?, 1);
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`put`](Self::put); [`Error::Store`] with a failed precondition, or unsupported where the
    /// object store cannot tell.
    pub async fn replace_if_unchanged(&self, key: &str, value: &T, etag: ETag) -> Result<ETag> {
        self.put_with(key, value, PutMode::Replace(etag)).await
    }

    async fn put_with(&self, key: &str, value: &T, mode: PutMode) -> Result<ETag> {
        let object = self.object_key(key)?;
        let bytes = self.encode(&object, value)?;
        if self.indexes.is_empty() {
            return Ok(self
                .store
                .put_opts(&object, bytes.into(), PutOptions::default().mode(mode))
                .await?
                .etag);
        }
        self.put_indexed(key, object, value, bytes, mode).await
    }

    /// The record.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{Error, GenericStore, Json, Namespace};
    /// use storehouse_objectstore::{Memory, ObjectStoreExt};
    ///
    /// let users = GenericStore::<Vec<String>, _, _>::new(Memory::new(), Json, Namespace::root());
    /// assert!(users.get("ann").await.unwrap_err().is_not_found());
    ///
    /// let bytes = r#"["ann", "admin"]"#; // what another program wrote
    /// users.object_store().put(&users.object_key("ann")?, bytes).await?;
    /// assert_eq!(users.get("ann").await?, ["ann", "admin"]);
    /// users.object_store().put(&users.object_key("bob")?, "no JSON").await?;
    /// assert!(matches!(users.get("bob").await, Err(Error::Decode { .. })));
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`] with not found, [`Error::TooLarge`], [`Error::Decode`].
    pub async fn get(&self, key: &str) -> Result<T> {
        self.get_record(key).await.map(|record| record.value)
    }

    /// The record with its tag.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn get_record(&self, key: &str) -> Result<Record<T>> {
        let (value, etag) = self.read(&self.object_key(key)?).await?;
        Ok(Record {
            key: key.to_owned(),
            value,
            etag,
        })
    }

    /// Removes the record. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let object = self.object_key(key)?;
        if self.indexes.is_empty() {
            return Ok(self.store.delete(&object).await?);
        }
        self.delete_indexed(key, object, PutMode::Overwrite).await
    }

    /// Removes the record if it is still that of `etag`; says whether it was.
    ///
    /// Exact where the object store has [batches](storehouse_objectstore::Batches); elsewhere a put
    /// between the look and the removal is lost.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{GenericStore, Namespace, Raw};
    /// use storehouse_objectstore::Memory;
    ///
    /// let notes = GenericStore::new(Memory::new(), Raw, Namespace::root());
    /// let first = notes.put("a", &b"one".to_vec()).await?;
    /// let second = notes.put("a", &b"two".to_vec()).await?;
    /// assert!(!notes.delete_if_unchanged("a", first).await?);
    /// assert!(notes.delete_if_unchanged("a", second).await?);
    /// assert!(!notes.exists("a").await?);
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn delete_if_unchanged(&self, key: &str, etag: ETag) -> Result<bool> {
        let object = self.object_key(key)?;
        let deleted = if !self.indexes.is_empty() {
            self.delete_indexed(key, object, PutMode::Replace(etag))
                .await
        } else if let Some(batches) = self.store.batches() {
            batches
                .batch(Batch::new().delete_if(object, etag))
                .await
                .map(drop)
                .map_err(Error::from)
        } else {
            match self.store.head(&object).await {
                Ok(there) if there.etag == etag => {
                    self.store.delete(&object).await.map_err(Error::from)
                }
                Ok(_) => return Ok(false),
                Err(e) if e.is_not_found() => return Ok(false),
                Err(e) => return Err(e.into()),
            }
        };
        match deleted {
            Ok(()) => Ok(true),
            Err(e) if e.is_precondition() => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Whether there is such a record. It is not read, so it need not be decodable.
    ///
    /// # Errors
    /// [`Error::Store`], without not found.
    pub async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.store.exists(&self.object_key(key)?).await?)
    }

    pub(crate) fn encode(&self, object: &Key, value: &T) -> Result<Bytes> {
        let bytes = self.codec.encode(value).map_err(|source| Error::Encode {
            key: object.clone(),
            source,
        })?;
        self.check_size(object, bytes.len() as u64)?;
        Ok(bytes)
    }

    pub(crate) fn decode(&self, object: &Key, bytes: &Bytes) -> Result<T> {
        self.codec.decode(bytes).map_err(|source| Error::Decode {
            key: object.clone(),
            source,
        })
    }

    pub(crate) fn check_size(&self, object: &Key, size: u64) -> Result<()> {
        if size > self.limit {
            Err(Error::TooLarge {
                key: object.clone(),
                size,
                limit: self.limit,
            })
        } else {
            Ok(())
        }
    }

    /// The bytes of an object of at most the limit.
    pub(crate) async fn read_bytes(&self, object: &Key) -> Result<(Bytes, ETag)> {
        let got = self.store.get(object).await?;
        self.check_size(object, got.size())?;
        Ok((got.body.collect(self.limit).await?, got.metadata.etag))
    }

    pub(crate) async fn read(&self, object: &Key) -> Result<(T, ETag)> {
        let (bytes, etag) = self.read_bytes(object).await?;
        Ok((self.decode(object, &bytes)?, etag))
    }
}
