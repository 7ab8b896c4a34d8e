//! The store.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PutOptions, PutResult,
    Result, fallback, methods,
};

use super::bucket::{Bucket, take};
use super::options::ThrottleOptions;

/// The most bytes of one turn.
const TURN: usize = 64 * 1024;

/// How many entries of a listing are one operation: a page of S3's.
const PAGE: u64 = 1000;

/// A store that is only so fast.
///
/// Clones share the rates. It needs a Tokio runtime with time enabled.
///
/// ```
/// use storehouse_layers::{ThrottleOptions, ThrottleStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let options = ThrottleOptions::default().write_bytes(1 << 20).read_operations(100);
/// let store = ThrottleStore::new(Memory::new(), options);
/// store.put(&Key::new("a")?, "content").await?;
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct ThrottleStore<S> {
    inner: S,
    reads: Rates,
    writes: Rates,
}

/// The rates of one direction.
#[derive(Clone, Debug)]
struct Rates {
    bytes: Option<Arc<Bucket>>,
    operations: Option<Arc<Bucket>>,
}

impl Rates {
    async fn operations(&self, number: u64) {
        take(self.operations.as_ref(), number).await;
    }

    /// `body`, as fast as may be.
    fn throttled(&self, body: Body) -> Body {
        let Some(bucket) = self.bytes.clone() else {
            return body;
        };
        let size = body.size();
        let state = (body, Bytes::new(), bucket);
        let pieces = stream::try_unfold(state, |(mut body, mut left, bucket)| async move {
            while left.is_empty() {
                match body.next().await.transpose()? {
                    Some(piece) => left = piece,
                    None => return Ok::<_, storehouse_objectstore::Error>(None),
                }
            }
            let piece = left.split_to(left.len().min(TURN));
            bucket.take(piece.len() as u64).await;
            Ok(Some((piece, (body, left, bucket))))
        });
        let body = Body::from_stream(pieces);
        size.into_iter().fold(body, Body::with_size)
    }
}

impl<S: ObjectStore> ThrottleStore<S> {
    /// `inner`, at these rates.
    pub fn new(inner: S, options: ThrottleOptions) -> Self {
        let rates = |bytes, operations| Rates {
            bytes: Bucket::new(bytes, options.burst),
            operations: Bucket::new(operations, options.burst),
        };
        Self {
            inner,
            reads: rates(options.read_bytes, options.read_operations),
            writes: rates(options.write_bytes, options.write_operations),
        }
    }

    /// A listing of which each page is a read.
    fn paged<T: Send + 'static>(
        &self,
        items: BoxStream<'static, Result<T>>,
    ) -> BoxStream<'static, Result<T>> {
        let Some(bucket) = self.reads.operations.clone() else {
            return items;
        };
        let state = (items, bucket, 0_u64);
        let items = stream::unfold(state, |(mut items, bucket, given)| async move {
            if given.is_multiple_of(PAGE) {
                bucket.take(1).await;
            }
            let item = items.next().await?;
            Some((item, (items, bucket, given + 1)))
        });
        items.boxed()
    }

    /// The store that is throttled.
    ///
    /// ```
    /// use storehouse_layers::{ThrottleOptions, ThrottleStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let options = ThrottleOptions::default().write_bytes(1);
    /// let (store, key) = (ThrottleStore::new(Memory::new(), options), Key::new("a")?);
    /// store.inner().put(&key, "content").await?; // at once, not in 7 seconds
    /// assert_eq!(store.get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ThrottleStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            self.writes.operations(1).await;
            let body = match body.as_bytes().map(Bytes::len) {
                Some(len) if len <= TURN => {
                    take(self.writes.bytes.as_ref(), len as u64).await;
                    body
                }
                _ => self.writes.throttled(body),
            };
            self.inner.put_opts(key, body, options).await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            self.reads.operations(1).await;
            let object = self.inner.get_opts(key, options).await?;
            let body = match object.body.as_bytes().map(Bytes::len) {
                Some(len) if len <= TURN => {
                    take(self.reads.bytes.as_ref(), len as u64).await;
                    object.body
                }
                _ => self.reads.throttled(object.body),
            };
            Ok(Object { body, ..object })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move {
            self.reads.operations(1).await;
            self.inner.head(key).await
        })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            self.writes.operations(1).await;
            self.inner.delete(key).await
        })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        if self.writes.operations.is_none() {
            return self.inner.delete_many(keys);
        }
        let keys = keys.then(move |key| async move {
            self.writes.operations(1).await;
            key
        });
        self.inner.delete_many(keys.boxed())
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.paged(self.inner.list(options))
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.paged(self.inner.list_delimited(options))
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // The bytes pass through here or not at all.
        if !self.capabilities().native_copy && !options.remove_source {
            return Box::pin(fallback::copy(self, from, to, options));
        }
        Box::pin(async move {
            self.writes.operations(1).await;
            self.inner.copy_opts(from, to, options).await
        })
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(async move {
            self.reads.operations(1).await;
            let got = self.inner.get_ranges_opts(key, ranges, options).await?;
            let bytes = got.parts.iter().map(|part| part.len() as u64).sum();
            take(self.reads.bytes.as_ref(), bytes).await;
            Ok(got)
        })
    }

    methods!(inner => events, presign, health, capabilities, close);

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for ThrottleStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                // Unreachable: `batches` gives `None` too.
                return Ok(BatchResult::default());
            };
            let bytes = batch.ops.iter().map(|op| match op {
                BatchOp::Put { bytes, .. } => bytes.len() as u64,
                BatchOp::Delete { .. } => 0,
            });
            self.writes.operations(batch.ops.len() as u64).await;
            take(self.writes.bytes.as_ref(), bytes.sum()).await;
            batches.batch(batch).await
        })
    }
}
