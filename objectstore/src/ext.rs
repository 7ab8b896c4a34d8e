//! What every store can do in terms of the trait's own methods.

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;

use crate::{
    Body, ByteRange, CopyOptions, Entry, GetOptions, Key, ListOptions, Listed, Object,
    ObjectRanges, ObjectStore, PutOptions, PutResult, Result,
};

/// Sugar over [`ObjectStore`], for every store.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// let (store, key) = (Memory::new(), Key::new("letters/a")?);
/// store.put(&key, "hello").await?;
/// assert!(store.exists(&key).await?);
/// assert_eq!(store.get_bytes(&key, 5).await?, "hello");
///
/// let object = store.get(&key).await?;
/// assert_eq!((object.size(), object.body.collect(1024).await?), (5, "hello".into()));
/// assert_eq!(store.get_range(&key, 1..3).await?.body.collect(2).await?, "el");
///
/// store.rename(&key, &Key::new("letters/b")?).await?;
/// let keys = store.list_prefix("letters/").map_ok(|entry| entry.key.to_string());
/// assert_eq!(keys.try_collect::<Vec<_>>().await?, ["letters/b"]);
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
pub trait ObjectStoreExt: ObjectStore {
    /// Stores a body that knows its size (bytes, a file), durably, whether or not an object is
    /// there.
    ///
    /// # Errors
    /// As [`ObjectStore::put_opts`].
    fn put<'a>(&'a self, key: &'a Key, body: impl Into<Body>) -> BoxFuture<'a, Result<PutResult>> {
        self.put_opts(key, body.into(), PutOptions::default())
    }

    /// Stores a body whose size may be unknown, such as a stream: it is gathered first, in memory
    /// and then in a file, so that the store knows the size from the start. A body that knows its
    /// size, or whose size `options` declare, is put as it is.
    ///
    /// A file is what every store can do: S3 would take parts of unknown number, but only up to a
    /// size that their length sets beforehand, and a put of one request where the body is small
    /// costs less.
    ///
    /// # Errors
    /// As [`ObjectStore::put_opts`]; [`TooLarge`](crate::Error::TooLarge) with the first piece past
    /// the store's largest object; [`Body`](crate::Error::Body) if the file cannot be made or
    /// written.
    ///
    /// ```
    /// use storehouse_objectstore::{Body, Key, Memory, ObjectStoreExt, PutOptions, SpoolOptions};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// let body = Body::from_reader(&b"of some length"[..]);
    /// store.put_spooled(&key, body, PutOptions::default(), SpoolOptions::default()).await?;
    /// assert_eq!(store.get_bytes(&key, 14).await?, "of some length");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "spool")]
    fn put_spooled<'a>(
        &'a self,
        key: &'a Key,
        body: impl Into<Body>,
        options: PutOptions,
        spool: crate::SpoolOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        crate::spool::put(self, key, body.into(), options, spool)
    }

    /// Opens the whole object for reading.
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`].
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Object>> {
        self.get_opts(key, GetOptions::default())
    }

    /// Opens a range of the object for reading.
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`].
    fn get_range<'a>(
        &'a self,
        key: &'a Key,
        range: impl Into<ByteRange>,
    ) -> BoxFuture<'a, Result<Object>> {
        self.get_opts(key, GetOptions::default().range(range))
    }

    /// Reads the whole object into memory, if it has at most `limit` bytes (inclusive).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_objectstore::{Error, Key, Memory, ObjectStoreExt};
    ///
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// store.put(&key, "hello").await?;
    /// assert_eq!(store.get_bytes(&key, 5).await?, "hello");
    /// let error = store.get_bytes(&key, 4).await.unwrap_err();
    /// assert!(matches!(error, Error::CollectLimit { .. }));
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`ObjectStore::get_opts`]; [`CollectLimit`](crate::Error::CollectLimit) if it is larger,
    /// before it is read.
    fn get_bytes<'a>(
        &'a self,
        key: &'a Key,
        limit: u64,
    ) -> impl Future<Output = Result<Bytes>> + Send + 'a {
        let get = self.get_opts(key, GetOptions::default());
        async move { get.await?.body.collect(limit).await }
    }

    /// Whether there is such an object.
    ///
    /// # Errors
    /// As [`ObjectStore::head`], without not found.
    fn exists<'a>(&'a self, key: &'a Key) -> impl Future<Output = Result<bool>> + Send + 'a {
        let head = self.head(key);
        async move {
            match head.await {
                Ok(_) => Ok(true),
                Err(e) if e.is_not_found() => Ok(false),
                Err(e) => Err(e),
            }
        }
    }

    /// Copies an object within the store, with its attributes, whether or not one is there under
    /// the new key.
    ///
    /// # Errors
    /// As [`ObjectStore::copy_opts`].
    ///
    /// ```
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, from, to) = (Memory::new(), Key::new("a")?, Key::new("b")?);
    /// store.put(&from, "bytes").await?;
    /// store.copy(&from, &to).await?;
    /// store.rename(&to, &Key::new("c")?).await?;
    /// assert!(store.exists(&from).await? && !store.exists(&to).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn copy<'a>(&'a self, from: &'a Key, to: &'a Key) -> BoxFuture<'a, Result<PutResult>> {
        self.copy_opts(from, to, CopyOptions::default())
    }

    /// Renames an object in one step, whether or not one is there under the new key.
    ///
    /// # Errors
    /// As [`ObjectStore::copy_opts`]; [`Unsupported`](crate::Error::Unsupported) by a store that
    /// cannot do it in one step.
    fn rename<'a>(&'a self, from: &'a Key, to: &'a Key) -> BoxFuture<'a, Result<PutResult>> {
        self.copy_opts(from, to, CopyOptions::default().remove_source(true))
    }

    /// Reads several ranges of one version of the object into memory.
    ///
    /// # Errors
    /// As [`ObjectStore::get_ranges_opts`].
    ///
    /// ```
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (Memory::new(), Key::new("a")?);
    /// store.put(&key, "0123456789").await?;
    /// let got = store.get_ranges(&key, &[(7..9).into(), (0..2).into()]).await?;
    /// assert_eq!(got.parts, ["78", "01"]);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn get_ranges<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        self.get_ranges_opts(key, ranges, GetOptions::default())
    }

    /// Lists what lies in a folder: the objects in it, and the folders in it as common prefixes.
    /// `prefix` is empty or ends with `/`.
    ///
    /// ```
    /// use futures_util::TryStreamExt;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let store = Memory::new();
    /// for key in ["a/b/1", "a/b/2", "a/c", "d"] {
    ///     store.put(&Key::new(key)?, "").await?;
    /// }
    /// let folder = store.list_folder("a/").map_ok(|listed| listed.to_string());
    /// assert_eq!(folder.try_collect::<Vec<_>>().await?, ["a/b/", "a/c"]);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    fn list_folder(&self, prefix: &str) -> BoxStream<'static, Result<Listed>> {
        self.list_delimited(ListOptions::default().prefix(prefix))
    }

    /// Lists the objects whose keys start with `prefix`.
    fn list_prefix(&self, prefix: &str) -> BoxStream<'static, Result<Entry>> {
        self.list(ListOptions::default().prefix(prefix))
    }
}

impl<S: ObjectStore + ?Sized> ObjectStoreExt for S {}
