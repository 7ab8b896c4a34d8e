//! A store that counts what is asked of it, and what of its bodies is read.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, Stream, StreamExt};
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Events, GetOptions, Key,
    ListOptions, Listed, Metadata, Object, ObjectRanges, ObjectStore, PresignOptions,
    PresignedRequest, PutOptions, PutResult, Result,
};
use tokio::sync::Semaphore;

/// What was counted.
#[derive(Debug)]
pub(crate) struct Counts {
    requests: AtomicUsize,
    bytes: AtomicU64,
    /// A permit for each body that is gone.
    gone: Semaphore,
}

impl Counts {
    /// The gets and heads since this was last called.
    pub(crate) fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::Relaxed)
    }

    /// The bytes that bodies have given.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits until a body has been dropped.
    pub(crate) async fn body_gone(&self) {
        self.gone.acquire().await.unwrap().forget();
    }
}

#[derive(Debug)]
pub(crate) struct Watched<S> {
    store: S,
    /// The number of bytes after which a body stalls without ending.
    stalls_after: u64,
    counts: Arc<Counts>,
}

impl<S> Watched<S> {
    pub(crate) fn new(store: S) -> Self {
        Self::stalling(store, u64::MAX)
    }

    pub(crate) fn stalling(store: S, stalls_after: u64) -> Self {
        let counts = Counts {
            requests: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            gone: Semaphore::new(0),
        };
        Self {
            store,
            stalls_after,
            counts: Arc::new(counts),
        }
    }

    pub(crate) fn counts(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }
}

struct WatchedBody {
    body: Body,
    left: u64,
    counts: Arc<Counts>,
}

impl Stream for WatchedBody {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Pending;
        }
        let polled = self.body.poll_next_unpin(cx);
        if let Poll::Ready(Some(Ok(piece))) = &polled {
            self.left = self.left.saturating_sub(piece.len() as u64);
            self.counts
                .bytes
                .fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
        polled
    }
}

impl Drop for WatchedBody {
    fn drop(&mut self) {
        self.counts.gone.add_permits(1);
    }
}

#[deny(clippy::missing_trait_methods)]
impl<S: ObjectStore> ObjectStore for Watched<S> {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        self.store.put_opts(key, body, options)
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        let got = self.store.get_opts(key, options);
        async move {
            let object = got.await?;
            let len = object.range.end - object.range.start;
            let body = WatchedBody {
                body: object.body,
                left: self.stalls_after,
                counts: self.counts(),
            };
            Ok(Object {
                body: Body::from_stream(body).with_size(len),
                ..object
            })
        }
        .boxed()
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        self.counts.requests.fetch_add(1, Ordering::Relaxed);
        self.store.head(key)
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        self.store.delete(key)
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.store.delete_many(keys)
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        self.store.list(options)
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.store.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        ObjectStore::copy_opts(&self.store, from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        ObjectStore::get_ranges_opts(&self.store, key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.store.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        ObjectStore::presign(&self.store, key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        self.store.health()
    }

    fn capabilities(&self) -> &Capabilities {
        self.store.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        self.store.batches()
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        self.store.close()
    }
}
