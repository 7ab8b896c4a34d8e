//! The store and its trait.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, future};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, BoxError, ByteRange, Capabilities, CopyOptions,
    Entry, Error, ErrorClass, Events, GetOptions, Key, ListOptions, Listed, Metadata, Object,
    ObjectRanges, ObjectStore, Operation, PresignOptions, PresignedRequest, PutOptions, PutResult,
    Result, SizedBody, fallback,
};

use super::options::CompleteOptions;
use super::records::Records;

/// How often a copy begins anew because its source was replaced in between.
const ATTEMPTS: usize = 16;

/// How many records of a listing are judged at once.
const AT_ONCE: usize = 16;

/// Records of at most this size, in bytes, are worth reading with a listing.
const INLINE: u64 = 16 * 1024;

/// A store of records that are there only if the objects that they name are.
///
/// ```
/// use storehouse_layers::CompleteStore;
/// use storehouse_objectstore::{Key, Memory, ObjectStore, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (records, objects) = (Memory::new(), Memory::new());
/// // A record has the key of an object on each line.
/// let store = CompleteStore::new(records, objects.clone(), |record| {
///     let lines = std::str::from_utf8(record)?.lines();
///     Ok(lines.map(Key::new).collect::<Result<_, _>>()?)
/// });
/// let record = Key::new("build-1")?;
/// store.put(&record, "a.o\nb.o").await?;
/// objects.put(&Key::new("a.o")?, "object code").await?;
/// assert!(!store.exists(&record).await?);
/// objects.put(&Key::new("b.o")?, "object code").await?;
/// assert!(store.exists(&record).await?);
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct CompleteStore<R, O> {
    shared: Arc<Records<R, O>>,
    capabilities: Capabilities,
}

impl<R, O> Clone for CompleteStore<R, O> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            capabilities: self.capabilities.clone(),
        }
    }
}

impl<R: fmt::Debug, O: fmt::Debug> fmt::Debug for CompleteStore<R, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CompleteStore").field(&self.shared).finish()
    }
}

impl<R: ObjectStore, O: ObjectStore> CompleteStore<R, O> {
    /// `records`, in which `find` finds the keys of `objects`, with the default
    /// [`CompleteOptions`]. The same record must name the same objects every time; an error of
    /// `find` is one of the operation, of the class [`Fatal`](ErrorClass::Fatal). `find` runs on
    /// the thread that reads the record.
    pub fn new(
        records: R,
        objects: O,
        find: impl Fn(&[u8]) -> Result<Vec<Key>, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self::with_options(records, objects, find, CompleteOptions::default())
    }

    /// As [`new`](Self::new), with these options.
    ///
    /// ```
    /// use storehouse_layers::{CompleteOptions, CompleteStore};
    /// use storehouse_objectstore::{Memory, ObjectStore};
    ///
    /// let options = CompleteOptions::default().max_record(4096);
    /// let none = |_: &[u8]| Ok(Vec::new());
    /// let store = CompleteStore::with_options(Memory::new(), Memory::new(), none, options);
    /// assert_eq!(store.capabilities().max_size, 4096);
    /// ```
    pub fn with_options(
        records: R,
        objects: O,
        find: impl Fn(&[u8]) -> Result<Vec<Key>, BoxError> + Send + Sync + 'static,
        options: CompleteOptions,
    ) -> Self {
        let under = records.capabilities();
        let capabilities = under
            .clone()
            .with_presign(false)
            .with_remote(under.remote || objects.capabilities().remote)
            .with_max_size(under.max_size.min(options.max_record));
        Self {
            shared: Arc::new(Records {
                records,
                objects,
                find: Arc::new(find),
                options,
            }),
            capabilities,
        }
    }

    /// The store of the records, complete or not.
    ///
    /// ```
    /// # use storehouse_layers::CompleteStore;
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = CompleteStore::new(Memory::new(), Memory::new(), |_| Ok(Vec::new()));
    /// assert!(store.records().capabilities().create);
    /// ```
    #[must_use]
    pub fn records(&self) -> &R {
        &self.shared.records
    }

    /// The store of the objects that records name.
    ///
    /// ```
    /// # use storehouse_layers::CompleteStore;
    /// # use storehouse_objectstore::{Memory, ObjectStore};
    /// let store = CompleteStore::new(Memory::new(), Memory::new(), |_| Ok(Vec::new()));
    /// assert!(store.objects().capabilities().create);
    /// ```
    #[must_use]
    pub fn objects(&self) -> &O {
        &self.shared.objects
    }

    async fn get(&self, key: &Key, options: GetOptions) -> Result<Object> {
        let (metadata, bytes) = self.shared.read(Operation::Get, key).await?;
        options.check_conditions(key, &metadata.etag)?;
        let range = options.resolve_range(key, metadata.size)?;
        // The record lies in memory.
        let body = bytes.slice(range.start as usize..range.end as usize);
        Ok(Object {
            metadata,
            range,
            body: body.into(),
        })
    }

    async fn get_ranges(
        &self,
        key: &Key,
        ranges: &[ByteRange],
        options: GetOptions,
    ) -> Result<ObjectRanges> {
        options.check_no_range(key)?;
        let (metadata, bytes) = self.shared.read(Operation::Get, key).await?;
        options.check_conditions(key, &metadata.etag)?;
        let resolved = fallback::resolve_all(key, ranges, metadata.size)?;
        let part = |range: &std::ops::Range<u64>| -> Bytes {
            bytes.slice(range.start as usize..range.end as usize)
        };
        Ok(ObjectRanges {
            parts: resolved.iter().map(part).collect(),
            metadata,
        })
    }

    async fn copy(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<PutResult> {
        options.check(from, to, &self.capabilities)?;
        for _ in 0..ATTEMPTS {
            let (source, _) = self.shared.read(Operation::Copy, from).await?;
            options.check_source(from, &source.etag)?;
            let copy = options.clone().if_match(source.etag.clone());
            match self.shared.records.copy_opts(from, to, copy).await {
                Err(error) if error.is_precondition() || error.is_not_found() => {
                    let now = self.shared.records.head(from).await;
                    if now.is_ok_and(|now| now.etag == source.etag) {
                        // So it is about the target.
                        return Err(error);
                    }
                }
                copied => return copied,
            }
        }
        Err(Error::Backend {
            operation: Operation::Copy,
            key: Some(from.clone()),
            class: ErrorClass::Transient,
            message: format!("the record was replaced {ATTEMPTS} times while it was copied"),
            source: None,
        })
    }
}

/// The complete records.
fn list<R: ObjectStore, O: ObjectStore>(
    shared: &Arc<Records<R, O>>,
    options: ListOptions,
) -> BoxStream<'static, Result<Entry>> {
    let limit = options.limit.unwrap_or(usize::MAX);
    if limit == 0 {
        return shared.records.list(options);
    }
    let inline_values = options.inline_values;
    // Records that are left out do not count.
    let all = options
        .limit(None)
        .inline_values(inline_values.unwrap_or(0).max(INLINE));
    let entries = shared.records.list(all);
    let shared = Arc::clone(shared);
    entries
        .map(move |entry| {
            let shared = Arc::clone(&shared);
            async move { shared.entry(entry?, inline_values).await }
        })
        .buffered(AT_ONCE.min(limit))
        .filter_map(|entry| future::ready(entry.transpose()))
        .take(limit)
        .boxed()
}

#[deny(clippy::missing_trait_methods)]
impl<R: ObjectStore, O: ObjectStore> ObjectStore for CompleteStore<R, O> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let max = self.capabilities.max_size;
        match SizedBody::declared_size(key, &body, &options, max) {
            Ok(_) => self.shared.records.put_opts(key, body, options),
            Err(error) => Box::pin(future::ready(Err(error))),
        }
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.get(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            let (metadata, _) = self.shared.read(Operation::Head, key).await?;
            Ok(metadata)
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.shared.records.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.shared.records.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        if self.shared.options.filter_lists {
            list(&self.shared, options)
        } else {
            self.shared.records.list(options)
        }
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        if !self.shared.options.filter_lists {
            return self.shared.records.list_delimited(options);
        }
        let shared = Arc::clone(&self.shared);
        // A folder without a complete record is none.
        fallback::list_delimited(
            &self.capabilities,
            move |options| list(&shared, options),
            options,
        )
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.copy(from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(self.get_ranges(key, ranges, options))
    }

    fn events(&self) -> Option<Events> {
        self.shared.records.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        _: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let unsupported = fallback::unsupported(Operation::Presign, key, "presigned requests");
        Box::pin(future::ready(Err(unsupported)))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            self.shared.records.health().await?;
            self.shared.objects.health().await
        })
    }

    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.shared.records.batches().map(|_| self as &dyn Batches)
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            // Both, also if one fails.
            let records = self.shared.records.close().await;
            let objects = self.shared.objects.close().await;
            records.and(objects)
        })
    }
}

impl<R: ObjectStore, O: ObjectStore> Batches for CompleteStore<R, O> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        let limit = self.capabilities.max_size;
        let too_large = batch.ops.iter().find_map(|op| match op {
            BatchOp::Put { key, bytes, .. } if bytes.len() as u64 > limit => Some(key.clone()),
            _ => None,
        });
        match (too_large, self.shared.records.batches()) {
            (Some(key), _) => Box::pin(future::ready(Err(Error::TooLarge { key, limit }))),
            (None, Some(batches)) => batches.batch(batch),
            (None, None) => Box::pin(future::ready(Ok(BatchResult::default()))),
        }
    }
}
