//! What nothing has to wait for, or not for long.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use storehouse_layers::{Fault, FaultStore, TieredStore};
use storehouse_objectstore::{
    Body, BoxFuture, Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutMode, PutOptions, PutResult, Result, fallback, methods,
};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::fixtures::{Tiered, all, break_slow, content, key, options, read, reopened, tiered};

const LONG: Duration = Duration::from_secs(5);

async fn arrives(store: &Tiered, name: &str) {
    for _ in 0..2000 {
        if read(store.slow().inner(), name).await.is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{name} does not get to the slow tier");
}

/// A store with a record of this key, whose tasks are gone.
fn left_behind(name: &str) -> (Memory, Memory) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = tiered(options());
        break_slow(&store);
        store.put(&key(name), "content").await.unwrap();
        (store.fast().inner().clone(), store.slow().inner().clone())
    })
}

#[tokio::test]
async fn a_list_that_could_not_be_read_is_read_again() {
    let store = tiered(options());
    break_slow(&store);
    store.put(&key("a"), "content").await.unwrap();
    let fast = FaultStore::new(store.fast().inner().clone());
    let fails = Fault::error(ErrorClass::Transient).on(Operation::List);
    fast.faults().add(fails.times(2));
    let slow = FaultStore::new(store.slow().inner().clone());
    let store = TieredStore::with_options(fast, slow, options());
    arrives(&store, "a").await;
    assert_eq!(store.fast().faults().calls(Operation::List), 3);
}

#[test]
fn what_is_due_goes_on_once_there_is_a_runtime() {
    let (fast, slow) = left_behind("a");
    let tier = |store| FaultStore::new(store);
    // Opened and read outside.
    let store = TieredStore::with_options(tier(fast), tier(slow), options());
    let there = store.get_bytes(&key("a"), 7).now_or_never().unwrap();
    assert_eq!(there.unwrap(), "content");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        assert_eq!(read(&store, "b").await, None);
        arrives(&store, "a").await;
    });
}

#[test]
fn a_write_that_has_no_room_makes_some() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let store = runtime().block_on(async {
        let store = tiered(options().max_due(1));
        break_slow(&store);
        store.put(&key("a"), "content").await.unwrap();
        store
    });
    // The tasks ended with the runtime.
    store.slow().faults().clear();
    runtime().block_on(async {
        let put = timeout(LONG, store.put(&key("b"), "content")).await;
        put.unwrap().unwrap();
        store.flush().await.unwrap();
        assert_eq!(all(store.slow().inner()).await.len(), 2);
    });
}

#[tokio::test]
async fn a_delete_that_has_never_room_goes_through() {
    for most in [0, 30] {
        let store = tiered(options().max_due_bytes(most));
        store.put(&key("a"), content(1, 1000)).await.unwrap();
        store.delete(&key("b")).await.unwrap();
        let delete = timeout(LONG, store.delete(&key("a"))).await;
        delete.unwrap().unwrap();
        assert_eq!(read(store.slow().inner(), "a").await, None);
        assert_eq!(read(&store, "a").await, None);
    }
}

#[tokio::test]
async fn a_delete_goes_through_after_what_is_due() {
    let store = tiered(options());
    break_slow(&store);
    store.put(&key("a"), "content").await.unwrap();
    let tier = |store: &FaultStore<Memory>| FaultStore::new(store.inner().clone());
    let (fast, slow) = (tier(store.fast()), tier(store.slow()));
    let store = TieredStore::with_options(fast, slow, options().max_due_bytes(0));
    let delete = timeout(LONG, store.delete(&key("a"))).await;
    delete.unwrap().unwrap();
    assert_eq!(store.due(), 0);
    assert!(all(store.slow().inner()).await.is_empty());
    assert!(all(&reopened(&store)).await.is_empty());
}

#[tokio::test]
async fn a_damaged_tag_is_removed() {
    let store = tiered(options());
    let put = store.put(&key("a"), "content").await.unwrap();
    store.flush().await.unwrap();
    let fast = store.fast().inner();
    let tags = ListOptions::default().prefix("storehouse-due-tag-");
    let tag = fast.list(tags).next().await.unwrap().unwrap().key;
    fast.put(&tag, "nonsense").await.unwrap();
    let store = reopened(&store);
    assert_eq!(read(&store, "a").await.unwrap(), "content");
    assert!(!store.fast().exists(&tag).await.unwrap());
    // It goes by the slow tier's tag.
    let there = store.head(&key("a")).await.unwrap().etag;
    assert_ne!(there, put.etag);
    assert_eq!(there, store.slow().head(&key("a")).await.unwrap().etag);
}

#[tokio::test]
async fn a_record_that_is_gone_is_no_missing_object() {
    let store = tiered(options());
    break_slow(&store);
    store.put(&key("a"), "content").await.unwrap();
    let fast = store.fast().inner();
    let records = ListOptions::default().prefix("storehouse-due-");
    let record = fast.list(records).next().await.unwrap().unwrap().key;
    fast.delete(&record).await.unwrap();
    let error = store.get(&key("a")).await.unwrap_err();
    assert!(!error.is_not_found(), "{error}");
    assert_eq!(error.class(), ErrorClass::Fatal);
    assert!(error.to_string().contains("has lost a write"), "{error}");
}

/// Memory that judges no condition of a put of more than 1,000 bytes.
#[derive(Clone, Debug, Default)]
struct Coarse {
    inner: Memory,
}

impl ObjectStore for Coarse {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(async move {
            let size = options.size.or(body.size());
            if options.mode != PutMode::Overwrite && size.is_some_and(|size| size > 1000) {
                let feature = "conditional puts of large objects";
                return Err(fallback::unsupported(Operation::Put, key, feature));
            }
            self.inner.put_opts(key, body, options).await
        })
    }

    methods!(inner => get_opts, head, delete, delete_many, list, list_delimited, copy_opts, events);
    methods!(inner => get_ranges_opts, presign, health, capabilities, batches, close);
}

#[tokio::test]
async fn what_is_too_large_for_a_condition_is_drained() {
    for window in [0, 1 << 20] {
        let tiers = (Memory::new(), Coarse::default());
        let store = TieredStore::with_options(tiers.0, tiers.1, options().window(window));
        for n in 0..2 {
            for size in [1000, 5000] {
                let name = key(&format!("k{size}"));
                store.put(&name, content(n, size)).await.unwrap();
            }
            timeout(LONG, store.flush()).await.unwrap().unwrap();
            let slow = all(store.slow()).await;
            assert_eq!(slow["k1000"], content(n, 1000));
            assert_eq!(slow["k5000"], content(n, 5000));
        }
    }
}

/// A body of 1,000 bytes that ends once it is told to.
fn waiting(end: &'static Notify) -> Body {
    let first = stream::once(async { Ok::<Bytes, Error>(content(1, 500)) });
    let last = stream::once(async {
        end.notified().await;
        Ok(content(2, 500))
    });
    Body::from_stream(first.chain(last)).with_size(1000)
}

#[tokio::test]
async fn puts_of_one_key_do_not_wait_for_the_slow_tier() {
    static END: Notify = Notify::const_new();
    let store = tiered(options());
    break_slow(&store);
    let first = tokio::spawn({
        let store = store.clone();
        async move { store.put(&key("a"), waiting(&END)).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    // Begun later, and done before.
    store.put(&key("a"), "second").await.unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), "second");
    END.notify_one();
    let first = timeout(LONG, first).await.unwrap().unwrap().unwrap();
    let expected = [content(1, 500), content(2, 500)].concat();
    assert_eq!(store.head(&key("a")).await.unwrap().etag, first.etag);
    assert_eq!(read(&store, "a").await.unwrap(), expected);
    // The order of their commits outlives a restart.
    let store = reopened(&store);
    assert_eq!(read(&store, "a").await.unwrap(), expected);
    store.flush().await.unwrap();
    assert_eq!(read(store.slow().inner(), "a").await.unwrap(), expected);
}

#[tokio::test]
async fn a_put_that_goes_through_holds_no_other_up() {
    let store = tiered(options().max_due_bytes(5_000));
    break_slow(&store);
    store.put(&key("a"), "small").await.unwrap();
    let large = tokio::spawn({
        let store = store.clone();
        async move { store.put(&key("a"), content(1, 10_000)).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    let put = timeout(LONG, store.put(&key("a"), "newer")).await;
    put.unwrap().unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), "newer");
    store.slow().faults().clear();
    timeout(LONG, large).await.unwrap().unwrap().unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), content(1, 10_000));
    store.flush().await.unwrap();
    let there = read(store.slow().inner(), "a").await.unwrap();
    assert_eq!(there, content(1, 10_000));
}
