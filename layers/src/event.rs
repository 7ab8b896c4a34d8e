//! Events for stores that have none.
//!
//! | operation | requests of the inner store | memory |
//! |---|---|---|
//! | put, copy, delete, batch | the same; the event follows once the change is durable, events of one key in the order of the changes | events that a slow listener has not read, at most [`EventOptions::capacity`] |
//! | delete_many | a delete for each key, 16 at once | |
//! | the others | the same | |
//!
//! A crash loses no acknowledged write, only events that were not read. There are events for
//! changes made through this store and its clones, but not for those of other processes or of
//! clients with a presigned request. A write that fails with
//! [`Backend`](storehouse_objectstore::Error::Backend) may have happened, and makes no event.

use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, Capabilities, CopyOptions, Entry,
    EventSender, Events, GetOptions, Key, Lifecycle, ListOptions, Listed, Metadata, Object,
    ObjectRanges, ObjectStore, Operation, PresignOptions, PresignedRequest, PutOptions, PutResult,
    Result, SizedBody,
};

use crate::parts::{CommitPoint, KeyGuard, KeyLocks, detached, detached_put, gated};

/// How many deletes of [`ObjectStore::delete_many`] run at once.
const DELETES: usize = 16;

/// Options of an [`EventStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventOptions {
    /// The events held for the slowest listener; at least 1. 1,024 by default. What is more is
    /// dropped, and the listener told how much.
    pub capacity: usize,
}

impl Default for EventOptions {
    fn default() -> Self {
        Self {
            capacity: EventSender::DEFAULT_CAPACITY,
        }
    }
}

impl EventOptions {
    /// With this number of events held.
    ///
    /// ```
    /// # use storehouse_layers::EventOptions;
    /// assert_eq!(EventOptions::default().capacity(16).capacity, 16);
    /// ```
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events;
        self
    }
}

/// A store that tells what is changed through it. Clones share their listeners.
///
/// ```
/// use futures_util::StreamExt;
/// use storehouse_layers::{EventOptions, EventStore};
/// use storehouse_objectstore::{Event, Key, Memory, ObjectStore, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store = EventStore::new(Memory::new(), EventOptions::default());
/// let mut events = store.events().expect("it has some");
/// let key = Key::new("a")?;
/// let etag = store.put(&key, "content").await?.etag;
/// store.delete(&key).await?;
/// assert_eq!(events.next().await, Some(Event::Put { key: key.clone(), etag }));
/// assert_eq!(events.next().await, Some(Event::Deleted { key }));
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct EventStore<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for EventStore<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

#[derive(Debug)]
struct Shared<S> {
    inner: S,
    capabilities: Capabilities,
    sender: EventSender,
    /// Held from before a change is made until it is told.
    locks: KeyLocks,
    lifecycle: Lifecycle,
}

impl<S: ObjectStore> EventStore<S> {
    /// `inner`, with events.
    pub fn new(inner: S, options: EventOptions) -> Self {
        let capabilities = inner.capabilities().clone().with_events(true);
        Self {
            shared: Arc::new(Shared {
                inner,
                capabilities,
                sender: EventSender::with_capacity(options.capacity),
                locks: KeyLocks::default(),
                lifecycle: Lifecycle::default(),
            }),
        }
    }

    /// The store whose changes are told.
    ///
    /// ```
    /// # use storehouse_layers::{EventOptions, EventStore};
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = EventStore::new(Memory::new(), EventOptions::default());
    /// assert!(store.inner().capabilities().create);
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.shared.inner
    }
}

impl<S: ObjectStore> Shared<S> {
    async fn put(
        self: Arc<Self>,
        key: Key,
        body: Body,
        options: PutOptions,
        point: CommitPoint,
    ) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Put, Some(&key))?;
        let body = SizedBody::new(&key, body, &options, self.capabilities.max_size)?;
        let lock: Arc<Mutex<Option<KeyGuard>>> = Arc::default();
        let ready = {
            let (this, key, lock) = (Arc::clone(&self), key.clone(), Arc::clone(&lock));
            move || async move {
                let guard = this.locks.lock(&key).await;
                point.pass().await;
                *lock.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
                Ok(())
            }
        };
        let body = match body.as_bytes().cloned() {
            Some(bytes) => {
                ready().await?;
                bytes.into()
            }
            None => gated(body, ready),
        };
        let put = self.inner.put_opts(&key, body, options).await?;
        self.sender.put(&key, &put.etag);
        drop(lock);
        Ok(put)
    }

    async fn delete(&self, key: &Key) -> Result<()> {
        let _running = self.lifecycle.enter(Operation::Delete, Some(key))?;
        let _lock = self.locks.lock(key).await;
        self.inner.delete(key).await?;
        self.sender.deleted(key);
        Ok(())
    }

    async fn copy(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
        let _running = self.lifecycle.enter(Operation::Copy, Some(from))?;
        let _locks = self.locks.lock_all([from, to]).await;
        let removes = options.remove_source;
        let put = self.inner.copy_opts(from, to, options).await?;
        self.sender.put(to, &put.etag);
        if removes {
            self.sender.deleted(from);
        }
        Ok(put)
    }

    async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let _running = self.lifecycle.enter(Operation::Batch, None)?;
        let Some(batches) = self.inner.batches() else {
            return Ok(BatchResult::default());
        };
        let keys: Vec<_> = batch.ops.iter().map(|op| op.key().clone()).collect();
        let _locks = self.locks.lock_all(&keys).await;
        let deletes: Vec<_> = batch
            .ops
            .iter()
            .map(|op| matches!(op, BatchOp::Delete { .. }))
            .collect();
        let result = batches.batch(batch).await?;
        for ((key, delete), etag) in keys.iter().zip(deletes).zip(&result.etags) {
            match etag {
                _ if delete => self.sender.deleted(key),
                Some(etag) => self.sender.put(key, etag),
                None => {}
            }
        }
        Ok(result)
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for EventStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached_put(move |point| {
            shared.put(key, body, options, point)
        }))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        self.shared.inner.get_opts(key, options)
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        self.shared.inner.head(key)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let (shared, key) = (Arc::clone(&self.shared), key.clone());
        Box::pin(detached(async move { shared.delete(&key).await }))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        keys.map(move |key| async move {
            self.delete(&key).await?;
            Ok(key)
        })
        .buffer_unordered(DELETES)
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.shared.inner.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.shared.inner.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let (shared, from, to) = (Arc::clone(&self.shared), from.clone(), to.clone());
        Box::pin(detached(
            async move { shared.copy(&from, &to, options).await },
        ))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        self.shared.inner.get_ranges_opts(key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        if self.shared.lifecycle.is_closed() {
            return Some(Events::ended());
        }
        Some(self.shared.sender.subscribe())
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        self.shared.inner.presign(key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.shared.inner.health()
    }

    fn capabilities(&self) -> &Capabilities {
        &self.shared.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.shared.inner.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.lifecycle.close().await;
            self.shared.sender.close();
            self.shared.inner.close().await
        })
    }
}

impl<S: ObjectStore> Batches for EventStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(detached(async move { shared.batch(batch).await }))
    }
}
