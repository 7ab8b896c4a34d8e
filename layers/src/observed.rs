//! A store whose operations are counted, timed and traced.
//!
//! | operation | what is recorded | requests of the inner store |
//! |---|---|---|
//! | put, get, get_ranges | outcome, time, bytes of bodies | 1 |
//! | head, delete, copy, batch, health | outcome, time | 1 |
//! | list, list_delimited, delete_many | outcome, time, number of items | 1 |
//! | events, presign, close | nothing | 1 |
//!
//! It costs some counters and a span for each operation, and holds no bytes. A crash loses the
//! counters.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use metrics::SharedString;
use tracing::field::Empty;
use tracing::{Instrument, Span, debug_span};

use storehouse_objectstore::observe::{Meter, OperationSpan, TARGET};
use storehouse_objectstore::{
    Batch, BatchOp, BatchResult, Batches, Body, ByteRange, CopyOptions, Entry, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PutOptions, PutResult,
    Result, methods,
};

/// A store whose operations are counted, timed and traced: how many with which outcome, how long
/// until they answered and until their bodies ended, how many bytes went in and out.
/// `docs/reference/metrics.md` lists the names.
///
/// Install the recorder and the subscriber before the first operation. Nothing of a body is
/// recorded but its length. Clones share what they count.
///
/// ```
/// # {
/// use storehouse_layers::ObservedStore;
/// use storehouse_objectstore::Memory;
///
/// let blobs = ObservedStore::new(Memory::new(), "blobs", "memory");
/// # assert!(format!("{blobs:?}").contains("blobs"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ObservedStore<S> {
    inner: S,
    meters: Arc<Meters>,
}

#[derive(Debug)]
struct Meters {
    put: Meter,
    get: Meter,
    head: Meter,
    copy: Meter,
    get_ranges: Meter,
    delete: Meter,
    delete_many: Meter,
    list: Meter,
    health: Meter,
    batch: Meter,
}

impl<S: ObjectStore> ObservedStore<S> {
    /// `inner`, counted under the labels `store` (what is kept there, such as `blobs`) and
    /// `backend` (such as `s3`).
    pub fn new(inner: S, store: impl Into<SharedString>, backend: impl Into<SharedString>) -> Self {
        let (store, backend) = (store.into(), backend.into());
        let meter = |operation| Meter::new(store.clone(), backend.clone(), operation);
        let meters = Meters {
            put: meter("put"),
            get: meter("get"),
            head: meter("head"),
            copy: meter("copy"),
            get_ranges: meter("get_ranges"),
            delete: meter("delete"),
            delete_many: meter("delete_many"),
            list: meter("list"),
            health: meter("health"),
            batch: meter("batch"),
        };
        Self {
            inner,
            meters: Arc::new(meters),
        }
    }

    /// The store that is observed.
    ///
    /// ```
    /// use storehouse_layers::ObservedStore;
    /// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let (store, key) = (ObservedStore::new(Memory::new(), "blobs", "memory"), Key::new("a")?);
    /// store.put(&key, "content").await?;
    /// assert!(store.inner().exists(&key).await?, "and this is not counted");
    /// # Ok::<(), storehouse_objectstore::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn inner(&self) -> &S {
        &self.inner
    }
}

/// A span of an operation, disabled (and then free) unless somebody listens. Names of spans are
/// constants, hence a macro.
macro_rules! span {
    ($meter:expr, $name:literal $($fields:tt)*) => {
        debug_span!(target: TARGET, $name, store = $meter.store(), backend = $meter.backend() $($fields)*)
    };
}

/// Runs a call that ends with its answer.
async fn observe<T>(meter: &Meter, span: Span, call: impl Future<Output = Result<T>>) -> Result<T> {
    let mut running = OperationSpan::start(meter, span.clone());
    running.ended(call.instrument(span).await)
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for ObservedStore<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let meter = &self.meters.put;
        let size = options.size.or(body.size());
        let span = span!(meter, "put", key = %key, size);
        // A body in memory stays what it is, and is taken whole or not at all.
        if let Some(len) = body.as_bytes().map(|bytes| bytes.len() as u64) {
            return Box::pin(async move {
                let put = observe(meter, span, self.inner.put_opts(key, body, options)).await;
                put.inspect(|_| meter.bytes_in(len))
            });
        }
        let (known, taken) = (body.size(), meter.clone());
        let counted = Body::from_stream(body.inspect(move |piece| {
            if let Ok(piece) = piece {
                taken.bytes_in(piece.len() as u64);
            }
        }));
        let body = known.into_iter().fold(counted, Body::with_size);
        Box::pin(observe(
            meter,
            span,
            self.inner.put_opts(key, body, options),
        ))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        let meter = &self.meters.get;
        let span = span!(meter, "get", key = %key, size = Empty);
        Box::pin(async move {
            let mut running = OperationSpan::start(meter, span.clone());
            let object = running.ended(self.inner.get_opts(key, options).instrument(span).await)?;
            running.span().record("size", object.size());
            if let Some(bytes) = object.body.as_bytes() {
                meter.bytes_out(bytes.len() as u64);
                return Ok(object);
            }
            let size = object.body.size();
            let body = Body::from_stream(Out::new(object.body, running));
            Ok(Object {
                body: size.into_iter().fold(body, Body::with_size),
                ..object
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        let meter = &self.meters.head;
        Box::pin(observe(
            meter,
            span!(meter, "head", key = %key),
            self.inner.head(key),
        ))
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        let meter = &self.meters.delete;
        Box::pin(observe(
            meter,
            span!(meter, "delete", key = %key),
            self.inner.delete(key),
        ))
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        let meter = &self.meters.delete_many;
        Many::new(
            self.inner.delete_many(keys),
            meter,
            span!(meter, "delete_many"),
            false,
        )
        .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let meter = &self.meters.list;
        let span = span!(meter, "list", prefix = %options.prefix);
        Many::new(self.inner.list(options), meter, span, true).boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        let meter = &self.meters.list;
        let span = span!(meter, "list", prefix = %options.prefix);
        Many::new(self.inner.list_delimited(options), meter, span, true).boxed()
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        let meter = &self.meters.copy;
        let span = span!(meter, "copy", key = %from, to = %to);
        Box::pin(observe(
            meter,
            span,
            self.inner.copy_opts(from, to, options),
        ))
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        let meter = &self.meters.get_ranges;
        let span = span!(meter, "get_ranges", key = %key, ranges = ranges.len());
        Box::pin(async move {
            let got = self.inner.get_ranges_opts(key, ranges, options);
            let got = observe(meter, span, got).await;
            got.inspect(|got| {
                meter.bytes_out(got.parts.iter().map(|part| part.len() as u64).sum());
            })
        })
    }

    methods!(inner => events, presign, capabilities, close);

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        let meter = &self.meters.health;
        Box::pin(observe(meter, span!(meter, "health"), self.inner.health()))
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.inner.batches().map(|_| self as &dyn Batches)
    }
}

impl<S: ObjectStore> Batches for ObservedStore<S> {
    fn batch(&self, batch: Batch) -> BoxFuture<'_, Result<BatchResult>> {
        let meter = &self.meters.batch;
        let put = |op: &BatchOp| {
            if let BatchOp::Put { bytes, .. } = op {
                bytes.len() as u64
            } else {
                0
            }
        };
        let size: u64 = batch.ops.iter().map(put).sum();
        let span = span!(meter, "batch", writes = batch.ops.len(), size);
        Box::pin(async move {
            match self.inner.batches() {
                Some(batches) => observe(meter, span, batches.batch(batch))
                    .await
                    .inspect(|_| meter.bytes_in(size)),
                // Unreachable: `batches` gives `None` too.
                None => Ok(BatchResult::default()),
            }
        })
    }
}

/// A body on its way out.
struct Out {
    body: Body,
    running: OperationSpan,
}

impl Out {
    fn new(body: Body, mut running: OperationSpan) -> Self {
        running.streams();
        if body.size() == Some(0) {
            running.succeeded();
        }
        Self { body, running }
    }
}

impl Stream for Out {
    type Item = Result<bytes::Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { body, running } = self.get_mut();
        let piece = {
            let _within = running.span().enter();
            ready!(body.poll_next_unpin(cx))
        };
        Poll::Ready(match piece {
            Some(Ok(piece)) => {
                running.meter().bytes_out(piece.len() as u64);
                // Many a reader does not ask again after the last byte.
                if body.size() == Some(0) {
                    running.succeeded();
                }
                Some(Ok(piece))
            }
            Some(Err(error)) => Some(running.ended(Err(error))),
            None => {
                if running.is_open() {
                    running.succeeded();
                }
                None
            }
        })
    }
}

/// A stream of many results of one operation, which begins when it is first polled.
struct Many<St> {
    stream: St,
    state: State,
    /// Whether leaving it early is as good as reading it to its end.
    may_stop: bool,
}

enum State {
    New(Meter, Span),
    Running(OperationSpan),
    Ended,
}

impl<St> Many<St> {
    fn new(stream: St, meter: &Meter, span: Span, may_stop: bool) -> Self {
        Self {
            stream,
            state: State::New(meter.clone(), span),
            may_stop,
        }
    }
}

impl<T, St: Stream<Item = Result<T>> + Unpin> Stream for Many<St> {
    type Item = Result<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self {
            stream,
            state,
            may_stop,
        } = self.get_mut();
        if let State::New(meter, span) = state {
            let mut running = OperationSpan::start(meter, span.clone());
            running.streams();
            *state = State::Running(running);
        }
        let State::Running(running) = state else {
            return stream.poll_next_unpin(cx);
        };
        let item = {
            let _within = running.span().enter();
            ready!(stream.poll_next_unpin(cx))
        };
        match item {
            Some(Ok(item)) => {
                running.meter().item();
                if *may_stop {
                    running.succeeded();
                } else {
                    running.answered();
                }
                Poll::Ready(Some(Ok(item)))
            }
            Some(Err(error)) => Poll::Ready(Some(running.ended(Err(error)))),
            None => {
                if running.is_open() {
                    running.succeeded();
                }
                *state = State::Ended;
                Poll::Ready(None)
            }
        }
    }
}
