//! `DedupStore` in several processes, which a grace protects from each other.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{DedupStore, Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Batch, Body, ErrorClass, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation,
};

use super::dedup::{key, keys_of, noise, small_chunks};

type Faulty = DedupStore<FaultStore<Memory>, FaultStore<Memory>>;

/// Two processes over one pair of stores, and the faults of the second one's index.
fn two_processes(grace: Duration) -> (DedupStore<Memory, Memory>, Faulty, Faults) {
    let (index, chunks) = (Memory::new(), Memory::new());
    let options = small_chunks().grace(grace);
    let first = DedupStore::new(index.reopen(), chunks.reopen(), options.clone()).unwrap();
    let faulty = FaultStore::new(index);
    let faults = faulty.faults().clone();
    let second = DedupStore::new(faulty, FaultStore::new(chunks), options).unwrap();
    (first, second, faults)
}

/// A put finds chunks that no object has and that are about to be old, and another process collects
/// before it ends.
#[tokio::test]
async fn a_put_within_the_grace_of_another_process() {
    let grace = Duration::from_secs(1);
    let (writes, collects, _) = two_processes(grace);
    let content = noise(1, 200_000);
    writes.put(&key("a"), content.clone()).await.unwrap();
    writes.delete(&key("a")).await.unwrap();
    let old = keys_of(writes.chunks()).await.len() as u64;
    tokio::time::sleep(grace * 3 / 4).await;
    let (first, rest) = (content.slice(..190_000), content.slice(190_000..));
    let rest = stream::once(async move {
        tokio::time::sleep(grace * 3 / 8).await;
        let collected = collects.collect().await.unwrap();
        assert!(
            collected.removed > 0 && collected.spared > 10,
            "{collected:?}"
        );
        assert_eq!(collected.removed + collected.spared, old);
        Ok::<_, std::io::Error>(rest)
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest)).with_size(200_000);
    writes.put(&key("b"), body).await.unwrap();
    assert!(writes.get_bytes(&key("b"), 200_000).await.unwrap() == content);
}

/// A copy of an object whose chunks are old, behind the listing of another process.
#[tokio::test]
async fn a_copy_within_the_grace_of_another_process() {
    let grace = Duration::from_secs(1);
    let (writes, collects, faults) = two_processes(grace);
    let content = noise(1, 100_000);
    for n in 0..1100 {
        writes
            .put(&key(&format!("b{n}")), noise(2, 10))
            .await
            .unwrap();
    }
    writes.put(&key("m"), content.clone()).await.unwrap();
    tokio::time::sleep(grace * 3 / 2).await;
    faults.add(Fault::stall(1, grace / 4).on(Operation::List));
    let collecting = tokio::spawn(async move { collects.collect().await });
    while faults.calls(Operation::List) == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    writes.copy(&key("m"), &key("a")).await.unwrap();
    writes.delete(&key("m")).await.unwrap();
    let collected = collecting.await.unwrap().unwrap();
    assert!(
        collected.objects == 1100 && collected.removed == 0,
        "{collected:?}"
    );
    assert!(writes.get_bytes(&key("a"), 100_000).await.unwrap() == content);
}

/// A process that writes and one that collects, over one pair of stores, and the faults of the
/// first one's index and chunks.
fn slow_writer(grace: Duration) -> (Faulty, DedupStore<Memory, Memory>, Faults, Faults) {
    let (collects, writes, index) = two_processes(grace);
    let chunks = writes.chunks().faults().clone();
    (writes, collects, index, chunks)
}

/// The pieces of a body, the second one after `pause`.
fn paused(content: &Bytes, pause: Duration) -> Body {
    let (first, rest) = (content.slice(..190_000), content.slice(190_000..));
    let rest = stream::once(async move {
        tokio::time::sleep(pause).await;
        Ok::<_, std::io::Error>(rest)
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest)).with_size(200_000)
}

/// A put takes longer than the grace, and another process removes its chunks: it fails.
#[tokio::test]
async fn a_put_that_outlives_the_grace_is_not_acknowledged_in_vain() {
    let grace = Duration::from_millis(400);
    let (writes, collects, ..) = slow_writer(grace);
    writes.put(&key("a"), "before").await.unwrap();
    let content = noise(1, 200_000);
    let body = paused(&content, 3 * grace);
    let collecting = async {
        tokio::time::sleep(2 * grace).await;
        collects.collect().await.unwrap().removed
    };
    let a = key("a");
    let (put, removed) = tokio::join!(writes.put(&a, body), collecting);
    assert!(removed > 10);
    let error = put.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    let error = error.to_string();
    assert!(
        error.contains("put \"a\"") && error.contains("removed"),
        "{error}"
    );
    assert_eq!(writes.get_bytes(&key("a"), 9).await.unwrap(), "before");
    // Again it is written.
    writes.put(&key("a"), content.clone()).await.unwrap();
    assert!(writes.get_bytes(&key("a"), 200_000).await.unwrap() == content);
}

/// The same of an object of a batch.
#[tokio::test]
async fn a_batch_that_outlives_the_grace_is_not_acknowledged_in_vain() {
    let grace = Duration::from_millis(400);
    let (writes, collects, _, chunks) = slow_writer(grace);
    let (one, two) = (noise(1, 100_000), noise(2, 100_000));
    let other = DedupStore::new(Memory::new(), Memory::new(), small_chunks()).unwrap();
    other.put(&key("a"), one.clone()).await.unwrap();
    let first = keys_of(other.chunks()).await.len() as u64;
    // The second object is slow.
    chunks.add(Fault::delay(3 * grace).on(Operation::Put).skip(first));
    let batch = Batch::new().put(key("a"), one).put(key("b"), two);
    let collecting = async {
        tokio::time::sleep(2 * grace).await;
        collects.collect().await.unwrap().removed
    };
    let batch = writes.batches().unwrap().batch(batch);
    let (done, removed) = tokio::join!(batch, collecting);
    assert!(removed > 5);
    let error = done.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(error.to_string().contains("\"a\""), "{error}");
    assert!(keys_of(&writes).await.is_empty());
}

/// A put takes longer than the grace, and renews its chunks in time.
#[tokio::test]
async fn a_long_put_renews_its_chunks_before_its_manifest() {
    let grace = Duration::from_millis(800);
    let (writes, collects, index, chunks) = slow_writer(grace);
    let content = noise(1, 200_000);
    // The manifest comes so late that the chunks as they were written would be gone.
    index.add(Fault::delay(grace).on(Operation::Put));
    let body = paused(&content, grace * 3 / 4);
    let collecting = async {
        tokio::time::sleep(grace * 9 / 8).await;
        collects.collect().await.unwrap()
    };
    let a = key("a");
    let (put, collected) = tokio::join!(writes.put(&a, body), collecting);
    put.unwrap();
    assert!(
        collected.removed == 0 && collected.spared > 10,
        "{collected:?}"
    );
    assert_eq!(collected.objects, 0, "before the manifest");
    assert!(chunks.calls(Operation::Copy) > 10);
    assert!(writes.get_bytes(&key("a"), 200_000).await.unwrap() == content);
}

/// Renewing the chunks takes too long itself.
#[tokio::test]
async fn renewing_that_outlives_the_grace_is_an_error() {
    let grace = Duration::from_secs(1);
    let (writes, _, index, chunks) = slow_writer(grace);
    let content = noise(1, 200_000);
    chunks.add(Fault::delay(grace / 3).on(Operation::Copy).always());
    let body = paused(&content, grace * 3 / 4);
    let error = writes.put(&key("a"), body).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Transient);
    assert!(error.to_string().contains("grace"), "{error}");
    assert_eq!(index.calls(Operation::Put), 0);
    // Not all of them were tried.
    assert!(chunks.calls(Operation::Copy) < 20, "{chunks:?}");
    // Of a copy too.
    chunks.clear();
    writes.put(&key("a"), content.clone()).await.unwrap();
    tokio::time::sleep(grace * 3 / 4).await;
    chunks.add(Fault::delay(grace / 3).on(Operation::Copy).always());
    let error = writes.copy(&key("a"), &key("b")).await.unwrap_err();
    assert!(
        error.is_transient() && error.to_string().contains("grace"),
        "{error}"
    );
    assert_eq!(index.calls(Operation::Copy), 0);
}

/// Files get a new time, so that a collection of another process sees it.
#[cfg(unix)]
#[tokio::test]
async fn a_chunk_in_a_file_is_renewed() {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let dir = tempfile::tempdir().unwrap();
    let files = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    let grace = Duration::from_secs(2);
    let options = small_chunks().grace(grace);
    let store = DedupStore::new(Memory::new(), files, options).unwrap();
    let content = noise(1, 20_000);
    store.put(&key("a"), content.clone()).await.unwrap();
    let times = async || {
        let entries = store.chunks().list(ListOptions::default());
        let times = entries.map_ok(|entry| (entry.key, entry.metadata.last_modified));
        let times: std::collections::BTreeMap<_, _> = times.try_collect().await.unwrap();
        times
    };
    let first = times().await;
    tokio::time::sleep(grace * 5 / 8).await;
    store.put(&key("b"), content.clone()).await.unwrap();
    let second = times().await;
    tokio::time::sleep(grace * 5 / 8).await;
    store.copy(&key("a"), &key("c")).await.unwrap();
    let third = times().await;
    assert!(first.len() > 2 && first.keys().eq(third.keys()));
    for (key, time) in &first {
        assert!(time.is_some() && second[key] > *time && third[key] > second[key]);
    }
}
