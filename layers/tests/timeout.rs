//! `TimeoutStore`: silence fails, slowness does not, and nothing is left.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::{Fault, FaultStore, RetryStore, TimeoutOptions, TimeoutStore};
use storehouse_objectstore::{
    Batch, Body, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation,
    PutOptions,
};
use tokio::time::Instant;

const LIMIT: Duration = Duration::from_secs(10);

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn store() -> TimeoutStore<FaultStore<Memory>> {
    let options = TimeoutOptions::default()
        .operation(LIMIT)
        .stall(LIMIT)
        .health(LIMIT);
    TimeoutStore::with_options(FaultStore::new(Memory::new()), options)
}

/// Pieces of one byte, each after a pause.
fn slow(pieces: u64, pause: Duration) -> Body {
    let pieces = stream::iter(0..pieces).then(move |_| async move {
        tokio::time::sleep(pause).await;
        Ok::<_, Error>(Bytes::from_static(b"x"))
    });
    Body::from_stream(pieces)
}

#[tokio::test(start_paused = true)]
async fn every_operation_that_is_silent_fails_in_time() {
    let (store, a) = (store(), key("a"));
    let faults = store.inner().faults();
    store.put(&a, "content").await.unwrap();
    for operation in [
        Operation::Put,
        Operation::Get,
        Operation::Head,
        Operation::Delete,
        Operation::List,
        Operation::Health,
        Operation::Batch,
    ] {
        for delay in [LIMIT - Duration::from_secs(1), Duration::MAX] {
            faults.add(Fault::delay(delay).on(operation));
            let started = Instant::now();
            let result = match operation {
                Operation::Put => store.put(&a, "content").await.map(drop),
                Operation::Get => store.get_bytes(&a, 7).await.map(drop),
                Operation::Head => store.head(&a).await.map(drop),
                Operation::Delete => store.delete(&key("b")).await,
                Operation::List => {
                    let all: Result<Vec<_>, _> =
                        store.list(ListOptions::default()).try_collect().await;
                    all.map(drop)
                }
                Operation::Health => store.health().await,
                _ => {
                    let batch = Batch::new().put(key("c"), "c");
                    store.batches().unwrap().batch(batch).await.map(drop)
                }
            };
            if delay < LIMIT {
                result.unwrap();
            } else {
                let error = result.unwrap_err();
                assert!(error.is_transient(), "{error:?}");
                assert!(
                    error.to_string().contains("no answer within 10s"),
                    "{error}"
                );
                assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs(), "{operation}");
            }
        }
    }
    faults.add(Fault::delay(Duration::MAX).on(Operation::Delete));
    let keys = stream::iter([key("b")]).boxed();
    let gone: Vec<_> = store.delete_many(keys).collect().await;
    assert!(gone[0].as_ref().unwrap_err().is_transient());
}

#[tokio::test(start_paused = true)]
async fn a_transfer_may_take_as_long_as_it_moves() {
    let (store, a) = (store(), key("a"));
    // A caller may be slower than any limit: that is waiting for the caller.
    let body = slow(20, 3 * LIMIT).with_size(20);
    let started = Instant::now();
    store.put(&a, body).await.unwrap();
    assert!(started.elapsed() >= 50 * LIMIT);
    // A store may be slow, but has to move.
    let pause = LIMIT - Duration::from_secs(1);
    for at in 0..20 {
        store.inner().faults().add(Fault::stall(at, pause));
    }
    let started = Instant::now();
    assert_eq!(store.get_bytes(&a, 20).await.unwrap().len(), 20);
    assert!(started.elapsed() >= 10 * LIMIT);
    // The same for a put: the faults are of the inner store.
    for at in 0..20 {
        store.inner().faults().add(Fault::stall(at, pause));
    }
    store.put(&a, slow(20, pause).with_size(20)).await.unwrap();
    for at in 0..3 {
        let stall = Fault::stall(at << 20, pause);
        store.inner().faults().add(stall);
    }
    let large = vec![0; 3 << 20];
    store.put(&a, large).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_fails() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "0123456789").await.unwrap();
    for operation in [Operation::Get, Operation::Put] {
        for at in [0, 4, 10] {
            store
                .inner()
                .faults()
                .add(Fault::stall(at, Duration::MAX).on(operation));
            let started = Instant::now();
            let error = match operation {
                Operation::Get => store.get_bytes(&a, 10).await.unwrap_err(),
                _ => {
                    let body = slow(10, Duration::ZERO).with_size(10);
                    store.put(&a, body).await.unwrap_err()
                }
            };
            assert!(error.is_transient(), "{error:?}");
            assert_eq!(started.elapsed().as_secs(), LIMIT.as_secs());
        }
    }
    store
        .inner()
        .faults()
        .add(Fault::stall(0, Duration::MAX).on(Operation::List));
    let listed: Vec<_> = store.list(ListOptions::default()).collect().await;
    assert!(listed[0].as_ref().unwrap_err().is_transient());
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "0123456789");
}

#[tokio::test(start_paused = true)]
async fn a_reader_may_pause_for_as_long_as_it_likes() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "0123456789").await.unwrap();
    let second = Duration::from_secs(1);
    store.inner().faults().add(Fault::stall(0, second));
    store.inner().faults().add(Fault::stall(5, second));
    let mut body = store.get(&a).await.unwrap().body;
    // Polled while the store is at work, and then left.
    let polled = tokio::time::timeout(second / 2, body.next()).await;
    assert!(polled.is_err());
    tokio::time::sleep(100 * LIMIT).await;
    assert_eq!(body.next().await.unwrap().unwrap(), "01234");
    tokio::time::sleep(100 * LIMIT).await;
    assert_eq!(body.next().await.unwrap().unwrap(), "56789");
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn what_timed_out_is_dropped_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let flatfs = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    let limit = Duration::from_millis(100);
    let options = TimeoutOptions::default().operation(limit).stall(limit);
    let store = TimeoutStore::with_options(FaultStore::new(flatfs), options);
    store
        .inner()
        .faults()
        .add(Fault::stall(1_000_000, Duration::MAX).on(Operation::Put));
    let body = Body::from_stream(stream::iter([Ok::<_, Error>(Bytes::from(vec![
        0;
        2_000_000
    ]))]));
    let a = key("a");
    let put = store.put_opts(&a, body, PutOptions::default().size(2_000_000));
    assert!(put.await.unwrap_err().is_transient());
    let temp = || std::fs::read_dir(dir.path().join(".temp")).unwrap().count();
    for _ in 0..500 {
        if temp() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        temp(),
        0,
        "the temporary file of a put that timed out is removed"
    );
    assert!(!store.exists(&key("a")).await.unwrap());
    store.put(&key("a"), "works").await.unwrap();
    store.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn retries_above_it_overcome_silence() {
    let store = RetryStore::new(store());
    store.put(&key("a"), "0123456789").await.unwrap();
    let faults = store.inner().inner().faults();
    faults.add(Fault::delay(Duration::MAX).on(Operation::Get));
    faults.add(Fault::stall(4, Duration::MAX).on(Operation::Get).skip(1));
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "0123456789");
    assert_eq!(faults.calls(Operation::Get), 3);
}
