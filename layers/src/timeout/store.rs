//! The store.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, Error, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, Operation, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result, fallback, methods,
};

use super::options::TimeoutOptions;
use super::silence::{Feed, Silence};

/// The largest body in memory that is given to the inner store as such, in bytes: a larger one
/// shows by its pieces that it moves.
const ONE_PIECE: usize = 1024 * 1024;

/// A store whose operations fail when they are silent for too long.
///
/// Put it below a [`RetryStore`](crate::RetryStore). It needs a Tokio runtime with time enabled.
///
/// ```
/// use std::time::Duration;
/// use storehouse_layers::{Fault, FaultStore, TimeoutOptions, TimeoutStore};
/// use storehouse_objectstore::{Key, Memory, ObjectStore};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let silent = FaultStore::new(Memory::new());
/// silent.faults().add(Fault::delay(Duration::MAX));
/// let options = TimeoutOptions::default().operation(Duration::from_millis(10));
/// let store = TimeoutStore::with_options(silent, options);
/// assert!(store.head(&Key::new("a")?).await.unwrap_err().is_transient());
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TimeoutStore<S> {
    inner: S,
    options: TimeoutOptions,
}

impl<S: ObjectStore> TimeoutStore<S> {
    /// `inner`, with the default [`TimeoutOptions`].
    pub fn new(inner: S) -> Self {
        Self::with_options(inner, TimeoutOptions::default())
    }

    /// `inner`, with these options.
    ///
    /// ```
    /// use storehouse_layers::{TimeoutOptions, TimeoutStore};
    /// use storehouse_objectstore::Memory;
    ///
    /// let store = TimeoutStore::with_options(Memory::new(), TimeoutOptions::default());
    /// # assert!(format!("{store:?}").contains("stall: 30s"));
    /// ```
    pub fn with_options(inner: S, options: TimeoutOptions) -> Self {
        Self { inner, options }
    }

    /// The store that is timed.
    ///
    /// ```
    /// use std::time::Duration;
    /// use storehouse_layers::{Fault, FaultStore, TimeoutOptions, TimeoutStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let options = TimeoutOptions::default().operation(Duration::from_millis(10));
    /// let store = TimeoutStore::with_options(FaultStore::new(Memory::new()), options);
    /// store.inner().faults().add(Fault::delay(Duration::MAX));
    /// assert!(store.exists(&Key::new("a")?).await.unwrap_err().is_transient());
    /// assert_eq!(store.inner().faults().happened(), 1);
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    async fn answer<T>(
        &self,
        operation: Operation,
        key: Option<&Key>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let limit = match operation {
            Operation::Health => self.options.health,
            _ => self.options.operation,
        };
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer,
            Err(_) => Err(silent(operation, key, limit)),
        }
    }
}

fn silent(operation: Operation, key: Option<&Key>, limit: Duration) -> Error {
    let message = format!("no answer within {limit:?}");
    Error::io(operation, key, message, io::ErrorKind::TimedOut.into())
}

/// What an operation gives, and an error once it gives nothing for the limit while it is polled.
fn timed<T: Send + 'static>(
    items: impl Stream<Item = Result<T>> + Send + Unpin,
    feed: Option<Feed>,
    limits: (Duration, Duration),
    error: impl Fn(Duration) -> Error + Send + Sync,
) -> impl Stream<Item = Result<T>> + Send {
    let (first, next) = limits;
    let state = Some((items, Silence::of(first), first, feed, error));
    stream::unfold(state, move |state| async move {
        let (mut items, mut silence, limit, feed, error) = state?;
        let item = poll_fn(|cx| {
            if let Poll::Ready(item) = items.poll_next_unpin(cx) {
                return Poll::Ready(Ok(item));
            }
            let polled = match &feed {
                Some(feed) => feed.poll_limit(&mut silence, cx),
                None => silence.poll_limit(cx),
            };
            polled.map(|()| Err(error(limit)))
        });
        match item.await {
            Ok(item) => {
                silence.end();
                Some((item?, Some((items, Silence::of(next), next, feed, error))))
            }
            Err(error) => Some((Err(error), None)),
        }
    })
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for TimeoutStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        if body
            .as_bytes()
            .is_some_and(|bytes| bytes.len() <= ONE_PIECE)
        {
            let put = self.inner.put_opts(key, body, options);
            return Box::pin(self.answer(Operation::Put, Some(key), put));
        }
        Box::pin(async move {
            let (feed, size) = (Feed::new(), body.size());
            let body = Body::from_stream(feed.watch(body));
            let body = size.into_iter().fold(body, Body::with_size);
            let limit = self.options.operation.max(self.options.stall);
            let mut silence = Silence::of(limit);
            let mut put = pin!(self.inner.put_opts(key, body, options));
            poll_fn(|cx| {
                if let Poll::Ready(put) = put.as_mut().poll(cx) {
                    return Poll::Ready(put);
                }
                feed.poll_limit(&mut silence, cx)
                    .map(|()| Err(silent(Operation::Put, Some(key), limit)))
            })
            .await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            let get = self.inner.get_opts(key, options);
            let object = self.answer(Operation::Get, Some(key), get).await?;
            if object.body.as_bytes().is_some() {
                return Ok(object);
            }
            let (size, key, stall) = (object.body.size(), key.clone(), self.options.stall);
            let error = move |limit| silent(Operation::Get, Some(&key), limit);
            let body = Body::from_stream(timed(object.body, None, (stall, stall), error));
            Ok(Object {
                body: size.into_iter().fold(body, Body::with_size),
                ..object
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.answer(Operation::Head, Some(key), self.inner.head(key)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.answer(Operation::Delete, Some(key), self.inner.delete(key)))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let feed = Feed::new();
        let gone = self.inner.delete_many(feed.watch(keys).boxed());
        let limits = (self.options.operation, self.options.operation);
        let error = |limit| silent(Operation::Delete, None, limit);
        timed(gone, Some(feed), limits, error).boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let limits = (self.options.operation, self.options.stall);
        let error = |limit| silent(Operation::List, None, limit);
        timed(self.inner.list(options), None, limits, error).boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let limits = (self.options.operation, self.options.stall);
        let error = |limit| silent(Operation::List, None, limit);
        timed(self.inner.list_delimited(options), None, limits, error).boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // A copy within the inner store takes as long as it takes, in silence.
        if self.capabilities().native_copy || options.remove_source {
            return self.inner.copy_opts(from, to, options);
        }
        Box::pin(fallback::copy(self, from, to, options))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        // In terms of gets, of which each is timed.
        Box::pin(fallback::get_ranges(self, key, ranges, options))
    }

    methods!(inner => events, capabilities, close);

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        let signed = self.inner.presign(key, options);
        Box::pin(self.answer(Operation::Presign, Some(key), signed))
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.answer(Operation::Health, None, self.inner.health()))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for TimeoutStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            let Some(batches) = self.inner.batches() else {
                // Unreachable: `batches` gives `None` too.
                return Ok(BatchResult::default());
            };
            let batch = batches.batch(batch);
            self.answer(Operation::Batch, None, batch).await
        })
    }
}
