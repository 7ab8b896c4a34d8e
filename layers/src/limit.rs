//! A limit on the number of operations that run at once.
//!
//! | operation | when it counts | requests of the inner store |
//! |---|---|---|
//! | head, delete, copy, get_ranges, batch, health | from its start to its answer | 1 |
//! | put | from the body's first byte, but not while a further one is waited for | 1 |
//! | get, list, list_delimited | to its answer, then while a further piece is read | 1 |
//! | delete_many | while the inner store works, not while a further key is waited for | as without |
//! | events, presign, close | never | 1 |
//!
//! Waiting operations start in the order of their arrival. The layer holds no bytes and
//! acknowledges nothing that the inner store did not, so a crash loses nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use super::gate::{Gate, Slot, Turn};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, GetOptions, Key, ListOptions,
    Listed, Metadata, Object, ObjectRanges, ObjectStore, PutOptions, PutResult, Result, methods,
};

/// A store that does at most a number of operations at once; the others wait.
///
/// An operation counts while the inner store works on it, and does not while it waits on its caller
/// (rule 13): not a put whose body has no bytes yet, a get whose body is not read, a listing left
/// alone, a delete of many whose keys are still to come. So a put whose body is a get of the same
/// store ends, also with a limit of one. Clones share the limit.
#[derive(Clone, Debug)]
pub struct LimitStore<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S: ObjectStore> LimitStore<S> {
    /// `inner`, doing at most `operations` at once; 0 is taken as 1.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use futures_util::future::try_join3;
    /// use storehouse_layers::{Fault, FaultStore, LimitStore};
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
    /// let slow = FaultStore::new(Memory::new());
    /// slow.faults().add(Fault::delay(Duration::from_millis(10)).always());
    /// let (store, key, begun) = (LimitStore::new(slow, 2), Key::new("a")?, Instant::now());
    /// // The third waits for one of the first two.
    /// try_join3(store.exists(&key), store.exists(&key), store.exists(&key)).await?;
    /// assert!(begun.elapsed() >= Duration::from_millis(20));
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(inner: S, operations: usize) -> Self {
        Self {
            inner,
            gate: Gate::new(operations.max(1)),
        }
    }

    /// The store that is limited.
    ///
    /// ```
    /// use storehouse_layers::LimitStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (LimitStore::new(Memory::new(), 8), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert_eq!(store.inner().get_bytes(&key, 7).await?, "content");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// Runs a call that waits on the inner store alone.
    async fn limited<T>(&self, call: impl Future<Output = T>) -> T {
        let slot = Slot::new(&self.gate);
        slot.acquire().await;
        call.await
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for LimitStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        // A body in memory never waits.
        if body.as_bytes().is_some() {
            return Box::pin(self.limited(self.inner.put_opts(key, body, options)));
        }
        Box::pin(async move {
            let slot = Slot::new(&self.gate);
            slot.acquire().await;
            let size = body.size();
            let body = Body::from_stream(FromCaller::new(body, &slot));
            self.inner
                .put_opts(key, size.into_iter().fold(body, Body::with_size), options)
                .await
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            let object = self.limited(self.inner.get_opts(key, options)).await?;
            if object.body.as_bytes().is_some() {
                return Ok(object);
            }
            let size = object.body.size();
            let body = Body::from_stream(ToCaller::new(object.body, Slot::new(&self.gate)));
            Ok(Object {
                body: size.into_iter().fold(body, Body::with_size),
                ..object
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(self.limited(self.inner.head(key)))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.limited(self.inner.delete(key)))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let slot = Slot::new(&self.gate);
        let gone = self.inner.delete_many(FromCaller::new(keys, &slot).boxed());
        ToCaller::new(gone, slot).boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        ToCaller::new(self.inner.list(options), Slot::new(&self.gate)).boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        ToCaller::new(self.inner.list_delimited(options), Slot::new(&self.gate)).boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.limited(self.inner.copy_opts(from, to, options)))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        Box::pin(self.limited(self.inner.get_ranges_opts(key, ranges, options)))
    }

    methods!(inner => events, presign, capabilities, close);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.limited(self.inner.health()))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for LimitStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        Box::pin(async move {
            match self.inner.batches() {
                Some(batches) => self.limited(batches.batch(batch)).await,
                // Unreachable: `batches` gives `None` too.
                None => Ok(BatchResult::default()),
            }
        })
    }
}

/// What the caller feeds into an operation: the operation's permit is given back before the
/// caller's stream is polled, since that may need a permit itself, and is there again before what
/// it gave is handed on.
struct FromCaller<St: Stream> {
    stream: St,
    slot: Arc<Slot>,
    turn: Turn,
    /// What the caller gave, while the permit is waited for.
    given: Option<Option<St::Item>>,
}

impl<St: Stream> FromCaller<St> {
    fn new(stream: St, slot: &Arc<Slot>) -> Self {
        Self {
            stream,
            slot: Arc::clone(slot),
            turn: Turn::default(),
            given: None,
        }
    }
}

impl<St: Stream + Unpin> Stream for FromCaller<St>
where
    St::Item: Unpin,
{
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.given.is_none() {
            this.slot.release();
            this.given = Some(ready!(this.stream.poll_next_unpin(cx)));
        }
        ready!(this.slot.poll_acquire(&mut this.turn, cx));
        Poll::Ready(this.given.take().flatten())
    }
}

/// What an operation gives the caller: there is a permit while the inner store works on the next
/// item, and none while it waits to be asked for one.
struct ToCaller<St> {
    stream: St,
    slot: Arc<Slot>,
    turn: Turn,
}

impl<St> ToCaller<St> {
    fn new(stream: St, slot: Arc<Slot>) -> Self {
        Self {
            stream,
            slot,
            turn: Turn::default(),
        }
    }
}

impl<St: Stream + Unpin> Stream for ToCaller<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, slot, turn } = self.get_mut();
        ready!(slot.poll_acquire(turn, cx));
        slot.poll_inner(cx, |cx| stream.poll_next_unpin(cx))
    }
}
