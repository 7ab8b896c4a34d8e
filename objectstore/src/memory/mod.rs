//! The memory backend: a sorted map behind a lock.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use crate::{
    Batch, BatchOp, BatchResult, Batches, Body, Capabilities, ETag, Entry, Error, GetOptions, Key,
    ListOptions, Metadata, Object, ObjectStore, Operation, PutOptions, PutResult, Result,
    SizedBody,
};

/// How many entries a listing takes from the map at a time: the lock is held for that long and no
/// longer.
const PAGE: usize = 1000;

/// Objects in memory, gone with the last clone of the store. Clones share their objects.
///
/// Bodies in one piece are shared, not copied, in both directions. Listing sees puts and deletes
/// that happen while it runs.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
    capabilities: Capabilities,
}

#[derive(Debug, Default)]
struct Shared {
    state: RwLock<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<Key, Stored>,
    /// Counts puts, so that every version has a tag of its own.
    version: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State")
            .field("objects", &self.objects.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn etag(&self, key: &Key) -> Option<&ETag> {
        self.objects.get(key).map(|stored| &stored.etag)
    }

    fn insert(&mut self, key: Key, bytes: Bytes) -> ETag {
        let stored = Stored::new(&mut self.version, bytes);
        let etag = stored.etag.clone();
        self.objects.insert(key, stored);
        etag
    }
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    etag: ETag,
    modified: SystemTime,
}

impl Stored {
    /// The next version, with a tag of its own.
    fn new(version: &mut u64, bytes: Bytes) -> Self {
        *version += 1;
        Self {
            bytes,
            etag: ETag::new(format!("{version:x}")),
            modified: SystemTime::now(),
        }
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            size: self.bytes.len() as u64,
            etag: self.etag.clone(),
            last_modified: Some(self.modified),
        }
    }
}

impl Shared {
    // Nothing panics while it holds the lock, and the map is whole between any two statements:
    // poison says nothing here.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self, operation: Operation, key: &Key) -> Result<Stored> {
        self.read()
            .objects
            .get(key)
            .cloned()
            .ok_or_else(|| Error::not_found(operation, key))
    }

    fn page(&self, options: &ListOptions, after: Option<&Key>, limit: usize) -> Vec<Entry> {
        // A prefix may be no key, so the bounds are texts, which order as keys do.
        let start = match after {
            Some(after) if after.as_str() >= options.prefix.as_str() => {
                Bound::Excluded(after.as_str())
            }
            _ => Bound::Included(options.prefix.as_str()),
        };
        self.read()
            .objects
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(&options.prefix))
            .take(limit)
            .map(|(key, stored)| {
                let value = options
                    .inline_values
                    .filter(|most| stored.bytes.len() as u64 <= *most)
                    .map(|_| stored.bytes.clone());
                Entry {
                    key: key.clone(),
                    metadata: stored.metadata(),
                    value,
                }
            })
            .collect()
    }
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
            shared: Arc::default(),
            capabilities: Capabilities::full(),
        }
    }

    /// See [`ObjectStore::put_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn put_opts(&self, key: &Key, body: Body, options: PutOptions) -> Result<PutResult> {
        let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let bytes = body.gather().await?;
        let mut state = self.shared.write();
        options.mode.check(key, state.etag(key))?;
        Ok(PutResult {
            etag: state.insert(key.clone(), bytes),
        })
    }

    /// See [`ObjectStore::get_opts`].
    ///
    /// # Errors
    /// As there.
    pub async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let stored = self.shared.stored(Operation::Get, key)?;
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

    /// See [`ObjectStore::head`].
    ///
    /// # Errors
    /// As there.
    pub async fn head(&self, key: &Key) -> Result<Metadata> {
        self.shared
            .stored(Operation::Head, key)
            .map(|stored| stored.metadata())
    }

    /// See [`ObjectStore::delete`].
    ///
    /// # Errors
    /// None.
    pub async fn delete(&self, key: &Key) -> Result<()> {
        self.shared.write().objects.remove(key);
        Ok(())
    }

    /// See [`Batches::batch`].
    ///
    /// # Errors
    /// As there.
    pub async fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let mut state = self.shared.write();
        let State { objects, version } = &mut *state;
        // What the batch changes, and only once all of its conditions hold, the map.
        let mut changes: BTreeMap<Key, Option<Stored>> = BTreeMap::new();
        let mut etags = Vec::with_capacity(batch.ops.len());
        for op in batch.ops {
            let there = changes
                .get(op.key())
                .map_or_else(|| objects.get(op.key()), Option::as_ref);
            op.check_condition(there.map(|stored| &stored.etag))?;
            let (key, change) = match op {
                BatchOp::Put { key, bytes, .. } => (key, Some(Stored::new(version, bytes))),
                BatchOp::Delete { key, .. } => (key, None),
            };
            etags.push(change.as_ref().map(|stored| stored.etag.clone()));
            changes.insert(key, change);
        }
        for (key, change) in changes {
            match change {
                Some(stored) => objects.insert(key, stored),
                None => objects.remove(&key),
            };
        }
        Ok(BatchResult { etags })
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
            self.shared.write().objects.remove(&key);
            Ok(key)
        })
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let shared = Arc::clone(&self.shared);
        let left = options.limit.unwrap_or(usize::MAX);
        let after = options.start_after.clone();
        stream::unfold((options, after, left), move |(options, after, left)| {
            let page = shared.page(&options, after.as_ref(), left.min(PAGE));
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

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        Some(self)
    }
}

impl Batches for Memory {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(self.batch(batch))
    }
}
