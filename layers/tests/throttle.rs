//! `ThrottleStore`: rates hold, each direction on its own, and tasks share them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{ThrottleOptions, ThrottleStore};
use storehouse_objectstore::{
    Batch, Body, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
};
use tokio::time::Instant;

const KIB: u64 = 1024;

fn key(n: u64) -> Key {
    Key::new(format!("k{n:05}")).unwrap()
}

fn store(options: ThrottleOptions) -> ThrottleStore<Memory> {
    ThrottleStore::new(Memory::new(), options)
}

fn unsaved() -> ThrottleOptions {
    ThrottleOptions::default().burst(Duration::ZERO)
}

/// Seconds, with milliseconds.
async fn time(work: impl Future) -> f64 {
    let started = Instant::now();
    work.await;
    started.elapsed().as_secs_f64()
}

#[track_caller]
fn about(seconds: f64, expected: f64) {
    assert!(
        (seconds - expected).abs() <= 0.02 + expected * 0.01,
        "{seconds} s instead of {expected}"
    );
}

#[tokio::test(start_paused = true)]
async fn operations_a_second_with_a_burst() {
    let store = store(
        ThrottleOptions::default()
            .read_operations(5)
            .burst(Duration::from_secs(2)),
    );
    let heads = |n: u64| {
        let store = store.clone();
        async move {
            for _ in 0..n {
                store.head(&key(0)).await.unwrap_err();
            }
        }
    };
    about(time(heads(10)).await, 0.0);
    about(time(heads(10)).await, 2.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    about(time(heads(10)).await, 1.0);
    // Writes have no rate.
    about(time(store.put(&key(0), "x")).await, 0.0);
    about(time(store.delete(&key(0))).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn every_operation_counts_in_its_direction() {
    let store = store(unsaved().read_operations(1).write_operations(10));
    about(time(store.put(&key(0), "x")).await, 0.1);
    about(time(store.get(&key(0))).await, 1.0);
    about(time(store.head(&key(0))).await, 1.0);
    about(time(store.delete(&key(0))).await, 0.1);
    let many = stream::iter((0..20).map(key)).boxed();
    about(time(store.delete_many(many).collect::<Vec<_>>()).await, 2.0);
    let batch = (0..1500).fold(Batch::new(), |batch, n| batch.put(key(n), "x"));
    about(time(store.batches().unwrap().batch(batch)).await, 150.0);
    let list = store.list(ListOptions::default()).try_collect::<Vec<_>>();
    about(time(list).await, 2.0);
    about(time(store.health()).await, 0.0);
}

#[tokio::test(start_paused = true)]
async fn bytes_a_second_read_and_written_apart() {
    let store = store(unsaved().read_bytes(256 * KIB).write_bytes(128 * KIB));
    let bytes = Bytes::from(vec![7; 1024 * 1024]);
    about(time(store.put(&key(0), bytes.clone())).await, 8.0);
    let pieces = stream::iter([Ok::<_, Error>(bytes.clone())]);
    let body = Body::from_stream(pieces).with_size(1024 * KIB);
    about(time(store.put(&key(0), body)).await, 8.0);
    let read = async { assert_eq!(store.get_bytes(&key(0), u64::MAX).await.unwrap(), bytes) };
    about(time(read).await, 4.0);
    let range = async {
        let object = store.get_range(&key(0), 0..512 * KIB).await.unwrap();
        assert_eq!(
            object.body.collect(u64::MAX).await.unwrap().len() as u64,
            512 * KIB
        );
    };
    about(time(range).await, 2.0);
    let batch = Batch::new().put(key(1), bytes);
    about(time(store.batches().unwrap().batch(batch)).await, 8.0);
}

#[tokio::test(start_paused = true)]
async fn tasks_at_once_share_the_rate() {
    let store = Arc::new(store(unsaved().read_bytes(1024 * KIB)));
    for n in 0..4 {
        store.put(&key(n), vec![0; 1024 * 1024]).await.unwrap();
    }
    let started = Instant::now();
    let half_way = join_all((0..4).map(|n| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            let mut body = store.get(&key(n)).await.unwrap().body;
            let (mut got, mut half) = (0, None);
            while let Some(piece) = body.try_next().await.unwrap() {
                got += piece.len() as u64;
                if got >= 512 * KIB && half.is_none() {
                    half = Some(started.elapsed().as_secs_f64());
                }
            }
            (half.unwrap(), started.elapsed().as_secs_f64())
        })
    }));
    for task in half_way.await {
        let (half, whole) = task.unwrap();
        assert!((1.7..=2.1).contains(&half), "half of it after {half} s");
        assert!((3.7..=4.1).contains(&whole), "all of it after {whole} s");
    }
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_holds_nothing_up() {
    let store = store(unsaved().read_bytes(64 * KIB));
    store.put(&key(0), vec![0; 256 * 1024]).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..10 {
        let mut body = store.get(&key(0)).await.unwrap().body;
        // Polled once, so that it has a turn, and then left.
        let _ = futures_util::poll!(body.next());
        left.push(body);
    }
    // Those are before it, and no more.
    about(time(store.get_bytes(&key(0), u64::MAX)).await, 14.0);
    // What is dropped gives its turn back.
    for _ in 0..100 {
        let mut body = store.get(&key(0)).await.unwrap().body;
        let _ = futures_util::poll!(body.next());
    }
    about(time(store.get_bytes(&key(0), u64::MAX)).await, 4.0);
    drop(left);
}
