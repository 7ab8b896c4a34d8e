//! The public type.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Attributes, Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, Durability,
    Entry, Error, EventSender, Events, GetOptions, Key, ListOptions, Metadata, Object,
    ObjectRanges, ObjectStore, Operation, PutOptions, PutResult, Result, SizedBody, fallback,
    methods,
};

use super::core::Core;
use super::engine::Engine;
use super::fault::Fault;
use super::handle::Handle;
use super::inspect::{self, CheckReport, SalvageReport};
use super::listing;
use super::reads;
use super::record::{Record, Version};
use super::writer::{Write, WriteFault, Writer};
use crate::{CommitQueue, QueueOptions, off_thread};

/// How many deletes of a [`delete_many`](ObjectStore::delete_many), and copies of a
/// [`salvage`](RecordStore::salvage), run at a time: they share their syncs.
const AT_ONCE: usize = 256;

/// The most bytes in a batch: keys, values and 64 bytes for each operation.
const MAX_BATCH: u64 = 64 << 20;
const OPERATION: u64 = 64;

/// How long a group waits for writers that were just answered: less than most disks take to sync.
const LINGER: Duration = Duration::from_micros(100);

/// Small records in an embedded database, a directory.
///
/// An [`ObjectStore`] with every put mode, [`Batches`] and inline values in listings, over the
/// [`Engine`] `E`. Clones share the store. When the last clone and the last listing are dropped, it
/// closes in the background; opening the directory again in this process waits for that.
/// [`RecordStore::close`] waits for it.
///
/// Many writers share one sync. A record is held in memory while it is put and when it is read.
/// Each record carries a checksum over its key, value, version and time, which every read checks.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// # let dir = tempfile::tempdir()?;
/// use storehouse_objectstore::{Batch, GetOptions, Key, PutOptions};
/// use storehouse_redb::{Redb, RedbOptions}; // a record store over redb
///
/// let (store, a) = (Redb::open(dir.path(), RedbOptions::default()).await?, Key::new("a")?);
/// store.put_opts(&a, "0123".into(), PutOptions::default()).await?;
/// assert_eq!(store.get_opts(&a, GetOptions::default()).await?.size(), 4);
/// let parts = store.get_ranges_opts(&a, &[(2..4).into()], GetOptions::default()).await?.parts;
/// assert_eq!(parts, ["23"]);
/// store.batch(Batch::new().put(Key::new("b")?, "1")).await?;
/// store.delete(&a).await?;
/// assert!(store.head(&a).await.unwrap_err().is_not_found());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct RecordStore<E: Engine> {
    handle: Arc<Handle<E>>,
    capabilities: Arc<Capabilities>,
    events: EventSender,
}

/// Sizes and counts of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordStats {
    /// The bytes that the files take up on the disk.
    pub disk: u64,
    /// The number of records, or more: an engine may count deletions and replaced values that it
    /// has not cleaned up yet.
    pub records: u64,
    /// The bytes of the engine's caches and buffers in memory, as far as it knows.
    pub memory: u64,
}

impl<E: Engine> Clone for RecordStore<E> {
    fn clone(&self) -> Self {
        let capabilities = Arc::clone(&self.capabilities);
        Self {
            handle: Arc::clone(&self.handle),
            capabilities,
            events: self.events.clone(),
        }
    }
}

impl<E: Engine> fmt::Debug for RecordStore<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RecordStore");
        debug
            .field("engine", &E::NAME)
            .field("path", &self.handle.core.path);
        debug.field("queue", &self.handle.queue).finish()
    }
}

impl<E: Engine> RecordStore<E> {
    /// Opens the store in the directory `path`, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process, or another store of this process, has it open.
    /// [`Error::Config`] if there can be no such directory, an option is out of bounds, or the
    /// directory holds another engine's records. [`Error::Backend`] if the directory holds
    /// something else, or acknowledged writes are missing from it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_objectstore::{Key, ObjectStoreExt};
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// assert!(store.put(&Key::new("a")?, "record").await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn open(path: impl Into<PathBuf>, options: E::Options) -> Result<Self> {
        let path = path.into();
        off_thread(Operation::Open, move || {
            let (core, last) = Core::<E>::open(&path, options)?;
            let mut capabilities = Capabilities::full();
            capabilities.max_size = core.limits.max_size;
            capabilities.max_attributes = Attributes::MAX_SIZE;
            capabilities.events = true;
            let events = EventSender::default();
            let core = Arc::new(core);
            let writer = Writer::new(Arc::clone(&core), last, events.clone());
            let queue = CommitQueue::new(writer, QueueOptions::default().linger(LINGER));
            let handle = Arc::new(Handle { core, queue });
            Ok(Self {
                handle,
                capabilities: Arc::new(capabilities),
                events,
            })
        })
        .await
    }

    /// Commits what waits, closes the files and frees the directory, for all clones. Later
    /// operations fail.
    ///
    /// # Errors
    /// [`Error::Backend`] if a file could not be closed. Nothing acknowledged is lost.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// store.close().await?;
    /// // The directory is free.
    /// assert!(Redb::open(dir.path(), RedbOptions::default()).await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn close(&self) -> Result<()> {
        self.handle.queue.close().await;
        let core = Arc::clone(&self.handle.core);
        let failed = |fault: Fault| fault.into_error(Operation::Open, None);
        let closed = off_thread(Operation::Open, move || core.close().map_err(failed)).await;
        self.events.close();
        closed
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        self.capabilities
            .check_attributes(key, &options.attributes)?;
        let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let bytes = body.gather().await?;
        let op = BatchOp::Put {
            key: key.clone(),
            bytes,
            mode: options.mode,
        };
        let written = self
            .write(
                Operation::Put,
                Some(key),
                Write {
                    ops: vec![op],
                    attributes: options.attributes.to_bytes(),
                    durability: options.durability,
                },
            )
            .await?;
        let etag = written.first().copied().flatten().map(Version::etag);
        let lost =
            || Fault::stopped("the put has no version").into_error(Operation::Put, Some(key));
        etag.map(|etag| PutResult { etag }).ok_or_else(lost)
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let found = self.find(Operation::Get, key, |record| {
            (record.metadata(), Bytes::copy_from_slice(record.value))
        });
        let (metadata, value) = found.await?;
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        // Both ends are at most the length of what is in memory, so they fit.
        let body = value.slice(range.start as usize..range.end as usize);
        Ok(Object {
            metadata,
            range,
            body: body.into(),
        })
    }

    /// See [`ObjectStore::get_ranges_opts`]. The record is read once.
    ///
    /// # Errors
    /// As there.
    pub async fn get_ranges_opts(
        &self,
        key: &Key,
        ranges: &[ByteRange],
        options: GetOptions,
    ) -> Result<ObjectRanges> {
        options.check_no_range(key)?;
        let Object { metadata, body, .. } = self.get_opts(key, options).await?;
        let ranges = fallback::resolve_all(key, ranges, metadata.size)?;
        let whole = body.collect(metadata.size).await?;
        // Both ends are at most the length of what is in memory, so they fit.
        let part = |range: &Range<u64>| whole.slice(range.start as usize..range.end as usize);
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
        self.find(Operation::Head, key, |record| record.metadata())
            .await
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// As there.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        let op = BatchOp::Delete {
            key: key.clone(),
            if_match: None,
        };
        let write = Write {
            ops: vec![op],
            attributes: Vec::new(),
            durability: Durability::Durable,
        };
        self.write(Operation::Delete, Some(key), write)
            .await
            .map(drop)
    }

    /// See [`Batches::batch`]. A batch has at most 64 MiB (keys, values and 64 bytes for each
    /// operation), or as much as the largest record has if that is more.
    ///
    /// # Errors
    /// As there.
    pub async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let max_size = self.capabilities.max_size;
        let mut total = 0;
        for op in &batch.ops {
            let size = if let BatchOp::Put { bytes, .. } = op {
                bytes.len() as u64
            } else {
                0
            };
            let limit = MAX_BATCH.max(max_size + 2048);
            total += size + op.key().as_str().len() as u64 + OPERATION;
            if size > max_size || total > limit {
                let limit = if size > max_size { max_size } else { limit };
                return Err(Error::TooLarge {
                    key: op.key().clone(),
                    limit,
                });
            }
        }
        if batch.ops.is_empty() {
            return Ok(BatchResult::default());
        }
        let written = self
            .write(
                Operation::Batch,
                None,
                Write {
                    ops: batch.ops,
                    attributes: Vec::new(),
                    durability: batch.durability,
                },
            )
            .await?;
        Ok(BatchResult {
            etags: written.into_iter().map(|v| v.map(Version::etag)).collect(),
        })
    }

    /// Reads everything and says what is damaged. Other operations go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Backend`] if the files cannot be read at all.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_objectstore::{Key, ObjectStoreExt};
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// store.put(&Key::new("a")?, "record").await?;
    /// let report = store.check().await?;
    /// assert!(report.is_sound() && report.records == 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn check(&self) -> Result<CheckReport> {
        let core = Arc::clone(&self.handle.core);
        off_thread(Operation::Health, move || inspect::check(&core)).await
    }

    /// Rewrites the files, so that what was deleted or replaced takes up no room. Until it is done
    /// that takes as much room again. Reads go on meanwhile. The store does this by itself once a
    /// quarter of its records was deleted.
    ///
    /// # Errors
    /// [`Error::Backend`] if files are damaged or the disk is full. Nothing is lost.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// assert!(store.compact().await.is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn compact(&self) -> Result<()> {
        let core = Arc::clone(&self.handle.core);
        let failed = |fault: Fault| fault.into_error(Operation::Health, None);
        off_thread(Operation::Health, move || core.compact().map_err(failed)).await
    }

    /// Copies all records that can be read into `to`, with their attributes if it keeps them, and
    /// says which cannot be. Records that are put or deleted meanwhile may or may not be copied.
    ///
    /// # Errors
    /// What `to` answers to a put; [`Error::Backend`] if nothing can be read at all.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// store.put(&Key::new("a")?, "record").await?;
    /// let copy = Memory::new();
    /// let report = store.salvage(&copy).await?;
    /// assert_eq!((report.copied, report.unreadable.len()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn salvage(&self, to: &dyn ObjectStore) -> Result<SalvageReport> {
        let (sender, receiver) = tokio::sync::mpsc::channel(AT_ONCE);
        let core = Arc::clone(&self.handle.core);
        let walking = off_thread(Operation::Health, move || {
            let mut damaged = Vec::new();
            let unreadable = inspect::walk(&core, &mut |key, value| {
                let Some(value) = value else {
                    damaged.push(key);
                    return std::ops::ControlFlow::Continue(());
                };
                match sender.blocking_send((key, value)) {
                    Ok(()) => std::ops::ControlFlow::Continue(()),
                    // The copying has failed and says why.
                    Err(_) => std::ops::ControlFlow::Break(()),
                }
            })?;
            Ok((damaged, unreadable))
        });
        let records = stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|record| (record, receiver))
        });
        let copying = records
            .map(|(key, (value, attributes))| async move {
                // Bytes without attributes are worth more than neither.
                let kept = to.capabilities().check_attributes(&key, &attributes);
                let attributes = kept.map_or_else(|_| Attributes::default(), |()| attributes);
                let options = PutOptions::default().attributes(attributes);
                to.put_opts(&key, value.into(), options).await
            })
            .buffer_unordered(AT_ONCE)
            .try_fold(0, |copied, _| async move { Ok(copied + 1) });
        let (walked, copied) = futures_util::future::join(walking, copying).await;
        let copied = copied?;
        let (damaged, unreadable) = walked?;
        Ok(SalvageReport {
            copied,
            damaged,
            unreadable,
        })
    }

    /// Sizes and counts, for metrics.
    ///
    /// # Errors
    /// [`Error::Backend`] if they cannot be read.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir()?;
    /// use storehouse_redb::{Redb, RedbOptions};
    ///
    /// let store = Redb::open(dir.path(), RedbOptions::default()).await?;
    /// assert!(store.stats().await?.disk > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # }).unwrap();
    /// ```
    pub async fn stats(&self) -> Result<RecordStats> {
        let core = Arc::clone(&self.handle.core);
        let failed = |fault: Fault| fault.into_error(Operation::Health, None);
        off_thread(Operation::Health, move || {
            let stats = core.with_retry(|engine| engine.stats()).map_err(failed)?;
            Ok(RecordStats {
                disk: stats.disk,
                records: stats.records,
                memory: stats.memory,
            })
        })
        .await
    }

    async fn write(
        &self,
        operation: Operation,
        key: Option<&Key>,
        write: Write,
    ) -> Result<Vec<Option<Version>>> {
        let size = |op: &BatchOp| match op {
            BatchOp::Put { key, bytes, .. } => key.as_str().len() + bytes.len(),
            BatchOp::Delete { key, .. } => key.as_str().len(),
        };
        let bytes = write.ops.iter().map(size).sum::<usize>() + write.attributes.len();
        match self.handle.queue.submit(write, bytes).await {
            Ok(Ok(versions)) => Ok(versions),
            Ok(Err(WriteFault::Refused(error))) => Err(error),
            Ok(Err(WriteFault::Failed(fault))) => Err(fault.into_error(operation, key)),
            Err(unanswered) => Err(unanswered.into_error(operation, key)),
        }
    }

    /// Reads what `take` takes of the record of a key.
    async fn find<T: Send + 'static>(
        &self,
        operation: Operation,
        key: &Key,
        take: impl Fn(Record<'_>) -> T + Copy + Send + 'static,
    ) -> Result<T> {
        let find = move |_: &Core<E>, engine: &E, key: &Key| {
            let key = key.as_str().as_bytes();
            let found = engine.get(key, |bytes| Record::decode(key, bytes).map(take));
            found.and_then(Option::transpose)
        };
        let found = reads::read(&self.handle.core, key, Clone::clone, find, find).await;
        found
            .map_err(|fault| fault.into_error(operation, Some(key)))?
            .ok_or_else(|| Error::not_found(operation, key))
    }
}

#[deny(clippy::missing_trait_methods)]
impl<E: Engine> ObjectStore for RecordStore<E> {
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
        let delete = move |key: Key| async move { self.delete(&key).await.map(|()| key) };
        keys.map(delete).buffer_unordered(AT_ONCE).boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        listing::list(Arc::clone(&self.handle), options)
    }

    methods!(fallback => list_delimited, copy_opts);

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(self.get_ranges_opts(key, ranges, options))
    }

    fn events(&self) -> Option<Events> {
        let closed = matches!(self.handle.core.trouble(), Some(Fault::Closed));
        Some(if closed {
            Events::ended()
        } else {
            self.events.subscribe()
        })
    }

    methods!(none => presign);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        let core = Arc::clone(&self.handle.core);
        // The engine is asked, which may wait for a write.
        Box::pin(off_thread(Operation::Health, move || {
            let trouble = core.trouble();
            trouble.map_or(Ok(()), |fault| {
                Err(fault.into_error(Operation::Health, None))
            })
        }))
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

impl<E: Engine> Batches for RecordStore<E> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(self.batch(batch))
    }
}
