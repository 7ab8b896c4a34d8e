//! The store.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Events, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result, fallback,
};

use super::blocks::{Blocks, Lease};
use super::body::{Filler, Rest, cached, joined};
use super::options::CacheOptions;
use crate::existence::{ExistenceOptions, ExistenceStore};

/// A store that keeps what was read in memory.
///
/// Clones share the cache. Several stores under it need one each.
///
/// ```
/// use storehouse_layers::{CacheStore, FaultStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt, Operation};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (inner, key) = (FaultStore::new(Memory::new()), Key::new("a")?);
/// let store = CacheStore::new(inner.clone());
/// store.put(&key, "content").await?;
/// for _ in 0..3 {
///     assert_eq!(store.get_bytes(&key, 7).await?, "content");
/// }
/// assert_eq!(inner.faults().calls(Operation::Get), 1);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CacheStore<S> {
    inner: ExistenceStore<S>,
    blocks: Arc<Blocks>,
}

impl<S> Clone for CacheStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            blocks: Arc::clone(&self.blocks),
        }
    }
}

impl<S: ObjectStore> CacheStore<S> {
    /// `inner`, with the default [`CacheOptions`].
    pub fn new(inner: S) -> Self {
        Self::with_options(inner, CacheOptions::default())
    }

    /// `inner`, with these options.
    ///
    /// ```
    /// use storehouse_layers::{CacheOptions, CacheStore};
    /// use storehouse_objectstore::Memory;
    ///
    /// let options = CacheOptions::default().max_bytes(1 << 30);
    /// let store = CacheStore::with_options(Memory::new(), options);
    /// assert_eq!(store.cached_bytes(), 0);
    /// ```
    pub fn with_options(inner: S, options: CacheOptions) -> Self {
        let known = ExistenceOptions::default()
            .max_keys(options.max_keys)
            .max_age(options.max_age);
        Self {
            inner: ExistenceStore::with_options(inner, known),
            blocks: Arc::new(Blocks::new(&options)),
        }
    }

    /// The store that is cached.
    #[must_use]
    pub fn inner(&self) -> &S {
        self.inner.inner()
    }

    /// The memory that blocks take, in bytes.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.blocks.weight()
    }

    /// The number of blocks.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert_eq!(CacheStore::new(Memory::new()).cached_blocks(), 0);
    /// ```
    #[must_use]
    pub fn cached_blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Keeps what is cached of an object, now and later, until the lease is dropped. Its blocks
    /// count, and others make room for them; they are not read for it.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::{Key, Memory};
    ///
    /// let store = CacheStore::new(Memory::new());
    /// let lease = store.lease(&Key::new("a")?);
    /// drop(lease);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn lease(&self, key: &Key) -> Lease {
        self.blocks.lease(key)
    }

    /// From the cache as far as it goes; `None` if the inner store has another version by now.
    async fn get_known(
        &self,
        key: &Key,
        options: &GetOptions,
        metadata: Metadata,
    ) -> Result<Option<Object>> {
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        let (found, missing) = cached(&self.blocks, key, &metadata.etag, &range);
        let rest = match missing {
            None => None,
            Some(start) => {
                let end = range.end.next_multiple_of(self.blocks.size);
                let read = start..end.min(metadata.size);
                let get = GetOptions::default()
                    .range(read)
                    .if_match(metadata.etag.clone());
                match self.inner.get_opts(key, get).await {
                    Ok(object) => Some(Rest {
                        body: object.body,
                        filler: Filler::new(&self.blocks, key, &metadata, start),
                    }),
                    Err(error) if error.is_precondition() || error.is_not_found() => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let body = joined(found, rest, range.clone());
        Ok(Some(Object {
            metadata,
            range,
            body,
        }))
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if let Some(metadata) = self.inner.known(key) {
            match self.get_known(key, &options, metadata).await? {
                Some(object) => return Ok(object),
                None => self.inner.forget(key),
            }
        }
        let object = self.inner.get_opts(key, options).await?;
        let range = object.range.clone();
        let rest = Rest {
            filler: Filler::new(&self.blocks, key, &object.metadata, range.start),
            body: object.body,
        };
        Ok(Object {
            body: joined(VecDeque::new(), Some(rest), range),
            ..object
        })
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for CacheStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.inner.put_opts(key, body, options)
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        ObjectStore::head(&self.inner, key)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.inner.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.inner.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.inner.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.inner.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.inner.copy_opts(from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(fallback::get_ranges(self, key, ranges, options))
    }

    fn events(&self) -> Option<Events> {
        self.inner.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        self.inner.presign(key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.inner.health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let closed = self.inner.close().await;
            self.blocks.clear();
            closed
        })
    }
}
