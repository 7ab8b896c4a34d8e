//! The store over the map.

use std::ops::Range;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::objects::LockedObjects;
use crate::{
    Attributes, Batch, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry,
    Events, GetOptions, Key, Lifecycle, ListOptions, Listed, Metadata, Object, ObjectRanges,
    ObjectStore, Operation, PresignOptions, PresignedRequest, PutOptions, PutResult, Result,
    SizedBody, fallback,
};

/// How many entries a listing takes from the map at a time: the lock is held for that long and no
/// longer.
const PAGE: usize = 1000;

/// Objects in memory, gone with the last clone of the store. Clones share their objects.
///
/// Bodies in one piece are shared, not copied, in both directions. Listing sees puts and deletes
/// that happen while it runs.
///
/// ```
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = Memory::new();
/// let key = Key::new("greeting")?;
/// store.put(&key, "hello").await?;
/// assert_eq!(store.get_bytes(&key, 1024).await?, "hello");
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{GetOptions, Key, Memory, ObjectStore, PutMode, PutOptions};
///
/// let (store, key) = (Memory::new(), Key::new("a")?);
/// let create = PutOptions::default().mode(PutMode::Create);
/// let put = store.put_opts(&key, "hello".into(), create.clone()).await?;
/// assert!(store.put_opts(&key, "again".into(), create).await.unwrap_err().is_already_exists());
///
/// assert_eq!(store.head(&key).await?.etag, put.etag);
/// let part = store.get_opts(&key, GetOptions::default().range(1..3)).await?;
/// assert_eq!((part.metadata.size, part.body.collect(16).await?), (5, "el".into()));
/// store.delete(&key).await?;
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_objectstore::{Batch, CopyOptions, GetOptions, Key, Memory};
///
/// let (store, a, b) = (Memory::new(), Key::new("a")?, Key::new("b")?);
/// store.batch(Batch::new().create(a.clone(), "0123").create(b.clone(), "x")).await?;
/// store.copy_opts(&a, &b, CopyOptions::default()).await?;
/// let ranges = [(2..4).into(), (0..1).into()];
/// assert_eq!(store.get_ranges_opts(&b, &ranges, GetOptions::default()).await?.parts, ["23", "0"]);
/// store.close().await?;
/// assert!(store.head(&a).await.unwrap_err().is_closed());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    objects: Arc<LockedObjects>,
    capabilities: Capabilities,
    lifecycle: Lifecycle,
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self {
            objects: Arc::default(),
            capabilities: Capabilities::full()
                .with_max_attributes(Attributes::MAX_SIZE)
                .with_native_copy(true)
                .with_rename(true)
                .with_events(true),
            lifecycle: Lifecycle::default(),
        }
    }

    /// Opens the same objects again: a handle that does not close with this one.
    ///
    /// ```
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (Memory::new(), Key::new("greeting")?);
    /// store.put(&key, "hello").await?;
    /// store.close().await?;
    /// assert!(store.get(&key).await.unwrap_err().is_closed());
    /// assert!(store.reopen().exists(&key).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn reopen(&self) -> Self {
        Self {
            lifecycle: Lifecycle::default(),
            ..self.clone()
        }
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(key))?;
        self.capabilities
            .check_attributes(key, &options.attributes)?;
        let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let bytes = body.gather().await?;
        let etag = self
            .objects
            .put(key, bytes, &options.mode, options.attributes)?;
        Ok(PutResult { etag })
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        let stored = self.objects.get(Operation::Get, key)?;
        let metadata = stored.metadata();
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        // Both ends are at most the length of what is in memory, so they fit.
        let body = stored.bytes.slice(range.start as usize..range.end as usize);
        Ok(Object {
            metadata,
            range,
            body: body.into(),
        })
    }

    /// See [`ObjectStore::copy_opts`]. The bytes are shared, not copied.
    ///
    /// # Errors
    /// As there.
    pub async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Copy, Some(to))?;
        options.check(from, to, &self.capabilities)?;
        let etag = self.objects.copy(from, to, options)?;
        Ok(PutResult { etag })
    }

    /// See [`ObjectStore::get_ranges_opts`]. The bytes are shared, not copied.
    ///
    /// # Errors
    /// As there.
    pub async fn get_ranges_opts(
        &self,
        key: &Key,
        ranges: &[ByteRange],
        options: GetOptions,
    ) -> Result<ObjectRanges> {
        self.lifecycle.check(Operation::Get, Some(key))?;
        options.check_no_range(key)?;
        let stored = self.objects.get(Operation::Get, key)?;
        let metadata = stored.metadata();
        options.check_conditions(key, &metadata.etag)?;
        let ranges = fallback::resolve_all(key, ranges, metadata.size)?;
        let part =
            |range: &Range<u64>| stored.bytes.slice(range.start as usize..range.end as usize);
        Ok(ObjectRanges {
            parts: ranges.iter().map(part).collect(),
            metadata,
        })
    }

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.lifecycle.check(Operation::Head, Some(key))?;
        self.objects
            .get(Operation::Head, key)
            .map(|stored| stored.metadata())
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// [`Closed`](crate::Error::Closed).
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        self.objects.delete(key);
        Ok(())
    }

    /// See [`Batches::batch`].
    ///
    /// # Errors
    /// As there.
    pub async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let _running = self.lifecycle.enter(Operation::Batch, None)?;
        self.objects.batch(batch)
    }

    /// See [`ObjectStore::close`]. The objects stay for [`Memory::reopen`].
    ///
    /// # Errors
    /// None.
    pub async fn close(&self) -> Result<()> {
        self.lifecycle.close().await;
        self.objects.events.close();
        Ok(())
    }
}

#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Memory {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.put_opts(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get_opts(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.head(key))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.delete(key))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(|key| {
            let _running = self.lifecycle.enter(Operation::Delete, Some(&key))?;
            self.objects.delete(&key);
            Ok(key)
        })
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        if let Err(closed) = self.lifecycle.check(Operation::List, None) {
            return stream::iter([Err(closed)]).boxed();
        }
        let objects = Arc::clone(&self.objects);
        let left = options.limit.unwrap_or(usize::MAX);
        let after = options.start_after.clone();
        stream::unfold((options, after, left), move |(options, after, left)| {
            let page = objects.page(&options, after.as_ref(), left.min(PAGE));
            async move {
                let last = page.last()?.key.clone();
                let left = left - page.len();
                Some((
                    stream::iter(page.into_iter().map(Ok)),
                    (options, Some(last), left),
                ))
            }
        })
        .flatten()
        .boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let store = self.clone();
        let list = move |options| store.list(options);
        fallback::list_delimited(&self.capabilities, list, options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.copy_opts(from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(self.get_ranges_opts(key, ranges, options))
    }

    fn events(&self) -> Option<Events> {
        Some(if self.lifecycle.is_closed() {
            Events::ended()
        } else {
            self.objects.events.subscribe()
        })
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(std::future::ready(Err(unsupported)))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(
            self.lifecycle.check(Operation::Health, None),
        ))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.close())
    }
}

impl Batches for Memory {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(self.batch(batch))
    }
}
