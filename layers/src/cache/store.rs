//! The store.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use storehouse_objectstore::{GetOptions, Key, Metadata, Object, ObjectStore, Result, methods};

use super::blocks::Blocks;
use super::body::{Reading, Rest, body_of, open_rest};
use super::disk::{CacheDisk, CacheDiskOptions, CacheDiskStats};
use super::fill::Filler;
use super::leases::{Lease, Leases};
use super::levels::{Levels, Part};
use super::options::CacheOptions;
use crate::existence::{ExistenceOptions, ExistenceStore};

/// A store that keeps what was read in memory, and on disk if it is given one.
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
    levels: Arc<Levels>,
}

impl<S> Clone for CacheStore<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            levels: Arc::clone(&self.levels),
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
        Self::build(inner, options, None)
    }

    /// `inner`, with blocks in memory and on `disk`: any store, for this cache alone (the prefix of
    /// one, if it is shared). Objects in it that are no blocks are left alone. One that was used
    /// before is warm: it is listed in the background, and read meanwhile.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use storehouse_layers::{CacheDiskOptions, CacheOptions, CacheStore, FaultStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt, Operation};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (inner, disk) = (FaultStore::new(Memory::new()), Arc::new(Memory::new()));
    /// let key = Key::new("a")?;
    /// inner.put(&key, "content").await?;
    /// // Once more after a restart.
    /// for _ in 0..2 {
    ///     let (options, on_disk) = (CacheOptions::default(), CacheDiskOptions::default());
    ///     let store = CacheStore::with_disk(inner.clone(), options, disk.clone(), on_disk);
    ///     # store.flush_disk().await;
    ///     assert_eq!(store.get_bytes(&key, 7).await?, "content");
    ///     store.flush_disk().await;
    /// }
    /// assert_eq!(inner.faults().calls(Operation::Get), 1);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn with_disk(
        inner: S,
        options: CacheOptions,
        disk: Arc<dyn ObjectStore>,
        disk_options: CacheDiskOptions,
    ) -> Self {
        Self::build(inner, options, Some((disk, disk_options)))
    }

    fn build(
        inner: S,
        options: CacheOptions,
        disk: Option<(Arc<dyn ObjectStore>, CacheDiskOptions)>,
    ) -> Self {
        let leases = Leases::default();
        let known = ExistenceOptions::default()
            .max_keys(options.max_keys)
            .max_age(options.max_age);
        Self {
            inner: ExistenceStore::with_options(inner, known),
            levels: Arc::new(Levels {
                memory: Blocks::new(&options, &leases),
                disk: disk.map(|(disk, options)| CacheDisk::new(disk, options, &leases)),
                leases,
            }),
        }
    }

    /// The store that is cached.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, key) = (CacheStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert_eq!(store.inner().get_bytes(&key, 7).await?, "content");
    /// assert_eq!(store.cached_blocks(), 0, "the cache saw no get");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        self.inner.inner()
    }

    /// The memory that blocks take, in bytes.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let (store, key) = (CacheStore::new(Memory::new()), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert_eq!(store.cached_bytes(), 0);
    /// store.get_bytes(&key, 7).await?;
    /// assert!(store.cached_bytes() >= 7);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.levels.memory.weight()
    }

    /// The number of blocks in memory.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert_eq!(CacheStore::new(Memory::new()).cached_blocks(), 0);
    /// ```
    #[must_use]
    pub fn cached_blocks(&self) -> usize {
        self.levels.memory.len()
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
        self.levels.leases.lease(key)
    }

    /// Waits until every block that is to be on disk is there, or was dropped. Nothing to wait for
    /// without a disk, or outside of a Tokio runtime.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::Memory;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// CacheStore::new(Memory::new()).flush_disk().await;
    /// # });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub async fn flush_disk(&self) {
        if let Some(disk) = &self.levels.disk {
            disk.flush().await;
        }
    }

    /// What is on disk, and what became of it; `None` without a disk.
    ///
    /// ```
    /// use storehouse_layers::CacheStore;
    /// use storehouse_objectstore::Memory;
    ///
    /// assert!(CacheStore::new(Memory::new()).disk_stats().is_none());
    /// ```
    #[must_use]
    pub fn disk_stats(&self) -> Option<CacheDiskStats> {
        self.levels.disk.as_ref().map(|disk| disk.stats())
    }

    /// What most reads are: a range within a block that is in memory, of a version that is known.
    /// Found without a future of its own.
    fn get_hit(&self, key: &Key, options: &GetOptions) -> Option<Object> {
        let metadata = self.inner.known(key)?;
        options.check_conditions(key, &metadata.etag).ok()?;
        let range = options.resolve_range(key, metadata.size).ok()?;
        let bytes = self.levels.in_one_block(key, &metadata, &range)?;
        Some(Object {
            metadata,
            range,
            body: bytes.into(),
        })
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
        let cached = self.levels.look_up(key, &metadata, &range).await;
        let rest = match cached.missing {
            None => None,
            Some(start) => {
                let of = (key, &metadata);
                match open_rest(&self.inner, &self.levels, of, start, range.end).await {
                    Ok(rest) => Some(rest),
                    Err(error) if error.is_precondition() || error.is_not_found() => {
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let on_disk = |part: &Part| matches!(part, Part::Disk(_));
        let lease = cached.parts.iter().any(on_disk).then(|| self.lease(key));
        let body = body_of(Reading {
            store: self.inner.clone(),
            levels: Arc::clone(&self.levels),
            key: key.clone(),
            metadata: metadata.clone(),
            parts: cached.parts,
            rest,
            left: range.clone(),
            lease,
        });
        Ok(Some(Object {
            metadata,
            range,
            body,
        }))
    }

    /// The version that is there, if that is known, or worth asking for first.
    async fn version(&self, key: &Key) -> Option<Metadata> {
        match self.inner.known(key) {
            Some(metadata) => Some(metadata),
            None if self.levels.has_object_on_disk(key) => {
                ObjectStore::head(&self.inner, key).await.ok()
            }
            None => None,
        }
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        if let Some(metadata) = self.version(key).await {
            match self.get_known(key, &options, metadata).await? {
                Some(object) => return Ok(object),
                None => self.inner.forget(key),
            }
        }
        let object = self.inner.get_opts(key, options).await?;
        let (metadata, range) = (&object.metadata, object.range.clone());
        let filler = Filler::new(&self.levels, key, metadata, (range.start, range.end));
        let body = body_of(Reading {
            store: self.inner.clone(),
            levels: Arc::clone(&self.levels),
            key: key.clone(),
            metadata: metadata.clone(),
            parts: VecDeque::new(),
            rest: Some(Rest::new(object.body, filler)),
            left: range,
            lease: None,
        });
        Ok(Object { body, ..object })
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for CacheStore<S> {
    methods!(inner => put_opts, head, delete, delete_many, list, list_delimited, copy_opts, events);
    methods!(inner => presign, health, capabilities, batches);

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        match self.get_hit(key, &options) {
            Some(object) => Box::pin(std::future::ready(Ok(object))),
            None => Box::pin(self.get(key, options)),
        }
    }

    methods!(fallback => get_ranges_opts);

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let closed = self.inner.close().await;
            self.levels.memory.clear();
            let disk = match &self.levels.disk {
                Some(disk) => disk.close().await,
                None => Ok(()),
            };
            closed.and(disk)
        })
    }
}
