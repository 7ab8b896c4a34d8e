//! Collections of `DedupStore`, with readers and writers running.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{DedupOptions, DedupStore, Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Body, CopyOptions, Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutOptions,
};

use super::dedup::{key, keys_of, noise, small_chunks};

type Faulty = DedupStore<FaultStore<Memory>, FaultStore<Memory>>;

/// Stores, and the faults of each.
struct Rig {
    store: Faulty,
    index: Faults,
    chunks: Faults,
}

impl Rig {
    fn new(options: DedupOptions) -> Self {
        let (index, chunks) = (
            FaultStore::new(Memory::new()),
            FaultStore::new(Memory::new()),
        );
        let faults = (index.faults().clone(), chunks.faults().clone());
        Self {
            store: DedupStore::new(index, chunks, options).unwrap(),
            index: faults.0,
            chunks: faults.1,
        }
    }

    async fn put(&self, name: &str, content: &Bytes) {
        self.store.put(&key(name), content.clone()).await.unwrap();
    }

    async fn assert_holds(&self, name: &str, content: &Bytes) {
        let len = content.len() as u64;
        let read = self.store.get_bytes(&key(name), len).await.unwrap();
        assert!(read == *content, "{name} is another object");
    }

    /// What a collection leaves is what the objects have.
    async fn assert_exact(&self) {
        let collected = self.store.collect().await.unwrap();
        assert_eq!((collected.spared, collected.missing), (0, 0));
        let there = keys_of(self.store.chunks().inner()).await;
        assert_eq!(there, chunks_of(&self.store).await);
        assert_eq!(there.len() as u64, collected.referenced);
    }
}

/// The chunks that the objects of a store have: those of the same objects in another store.
pub(super) async fn chunks_of(store: &impl ObjectStore) -> std::collections::BTreeSet<String> {
    let other = DedupStore::new(Memory::new(), Memory::new(), small_chunks()).unwrap();
    let mut entries = store.list(ListOptions::default());
    while let Some(entry) = entries.try_next().await.unwrap() {
        let bytes = store.get_bytes(&entry.key, 1 << 30).await.unwrap();
        assert_eq!(bytes.len() as u64, entry.metadata.size);
        other.put(&entry.key, bytes).await.unwrap();
    }
    keys_of(other.chunks()).await
}

#[tokio::test]
async fn what_no_object_has_is_removed() {
    let rig = Rig::new(small_chunks());
    let (one, two) = (noise(1, 100_000), noise(2, 100_000));
    let both: Bytes = [&one[..], &two[..]].concat().into();
    rig.put("a", &one).await;
    rig.put("b", &both).await;
    rig.put("c", &two).await;
    rig.assert_exact().await;
    rig.store.delete(&key("b")).await.unwrap();
    rig.put("c", &noise(3, 50)).await;
    let collected = rig.store.collect().await.unwrap();
    assert_eq!(collected.objects, 2);
    assert_eq!(collected.referenced_bytes, 100_000);
    assert!(collected.removed > 10 && collected.removed_bytes > 90_000);
    rig.assert_exact().await;
    rig.assert_holds("a", &one).await;
    rig.store.delete(&key("a")).await.unwrap();
    rig.store.collect().await.unwrap();
    assert!(keys_of(rig.store.chunks()).await.is_empty());
    // A failed put leaves chunks, for a collection alone.
    let pieces = [Ok(noise(4, 200_000)), Err(std::io::Error::other("broken"))];
    let body = Body::from_stream(stream::iter(pieces)).with_size(300_000);
    rig.store.put(&key("d"), body).await.unwrap_err();
    assert!(!keys_of(rig.store.chunks()).await.is_empty());
    rig.assert_exact().await;
    // What is no chunk stays.
    rig.store.chunks().put(&key("other"), "mine").await.unwrap();
    rig.store.collect().await.unwrap();
    assert_eq!(keys_of(rig.store.chunks()).await.len(), 1);
}

#[tokio::test]
async fn a_reader_keeps_the_chunks_of_what_was_replaced() {
    let rig = Rig::new(small_chunks());
    let content = noise(1, 300_000);
    for replace in [true, false] {
        rig.put("a", &content).await;
        let mut body = rig.store.get(&key("a")).await.unwrap().body;
        let first = body.try_next().await.unwrap().unwrap();
        if replace {
            rig.put("a", &noise(2, 10)).await;
        } else {
            rig.store.delete(&key("a")).await.unwrap();
        }
        let collected = rig.store.collect().await.unwrap();
        assert!(collected.spared > 10 && collected.removed == 0);
        let rest = body.collect(300_000).await.unwrap();
        assert_eq!([first, rest].concat(), content);
        rig.assert_exact().await;
    }
}

#[tokio::test]
async fn a_put_keeps_the_chunks_that_it_found() {
    let rig = Rig::new(small_chunks());
    let content = noise(1, 300_000);
    rig.put("a", &content).await;
    rig.store.delete(&key("a")).await.unwrap();
    // The rest of the body comes after the collection.
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let (first, rest) = (content.slice(..290_000), content.slice(290_000..));
    let rest = stream::once(async move {
        receive.await.ok();
        Ok::<_, std::io::Error>(rest)
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest)).with_size(300_000);
    let store = rig.store.clone();
    let putting = tokio::spawn(async move { store.put(&key("b"), body).await });
    let before = rig.chunks.calls(Operation::Head);
    while rig.chunks.calls(Operation::Head) < before + 30 {
        tokio::task::yield_now().await;
    }
    let collected = rig.store.collect().await.unwrap();
    assert!(collected.spared >= 30, "{collected:?}");
    drop(send);
    putting.await.unwrap().unwrap();
    rig.assert_holds("b", &content).await;
    rig.assert_exact().await;
}

/// A collection that stops between mark and sweep, while an operation goes by.
async fn between_mark_and_sweep(rig: &Rig, operation: impl Future<Output = ()>) {
    let second = Duration::from_secs(1);
    rig.chunks.add(Fault::delay(2 * second).on(Operation::List));
    let store = rig.store.clone();
    let collecting = tokio::spawn(async move { store.collect().await });
    tokio::time::sleep(second).await;
    operation.await;
    assert!(!collecting.is_finished());
    collecting.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_written_after_the_mark_is_not_swept() {
    let rig = Rig::new(small_chunks());
    let (one, two) = (noise(1, 100_000), noise(2, 100_000));
    rig.put("a", &one).await;
    rig.store.delete(&key("a")).await.unwrap();
    between_mark_and_sweep(&rig, async {
        // One that finds its chunks, and one that does not.
        rig.put("b", &one).await;
        rig.put("c", &two).await;
    })
    .await;
    rig.assert_holds("b", &one).await;
    rig.assert_holds("c", &two).await;
    rig.assert_exact().await;
    // A copy of what is deleted before the end.
    between_mark_and_sweep(&rig, async {
        let rename = CopyOptions::default().remove_source(true);
        rig.store
            .copy_opts(&key("c"), &key("A"), rename)
            .await
            .unwrap();
        rig.store.copy(&key("b"), &key("B")).await.unwrap();
        rig.store.delete(&key("b")).await.unwrap();
    })
    .await;
    rig.assert_holds("A", &two).await;
    rig.assert_holds("B", &one).await;
    rig.assert_exact().await;
}

/// A copy from a key that the listing has not reached to one that it has passed, begun before the
/// collection or while it lists.
#[tokio::test(start_paused = true)]
async fn a_copy_behind_the_mark_is_not_swept() {
    let second = Duration::from_secs(1);
    for copies_at in [0, 2] {
        let rig = Rig::new(small_chunks());
        let content = noise(1, 100_000);
        // More than a page of the listing.
        for n in 0..1100 {
            rig.put(&format!("b{n}"), &noise(2, 10)).await;
        }
        rig.put("m", &content).await;
        let listing = Fault::stall(1, 7 * second).on(Operation::List);
        rig.index.add(listing);
        let copied = Fault::delay(3 * second).on(Operation::Copy);
        rig.index.add(copied);
        let (copying, collecting) = (rig.store.clone(), rig.store.clone());
        let copying = async move {
            tokio::time::sleep(copies_at * second).await;
            copying.copy(&key("m"), &key("a")).await?;
            copying.delete(&key("m")).await
        };
        let collecting = async move {
            tokio::time::sleep(second).await;
            collecting.collect().await
        };
        let (copied, collected) = tokio::join!(copying, collecting);
        copied.unwrap();
        assert_eq!(collected.unwrap().objects, 1100);
        rig.assert_holds("a", &content).await;
        rig.assert_exact().await;
    }
}

/// The manifest was read, and its object replaced and its chunks removed, before they were pinned.
#[tokio::test(start_paused = true)]
async fn a_reader_that_comes_too_late_reads_the_object_that_is_there() {
    let rig = Rig::new(small_chunks());
    let (old, new) = (noise(1, 100_000), noise(2, 100_000));
    let second = Duration::from_secs(1);
    for whole in [true, false] {
        rig.put("a", &old).await;
        rig.index
            .add(Fault::stall(10, 2 * second).on(Operation::Get));
        let store = rig.store.clone();
        let reading = tokio::spawn(async move {
            let object = if whole {
                store.get(&key("a")).await?
            } else {
                store.get_range(&key("a"), 0..100_000).await?
            };
            object.body.collect(100_000).await
        });
        tokio::time::sleep(second).await;
        rig.put("a", &new).await;
        assert!(rig.store.collect().await.unwrap().removed > 10);
        assert!(!reading.is_finished());
        assert!(reading.await.unwrap().unwrap() == new);
    }
}

/// The same for a copy: it is of the object that is there, or of none.
#[tokio::test(start_paused = true)]
async fn a_copy_that_comes_too_late_is_of_the_object_that_is_there() {
    let rig = Rig::new(small_chunks());
    let (old, new) = (noise(1, 100_000), noise(2, 100_000));
    let second = Duration::from_secs(1);
    for replace in [true, false] {
        rig.put("a", &old).await;
        rig.index
            .add(Fault::stall(10, 2 * second).on(Operation::Get));
        let store = rig.store.clone();
        let copying = tokio::spawn(async move { store.copy(&key("a"), &key("b")).await });
        tokio::time::sleep(second).await;
        if replace {
            rig.put("a", &new).await;
        } else {
            rig.store.delete(&key("a")).await.unwrap();
        }
        rig.store.collect().await.unwrap();
        let copied = copying.await.unwrap();
        if replace {
            copied.unwrap();
            rig.assert_holds("b", &new).await;
        } else {
            assert!(copied.unwrap_err().is_not_found());
        }
        rig.assert_exact().await;
    }
}

#[tokio::test]
async fn a_collection_that_fails_can_be_run_again() {
    let rig = Rig::new(small_chunks());
    rig.put("a", &noise(1, 400_000)).await;
    rig.put("b", &noise(2, 100_000)).await;
    rig.store.delete(&key("a")).await.unwrap();
    let fault = Fault::error(ErrorClass::Transient)
        .on(Operation::Delete)
        .one_in(3)
        .times(9);
    rig.chunks.add(fault);
    let mut failed = 0;
    while rig.store.collect().await.is_err() {
        failed += 1;
        rig.assert_holds("b", &noise(2, 100_000)).await;
    }
    assert!((1..=9).contains(&failed));
    rig.assert_exact().await;
}

/// Puts of another process find chunks, and are protected by their time.
#[tokio::test]
async fn a_grace_protects_what_other_processes_found() {
    let grace = Duration::from_millis(800);
    let rig = Rig::new(small_chunks().grace(grace));
    let content = noise(1, 30_000);
    rig.put("a", &content).await;
    rig.store.delete(&key("a")).await.unwrap();
    let young = rig.store.collect().await.unwrap();
    assert!(young.removed == 0 && young.spared > 2, "{young:?}");
    // Found while young: as they are.
    rig.put("a", &content).await;
    assert_eq!(rig.chunks.calls(Operation::Copy), 0);
    tokio::time::sleep(grace * 3 / 4).await;
    // Found later: with a new time, without a body.
    let puts = rig.chunks.calls(Operation::Put);
    rig.put("a", &content).await;
    assert_eq!(rig.chunks.calls(Operation::Put), puts);
    assert_eq!(rig.chunks.calls(Operation::Copy), young.spared);
    tokio::time::sleep(grace * 3 / 4).await;
    // Copied later: the same.
    rig.store.copy(&key("a"), &key("b")).await.unwrap();
    assert_eq!(rig.chunks.calls(Operation::Copy), 2 * young.spared);
    rig.store.delete(&key("a")).await.unwrap();
    rig.store.delete(&key("b")).await.unwrap();
    tokio::time::sleep(grace * 3 / 4).await;
    assert_eq!(rig.store.collect().await.unwrap().removed, 0);
    tokio::time::sleep(grace).await;
    assert_eq!(rig.store.collect().await.unwrap().removed, young.spared);
}

#[tokio::test(start_paused = true)]
async fn collections_in_the_background() {
    let hour = Duration::from_secs(3600);
    let rig = Rig::new(small_chunks().collect_every(hour));
    rig.put("a", &noise(1, 50_000)).await;
    rig.store.delete(&key("a")).await.unwrap();
    tokio::time::sleep(hour - Duration::from_secs(1)).await;
    assert!(!keys_of(rig.store.chunks()).await.is_empty());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(keys_of(rig.store.chunks()).await.is_empty());
    rig.store.health().await.unwrap();
    // A failure that passes is not told, and is tried again soon.
    let transient = Fault::error(ErrorClass::Transient).on(Operation::List);
    rig.index.add(transient);
    let before = rig.index.calls(Operation::List);
    tokio::time::sleep(hour + hour / 15).await;
    rig.store.health().await.unwrap();
    assert_eq!(rig.index.calls(Operation::List), before + 2);
    // Another is told, until one does not fail.
    rig.store
        .index()
        .inner()
        .put(&key("b"), "no manifest")
        .await
        .unwrap();
    tokio::time::sleep(hour).await;
    let error = rig.store.health().await.unwrap_err().to_string();
    assert!(
        error.contains("collection") && error.contains("\"b\""),
        "{error}"
    );
    rig.store.delete(&key("b")).await.unwrap();
    tokio::time::sleep(hour).await;
    rig.store.health().await.unwrap();
    // It ends with the store.
    let lists = rig.index.clone();
    let before = lists.calls(Operation::List);
    drop(rig);
    tokio::time::sleep(3 * hour).await;
    assert_eq!(lists.calls(Operation::List), before);
}

/// Health tells why a collection failed, by hand or in the background, until one ends well.
#[tokio::test(start_paused = true)]
async fn a_failed_collection_is_told_until_one_ends_well() {
    let hour = Duration::from_secs(3600);
    let rig = Rig::new(small_chunks().collect_every(hour));
    rig.put("a", &noise(1, 50_000)).await;
    let index = rig.store.index().inner();
    index.put(&key("b"), "no manifest").await.unwrap();
    rig.store.collect().await.unwrap_err();
    let assert_told = async || {
        let error = rig.store.health().await.unwrap_err().to_string();
        assert!(error.contains("\"b\""), "{error}");
    };
    assert_told().await;
    // What passes says nothing of the manifest.
    let passes = || Fault::error(ErrorClass::Transient).on(Operation::List);
    rig.index.add(passes());
    assert!(rig.store.collect().await.unwrap_err().is_transient());
    assert_told().await;
    rig.index.add(passes());
    let (lists, happened) = (rig.index.calls(Operation::List), rig.index.happened());
    tokio::time::sleep(hour + Duration::from_secs(1)).await;
    let listed = rig.index.calls(Operation::List);
    assert_eq!((listed, rig.index.happened()), (lists + 1, happened + 1));
    assert_told().await;
    rig.store.delete(&key("b")).await.unwrap();
    rig.store.collect().await.unwrap();
    rig.store.health().await.unwrap();
    // With its causes.
    rig.chunks.add(Fault::error_with(|operation, key| {
        let cause = std::io::Error::other("the disk is gone");
        Error::io(operation, key, "cannot be listed", cause)
    }));
    rig.store.collect().await.unwrap_err();
    let error = rig.store.health().await.unwrap_err();
    assert!(error.to_string().contains("cannot be listed"), "{error}");
    let cause = std::error::Error::source(&error).unwrap();
    assert_eq!(cause.to_string(), "the disk is gone");
    assert!(cause.source().is_none());
}

/// Content of a version: parts of a pool that all versions share, behind the version's number.
pub(super) fn version(number: u64) -> Bytes {
    let mut content = number.to_le_bytes().to_vec();
    let mut state = number;
    for _ in 0..3 + number % 5 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        content.extend_from_slice(&noise(state >> 61, 20_000));
    }
    content.into()
}

/// Writers, copies, deletes, slow readers and collections at once, in the end against the model.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_readers_and_writers_running() {
    let rig = Arc::new(Rig::new(small_chunks()));
    for faults in [&rig.index, &rig.chunks] {
        let delay = Fault::delay(Duration::from_millis(1));
        faults.add(delay.one_in(23).always());
    }
    let names = ["a", "b", "c", "d"];
    let (next, stop) = (
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (reads, removed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = Vec::new();
    for worker in 0..3_usize {
        let (rig, next, stop) = (rig.clone(), next.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let name = key(names[(number as usize * 7 + worker) % 4]);
                let other = key(names[(number as usize * 5 + 1) % 4]);
                match number % 7 {
                    0 => rig.store.delete(&name).await.unwrap(),
                    1 => match rig.store.copy(&name, &other).await {
                        Err(error) if error.is_not_found() => {}
                        copied => drop(copied.unwrap()),
                    },
                    _ => {
                        let size = PutOptions::default().size(version(number).len() as u64);
                        let pieces = version(number)
                            .chunks(9_000)
                            .map(Bytes::copy_from_slice)
                            .map(Ok::<_, std::io::Error>)
                            .collect::<Vec<_>>();
                        let body = Body::from_stream(stream::iter(pieces));
                        rig.store.put_opts(&name, body, size).await.unwrap();
                    }
                }
            }
        }));
    }
    for reader in 0..2_usize {
        let (rig, reads, stop) = (rig.clone(), reads.clone(), stop.clone());
        tasks.push(tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let name = key(names[(reads.load(Ordering::Relaxed) as usize + reader) % 4]);
                read_slowly(&rig.store, &name).await;
                reads.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    let collector = {
        let (rig, removed, stop) = (rig.clone(), removed.clone(), stop.clone());
        tokio::spawn(async move {
            let mut count = 0;
            while !stop.load(Ordering::Relaxed) {
                let collected = rig.store.collect().await.unwrap();
                assert_eq!(collected.missing, 0);
                removed.fetch_add(collected.removed, Ordering::Relaxed);
                count += 1;
            }
            count
        })
    };
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.store(true, Ordering::Relaxed);
    for task in tasks {
        task.await.unwrap();
    }
    let collections: u64 = collector.await.unwrap();
    assert!(
        collections > 3 && removed.load(Ordering::Relaxed) > 10,
        "{collections} {removed:?}"
    );
    assert!(reads.load(Ordering::Relaxed) > 10, "{reads:?}");
    rig.index.clear();
    rig.chunks.clear();
    for name in names {
        read_slowly(&rig.store, &key(name)).await;
    }
    rig.assert_exact().await;
}

/// Reads an object, which is a whole version or is not there.
async fn read_slowly(store: &Faulty, name: &Key) {
    let object = match store.get(name).await {
        Err(error) if error.is_not_found() => return,
        object => object.unwrap(),
    };
    let mut body = object.body;
    let mut content = Vec::new();
    while let Some(piece) = body.try_next().await.unwrap() {
        content.extend_from_slice(&piece);
        if content.len().is_multiple_of(3) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let number = u64::from_le_bytes(content[..8].try_into().unwrap());
    assert!(content == version(number), "{name} is no version");
}
