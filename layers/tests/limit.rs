//! `LimitStore`: never more at once than its limit, counted inside of it, and no deadlock with a
//! limit of one.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};

use storehouse_layers::LimitStore;
use storehouse_objectstore::{
    Batches, Body, ByteRange, Capabilities, CopyOptions, Entry, Error, Events, GetOptions, Key,
    ListOptions, Listed, Memory, Metadata, Object, ObjectRanges, ObjectStore, ObjectStoreExt,
    PresignOptions, PresignedRequest, PutOptions, PutResult, Result,
};

/// How many operations are at work now, and were at most.
#[derive(Default)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    /// Work that takes a while, apart from who waits for it, as that of a disk or a server.
    async fn work(self: &Arc<Self>) {
        let gauge = Arc::clone(self);
        let work = tokio::spawn(async move {
            gauge.most.fetch_max(
                1 + gauge.now.fetch_add(1, Ordering::SeqCst),
                Ordering::SeqCst,
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
            gauge.now.fetch_sub(1, Ordering::SeqCst);
        });
        work.await.unwrap();
    }
}

/// Memory whose every step takes a while and is counted.
#[derive(Clone)]
struct Counted {
    inner: Memory,
    gauge: Arc<Gauge>,
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Counted")
    }
}

impl ObjectStore for Counted {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        mut body: Body,
        mut options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            options.size = options.size.or(body.size());
            let mut pieces = Vec::new();
            self.gauge.work().await;
            while let Some(piece) = body.try_next().await? {
                self.gauge.work().await;
                pieces.push(Ok::<_, Error>(piece));
            }
            let put = self
                .inner
                .put_opts(key, Body::from_stream(stream::iter(pieces)), options)
                .await;
            self.gauge.work().await;
            put
        })
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(async move {
            self.gauge.work().await;
            let Object {
                metadata,
                range,
                body,
            } = self.inner.get_opts(key, options).await?;
            let (size, gauge) = (body.size().unwrap(), Arc::clone(&self.gauge));
            let body = body.then(move |piece| {
                let gauge = Arc::clone(&gauge);
                async move { (gauge.work().await, piece).1 }
            });
            Ok(Object {
                metadata,
                range,
                body: Body::from_stream(body).with_size(size),
            })
        })
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        Box::pin(async move { (self.gauge.work().await, self.inner.head(key).await).1 })
    }

    fn delete<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move { (self.gauge.work().await, self.inner.delete(key).await).1 })
    }

    fn delete_many<'a>(&'a self, keys: BoxStream<'a, Key>) -> BoxStream<'a, Result<Key>> {
        self.inner
            .delete_many(keys)
            .then(move |gone| async move { (self.gauge.work().await, gone).1 })
            .boxed()
    }

    fn list(&self, options: ListOptions) -> BoxStream<'static, Result<Entry>> {
        let gauge = Arc::clone(&self.gauge);
        let entries = self.inner.list(options).then(move |entry| {
            let gauge = Arc::clone(&gauge);
            async move { (gauge.work().await, entry).1 }
        });
        entries.boxed()
    }

    fn list_delimited(&self, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
        self.inner.list_delimited(options)
    }

    fn copy_opts<'a>(
        &'a self,
        from: &'a Key,
        to: &'a Key,
        options: CopyOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        ObjectStore::copy_opts(&self.inner, from, to, options)
    }

    fn get_ranges_opts<'a>(
        &'a self,
        key: &'a Key,
        ranges: &'a [ByteRange],
        options: GetOptions,
    ) -> BoxFuture<'a, Result<ObjectRanges>> {
        ObjectStore::get_ranges_opts(&self.inner, key, ranges, options)
    }

    fn events(&self) -> Option<Events> {
        self.inner.events()
    }

    fn presign<'a>(
        &'a self,
        key: &'a Key,
        options: PresignOptions,
    ) -> BoxFuture<'a, Result<PresignedRequest>> {
        ObjectStore::presign(&self.inner, key, options)
    }

    fn health(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move { (self.gauge.work().await, self.inner.health().await).1 })
    }

    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }

    fn batches(&self) -> Option<&dyn Batches> {
        None
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.inner.close())
    }
}

fn counted(limit: usize) -> (LimitStore<Counted>, Arc<Gauge>) {
    let gauge = Arc::new(Gauge::default());
    (
        LimitStore::new(
            Counted {
                inner: Memory::new(),
                gauge: Arc::clone(&gauge),
            },
            limit,
        ),
        gauge,
    )
}

fn key(n: usize) -> Key {
    Key::new(format!("key-{n}")).unwrap()
}

/// A body in pieces of one byte.
fn pieces(len: usize) -> Body {
    Body::from_stream(stream::iter((0..len).map(|_| Ok::<_, Error>("x".into()))))
}

/// Everything that a store can do, one after the other.
async fn everything(store: &impl ObjectStore, n: usize) {
    store
        .put_opts(&key(n), pieces(5), PutOptions::default().size(5))
        .await
        .unwrap();
    store.put(&key(n + 1000), "in memory").await.unwrap();
    assert_eq!(store.get_bytes(&key(n), 5).await.unwrap(), "xxxxx");
    assert_eq!(store.head(&key(n)).await.unwrap().size, 5);
    store
        .list(ListOptions::default().limit(5))
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    store.health().await.unwrap();
    store.delete(&key(n)).await.unwrap();
    store
        .delete_many(stream::iter([key(n + 1000), key(n)]).boxed())
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn never_more_at_once_than_the_limit() {
    for limit in [1, 2, 5] {
        let (store, gauge) = counted(limit);
        let tasks = (0..20).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { everything(&store, n).await })
        });
        for task in join_all(tasks).await {
            task.unwrap();
        }
        assert_eq!(
            gauge.most.load(Ordering::SeqCst),
            limit,
            "operations at work at once: as many as may be, and no more"
        );
        assert_eq!(gauge.now.load(Ordering::SeqCst), 0);
    }
}

/// A put's body that asks the same store only when it is read.
fn copy_of(store: &LimitStore<Counted>, from: Key) -> Body {
    let store = store.clone();
    let get = stream::once(async move {
        Ok::<_, Error>(store.get_opts(&from, GetOptions::default()).await?.body)
    });
    Body::from_stream(get.try_flatten())
}

#[tokio::test]
async fn one_at_once_is_enough_for_a_put_of_a_get() {
    let (store, gauge) = counted(1);
    store
        .put_opts(&key(0), pieces(20), PutOptions::default().size(20))
        .await
        .unwrap();
    let open = store.get(&key(0)).await.unwrap().body;
    store
        .put_opts(&key(1), open, PutOptions::default())
        .await
        .unwrap();
    store
        .put_opts(
            &key(2),
            copy_of(&store, key(1)),
            PutOptions::default().size(20),
        )
        .await
        .unwrap();
    let copies = join_all((3..20).map(|n| {
        let (store, body) = (store.clone(), copy_of(&store, key(2)));
        async move {
            store
                .put_opts(&key(n), body, PutOptions::default().size(20))
                .await
        }
    }));
    for put in copies.await {
        put.unwrap();
    }
    assert_eq!(store.get_bytes(&key(19), 20).await.unwrap().len(), 20);
    assert_eq!(gauge.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn streams_that_were_polled_and_left_hold_nothing() {
    let (store, _) = counted(1);
    store
        .put_opts(&key(0), pieces(2), PutOptions::default().size(2))
        .await
        .unwrap();
    let mut body = store.get(&key(0)).await.unwrap().body;
    let mut list = store.list(ListOptions::default());
    let mut deletes = store.delete_many(stream::repeat_with(|| key(7)).boxed());
    let mut other = store.get(&key(0)).await.unwrap().body;
    // Each is polled until the inner store is at work for it, or until it waits for its turn; then
    // it is not polled any more.
    tokio::select! {
        biased;
        _ = body.next() => panic!("the inner store is at work for a while"),
        _ = list.next() => panic!("another is at work"),
        _ = deletes.next() => panic!("another is at work"),
        _ = other.next() => panic!("another is at work"),
        () = tokio::task::yield_now() => {}
    }
    everything(&store, 1).await;
    assert_eq!(other.collect(2).await.unwrap(), "xx");
    assert_eq!(body.collect(2).await.unwrap(), "xx");
    assert_eq!(deletes.next().await.unwrap().unwrap(), key(7));
    assert_eq!(list.try_collect::<Vec<_>>().await.unwrap().len(), 1);
}

#[tokio::test]
async fn dropped_operations_give_their_place_back() {
    let (store, _) = counted(1);
    for polls in 0..20 {
        let mut work = Box::pin(everything(&store, 1));
        for _ in 0..polls {
            let _ = tokio::time::timeout(Duration::from_micros(300), &mut work).await;
        }
        drop(work);
    }
    everything(&store, 1).await;
}
