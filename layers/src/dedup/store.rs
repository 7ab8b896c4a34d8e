//! The store and its trait.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::future;
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Durability,
    Entry, Error, ErrorClass, Events, GetOptions, Key, Lifecycle, ListOptions, Listed, Metadata,
    Object, ObjectRanges, ObjectStore, Operation, PresignOptions, PresignedRequest, PutOptions,
    PutResult, Result, SizedBody, fallback,
};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::chunker::Sizes;
use super::format::{Digest, HEADER, MAX_TAIL, max_size};
use super::options::{Collected, DedupOptions};
use super::pins::Pins;
use super::read::{entry_of, head_of};
use super::shared::{Shared, chunk_key};
use crate::parts::{CommitPoint, KeyLocks, detached_put, looked_up};
use crate::prefix::PrefixStore;

/// How long chunks are kept where other processes may write.
const REMOTE_GRACE: Duration = Duration::from_secs(60 * 60);

/// What the index reads with a listing, in bytes: manifests of objects of up to 100 MiB.
const INLINE: u64 = 16 * 1024;

/// What begins the keys of manifests and of chunks in one store. Every store accepts these.
const INDEX: &str = "object-";
const CHUNKS: &str = "chunk-";

/// What part of the time between two collections passes after one that failed.
const SOONER: u32 = 16;

/// How often a copy is tried anew because its source was replaced meanwhile.
const ATTEMPTS: usize = 16;

/// A store that stores the same bytes once: objects are cut into chunks where their content says.
/// Clones share their pins and locks.
///
/// A delete, a replacement, or a put that fails leaves chunks that no object has. A collection
/// removes them: in the background, after [`DedupOptions::collect_every`], or by
/// [`DedupStore::collect`].
///
/// # Collections in one process
///
/// Within one process (a `DedupStore` and its clones) a collection runs beside puts, gets, copies
/// and deletes, and takes nothing that they need:
///
/// - A put or copy pins its chunks before it looks for them, until its manifest is written. What
///   was pinned at any time since a collection began is left to the next one.
/// - A get pins the chunks of its range until its body is read or dropped, though the object is
///   replaced or deleted. If a sweep ran while it read the manifest, it looks again whether that is
///   still the object.
/// - A chunk is looked for and written, or removed, under its lock.
///
/// A collection that is dropped, fails or dies has removed chunks that no object had, and can be
/// run again. When no operation runs and the [grace](DedupOptions::grace) is zero, a collection
/// that ends well leaves the chunks that objects have, and no others.
///
/// # Several processes
///
/// Several processes may read and write one pair of stores. The collections of one know of the
/// others what stands in the stores, and no more:
///
/// - A put or copy of another process is safe if its manifest is written in a quarter of the grace,
///   the difference of the clocks included: a collection spares chunks that were younger than the
///   grace when it began, and a put or copy renews a chunk that it finds if it is older than half
///   of that. One that takes more than a quarter of the grace before its manifest renews all its
///   chunks, and fails with a transient error if one is gone, or if that takes as long again.
///   There is one exception: one that renews or writes a chunk after a collection's last look at
///   it, and before the end of the delete that follows. No request of a store is both.
/// - A body that another process reads may end with an error if its object was replaced or deleted
///   meanwhile. It never gives wrong bytes.
///
/// Where that is too little, collect while no other process writes. A chunk store that keeps no
/// [times](Metadata::last_modified) gives no grace.
///
/// In one process too, a server can carry out a request after its client gave it up. The grace
/// covers the put of a manifest; a delete that comes late can take a chunk that was found since.
///
/// # Examples
///
/// ```
/// use storehouse_layers::{DedupOptions, DedupStore};
/// use storehouse_objectstore::{Key, ListOptions, Memory, ObjectStore, ObjectStoreExt};
/// # use futures_util::StreamExt;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let (index, chunks) = (Memory::new(), Memory::new());
/// let store = DedupStore::new(index, chunks.clone(), DedupOptions::default())?;
/// let (a, b) = (Key::new("a")?, Key::new("b")?);
/// let content = vec![7; 100_000];
/// store.put(&a, content.clone()).await?;
/// store.put(&b, content.clone()).await?;
/// assert_eq!(chunks.list(ListOptions::default()).count().await, 1);
///
/// store.delete(&a).await?;
/// assert_eq!(store.collect().await?.removed, 0, "b has it still");
/// assert_eq!(store.get_bytes(&b, 100_000).await?, content);
/// store.delete(&b).await?;
/// assert_eq!(store.collect().await?.removed, 1);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct DedupStore<I, C> {
    shared: Arc<Shared<I, C>>,
    collector: Arc<Collector>,
}

impl<I, C> Clone for DedupStore<I, C> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            collector: Arc::clone(&self.collector),
        }
    }
}

/// The task that collects in the background; it ends with the last handle on its store.
#[derive(Debug)]
struct Collector {
    every: Option<Duration>,
    task: OnceLock<AbortHandle>,
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

impl<S: ObjectStore> DedupStore<PrefixStore<Arc<S>>, PrefixStore<Arc<S>>> {
    /// With manifests and chunks in one store, under keys that begin with `object-` and `chunk-`.
    ///
    /// # Errors
    /// As [`DedupStore::new`].
    ///
    /// ```
    /// use storehouse_layers::{DedupOptions, DedupStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let inner = Memory::new();
    /// let store = DedupStore::in_one(inner.clone(), DedupOptions::default())?;
    /// store.put(&Key::new("a")?, "content").await?;
    /// assert!(inner.exists(&Key::new("object-a")?).await?);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn in_one(inner: S, options: DedupOptions) -> Result<Self> {
        let inner = Arc::new(inner);
        Self::new(
            PrefixStore::new(Arc::clone(&inner), INDEX)?,
            PrefixStore::new(inner, CHUNKS)?,
            options,
        )
    }
}

impl<I: ObjectStore, C: ObjectStore> DedupStore<I, C> {
    /// With manifests in `index` and chunks in `chunks`, which hold nothing else.
    ///
    /// # Errors
    /// [`Error::Config`] if an option is out of its bounds, or if `chunks` cannot hold such chunks.
    pub fn new(index: I, chunks: C, options: DedupOptions) -> Result<Self> {
        let average = options.chunk_size;
        if !(4 * 1024..=1024 * 1024).contains(&average) || !average.is_multiple_of(8) {
            let reason = "not a multiple of 8 from 4 KiB to 1 MiB";
            return Err(Error::config("chunk_size", reason));
        }
        if options.inline > MAX_TAIL {
            return Err(Error::config("inline", "more than 16 KiB"));
        }
        if options.collect_every.is_some_and(|pause| pause.is_zero()) {
            return Err(Error::config("collect_every", "no time at all"));
        }
        let (sizes, held) = (Sizes::new(average), chunks.capabilities());
        if (sizes.most() as u64) > held.max_size {
            let reason = format!(
                "chunks have up to {} bytes, but that store holds at most {}",
                sizes.most(),
                held.max_size
            );
            return Err(Error::config("chunk_size", reason));
        }
        if !held.accepts_key(&chunk_key(&Digest::default())?) {
            let reason = "this store accepts no keys of 64 hexadecimal digits";
            return Err(Error::config("chunks", reason));
        }
        let under = index.capabilities();
        let remote = under.remote || held.remote;
        let largest = max_size(under.max_size, sizes.least() as u64, options.inline as u64);
        let capabilities = under
            .clone()
            .with_verifies_sha256(false)
            .with_checksums(under.checksums && held.checksums)
            .with_remote(remote)
            .with_native_copy(true)
            .with_presign(false)
            .with_max_size(largest);
        let grace = if remote { REMOTE_GRACE } else { Duration::ZERO };
        Ok(Self {
            shared: Arc::new(Shared {
                index,
                chunks,
                sizes,
                inline: options.inline,
                grace: options.grace.unwrap_or(grace),
                capabilities,
                lifecycle: Lifecycle::default(),
                pins: Arc::new(Pins::default()),
                locks: KeyLocks::default(),
                failed: Mutex::default(),
            }),
            collector: Arc::new(Collector {
                every: options.collect_every,
                task: OnceLock::new(),
            }),
        })
    }

    /// The store of the manifests.
    ///
    /// ```
    /// # use storehouse_layers::{DedupOptions, DedupStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = DedupStore::new(Memory::new(), Memory::new(), DedupOptions::default())?;
    /// assert!(store.index().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn index(&self) -> &I {
        &self.shared.index
    }

    /// The store of the chunks.
    ///
    /// ```
    /// # use storehouse_layers::{DedupOptions, DedupStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = DedupStore::new(Memory::new(), Memory::new(), DedupOptions::default())?;
    /// assert!(store.chunks().capabilities().create);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn chunks(&self) -> &C {
        &self.shared.chunks
    }

    /// Removes the chunks that no object has. One collection runs at a time; others wait.
    ///
    /// It may run beside all other operations, and may be dropped and run again. See
    /// [`DedupStore`] for what it leaves alone.
    ///
    /// # Errors
    /// Those of the inner stores, and of a manifest that cannot be read: then nothing is removed,
    /// since its chunks are not known.
    ///
    /// ```
    /// use storehouse_layers::{DedupOptions, DedupStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let store = DedupStore::new(Memory::new(), Memory::new(), DedupOptions::default())?;
    /// let key = Key::new("a")?;
    /// store.put(&key, vec![7; 10_000]).await?;
    /// store.delete(&key).await?;
    /// let collected = store.collect().await?;
    /// assert_eq!((collected.removed, collected.removed_bytes), (1, 10_000));
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn collect(&self) -> Result<Collected> {
        self.shared.collect().await
    }

    /// Begins to collect in the background, if that is wanted.
    fn collects(&self) {
        let Some(every) = self.collector.every else {
            return;
        };
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        self.collector.task.get_or_init(|| {
            let shared = Arc::downgrade(&self.shared);
            let task = async move {
                let mut pause = every;
                loop {
                    tokio::time::sleep(pause).await;
                    let Some(shared) = shared.upgrade() else {
                        return;
                    };
                    let collected = shared.collect().await;
                    pause = match collected {
                        Ok(_) => every,
                        Err(error) if error.is_closed() => return,
                        Err(_) => every / SOONER,
                    };
                }
            };
            runtime.spawn(task).abort_handle()
        });
    }

    fn inner_listing(options: ListOptions) -> ListOptions {
        let inline = options.inline_values.unwrap_or(0).min(MAX_TAIL as u64) + HEADER as u64;
        // Entries that are gone before their header was read do not count, so the index is not told
        // of the limit.
        options.limit(None).inline_values(inline.max(INLINE))
    }
}

impl<I: ObjectStore, C: ObjectStore> Shared<I, C> {
    async fn copy(self: Arc<Self>, from: Key, to: Key, options: CopyOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Copy, Some(&to))?;
        options.check(&from, &to, &self.capabilities)?;
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let get = GetOptions::default().if_match(options.if_match.clone());
            let manifest = self.open(&from, &get).await;
            let mut manifest = manifest.map_err(|error| error.map_operation(Operation::Copy))?;
            let pinned = manifest.pinned.take().map(|pinned| (from.clone(), pinned));
            let kept: Vec<_> = pinned.into_iter().collect();
            if !self.grace.is_zero() {
                self.refresh(Operation::Copy, &kept).await?;
            }
            let etag = manifest.metadata.etag.clone();
            let same = options.clone().if_match(etag.clone());
            // As of a put.
            let same = same.durability(Durability::Durable);
            match self.index.copy_opts(&from, &to, same).await {
                // Of the source, unless that is the same still.
                Err(error) if error.is_precondition() && last.as_ref() != Some(&etag) => {
                    last = Some(etag);
                }
                copied => return copied,
            }
        }
        Err(Error::Backend {
            operation: Operation::Copy,
            key: Some(from),
            class: ErrorClass::Transient,
            message: format!("the object was replaced {ATTEMPTS} times while it was copied"),
            source: None,
        })
    }

    async fn batch(self: Arc<Self>, batch: Batch, point: CommitPoint) -> Result<BatchResult> {
        let _running = self.lifecycle.enter(Operation::Batch, None)?;
        let Some(batches) = self.index.batches() else {
            return Ok(BatchResult::default());
        };
        // Durable, as a put.
        let mut inner = Batch::new();
        let begin = Instant::now();
        let mut kept = Vec::new();
        for op in batch.ops {
            inner = inner.op(match op {
                BatchOp::Put { key, bytes, mode } => {
                    let max = self.capabilities.max_size;
                    let body = SizedBody::new(&key, bytes.into(), &PutOptions::default(), max)?;
                    let (bytes, pins) = self.store(&key, body).await?;
                    kept.push((key.clone(), pins));
                    BatchOp::Put { key, bytes, mode }
                }
                delete => delete,
            });
        }
        if self.is_late(begin) {
            self.refresh(Operation::Batch, &kept).await?;
        }
        point.pass().await;
        let done = batches.batch(inner).await;
        drop(kept);
        done
    }
}

#[deny(clippy::missing_trait_methods)]
impl<I: ObjectStore, C: ObjectStore> ObjectStore for DedupStore<I, C> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.collects();
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached_put(move |point| {
            shared.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.shared.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(head_of(&self.shared.index, key, Operation::Head))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.collects();
        self.shared.index.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.collects();
        self.shared.index.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.shared.index.list(options);
        }
        let (shared, inline_values) = (Arc::clone(&self.shared), options.inline_values);
        let listing = self.shared.index.list(Self::inner_listing(options));
        looked_up(listing, limit, move |entry| {
            entry_of(Arc::clone(&shared), entry, inline_values)
        })
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let limit = options.limit.unwrap_or(usize::MAX);
        if limit == 0 {
            return self.shared.index.list_delimited(options);
        }
        let (shared, inline_values) = (Arc::clone(&self.shared), options.inline_values);
        let listing = self
            .shared
            .index
            .list_delimited(Self::inner_listing(options));
        looked_up(listing, limit, move |item| {
            let shared = Arc::clone(&shared);
            async move {
                match item {
                    Listed::Object(entry) => {
                        let entry = entry_of(shared, entry, inline_values).await?;
                        Ok(entry.map(Listed::Object))
                    }
                    prefix => Ok(Some(prefix)),
                }
            }
        })
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.collects();
        let (shared, from, to) = (Arc::clone(&self.shared), from.clone(), to.clone());
        // To its end: its chunks are pinned for that long.
        Box::pin(crate::parts::detached(async move {
            shared.copy(from, to, options).await
        }))
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
        self.shared.index.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        // It would give a manifest.
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(future::ready(Err(unsupported)))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.check(Operation::Health, None)?;
            self.shared.index.health().await?;
            self.shared.chunks.health().await?;
            let failed = &self.shared.failed;
            let failed = failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.clone().map_or(Ok(()), |failed| Err(failed.health()))
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.shared.index.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.close().await;
            let index = self.shared.index.close().await;
            self.shared.chunks.close().await.and(index)
        })
    }
}

impl<I: ObjectStore, C: ObjectStore> Batches for DedupStore<I, C> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        self.collects();
        let shared = Arc::clone(&self.shared);
        Box::pin(detached_put(move |point| shared.batch(batch, point)))
    }
}
