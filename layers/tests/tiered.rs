//! `TieredStore`: one slow read for many readers, copies whole or not at all, and none that is old.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{Fault, FaultStore, TierDirection, TieredOptions, TieredStore};
use storehouse_objectstore::{
    Batch, Body, Error, ErrorClass, GetOptions, Key, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutOptions,
};

type Tiered = TieredStore<FaultStore<Memory>, FaultStore<Memory>>;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
}

fn tiered(options: TieredOptions) -> Tiered {
    TieredStore::with_options(
        FaultStore::new(Memory::new()),
        FaultStore::new(Memory::new()),
        options,
    )
}

/// The number of slow reads.
fn slow_gets(store: &Tiered) -> u64 {
    store.slow().faults().calls(Operation::Get)
}

/// Waits until nothing is being copied.
async fn copied(store: &Tiered, key: &Key) {
    for _ in 0..1000 {
        if store.fast().inner().exists(key).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("no copy of {key:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_cold_readers_make_one_slow_read() {
    for window in [0, 1 << 20, u64::MAX] {
        let store = tiered(TieredOptions::default().window(window));
        let (a, bytes) = (key("a"), content(3_000_000));
        store.slow().put(&a, bytes.clone()).await.unwrap();
        // Slow enough that all readers come while it lasts.
        for at in [0, 1_000_000, 2_500_000] {
            let stall = Fault::stall(at, Duration::from_millis(20));
            store.slow().faults().add(stall.on(Operation::Get));
        }
        let readers = (0..50).map(|n| {
            let (store, a, bytes) = (store.clone(), a.clone(), bytes.clone());
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(n)).await;
                assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
            })
        });
        for reader in join_all(readers).await {
            reader.unwrap();
        }
        assert_eq!(slow_gets(&store), 1, "with a window of {window} bytes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_leader_does_not_fail_its_followers() {
    let store = tiered(TieredOptions::default());
    let (a, bytes) = (key("a"), content(2_000_000));
    store.slow().put(&a, bytes.clone()).await.unwrap();
    let stall = |at| Fault::stall(at, Duration::from_millis(50)).on(Operation::Get);
    store.slow().faults().add(stall(0));
    store.slow().faults().add(stall(1_000_000));
    let leader = {
        let (store, a) = (store.clone(), a.clone());
        tokio::spawn(async move { store.get_bytes(&a, u64::MAX).await })
    };
    tokio::time::sleep(Duration::from_millis(10)).await;
    let follower = store.get(&a).await.unwrap();
    leader.abort();
    assert!(leader.await.is_err());
    assert!(follower.body.collect(u64::MAX).await.unwrap() == bytes);
    assert_eq!(slow_gets(&store), 1);
    // One who dropped its body half read, and another who leaves it unread.
    let b = key("b");
    store.slow().put(&b, bytes.clone()).await.unwrap();
    let mut first = store.get(&b).await.unwrap().body;
    first.next().await.unwrap().unwrap();
    let unread = store.get(&b).await.unwrap();
    drop(first);
    assert!(store.get_bytes(&b, u64::MAX).await.unwrap() == bytes);
    copied(&store, &b).await;
    assert!(unread.body.collect(u64::MAX).await.unwrap() == bytes);
    assert_eq!(slow_gets(&store), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_is_whole_or_not_there() {
    for (n, fault) in [Fault::cut(1_500_000), Fault::short(1_500_000)]
        .into_iter()
        .enumerate()
    {
        let store = tiered(TieredOptions::default());
        let (a, bytes) = (key("a"), content(2_000_000));
        store.slow().put(&a, bytes.clone()).await.unwrap();
        // The slow tier breaks: the reader goes on there, and there is no copy.
        store.slow().faults().add(fault.on(Operation::Get));
        let read = store.get_bytes(&a, u64::MAX).await;
        assert!(read.unwrap() == bytes, "{n}");
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!store.fast().inner().exists(&a).await.unwrap());
        // The fast tier breaks.
        store
            .fast()
            .faults()
            .add(Fault::cut(700_000).on(Operation::Put));
        assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!store.fast().inner().exists(&a).await.unwrap());
        store.get(&a).await.unwrap();
        copied(&store, &a).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_fast_tier_fails_no_read() {
    let store = tiered(TieredOptions::default());
    let (a, bytes) = (key("a"), content(2_000_000));
    store.put(&a, bytes.clone()).await.unwrap();
    copied(&store, &a).await;
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
    assert_eq!(slow_gets(&store), 0, "the put made a copy");
    // The body of the copy breaks, which is the second get of the fast tier.
    store
        .fast()
        .faults()
        .add(Fault::cut(900_000).on(Operation::Get).skip(1));
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
    assert_eq!(slow_gets(&store), 1);
    let fatal = Fault::error(ErrorClass::Fatal);
    store.fast().faults().add(fatal.on(Operation::Get).always());
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
    assert_eq!(store.head(&a).await.unwrap().size, 2_000_000);
    let range = store.get_range(&a, 5..1_000_005).await.unwrap();
    assert!(range.body.collect(u64::MAX).await.unwrap() == bytes[5..1_000_005]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_of_a_trailer_is_a_miss() {
    let store = tiered(TieredOptions::default());
    store.put(&key("a"), "content").await.unwrap();
    let copy = store
        .fast()
        .inner()
        .get_bytes(&key("a"), u64::MAX)
        .await
        .unwrap();
    for damaged in [
        copy.slice(1..),
        copy.slice(..copy.len() - 1),
        Bytes::new(),
        "x".into(),
    ] {
        store.fast().inner().put(&key("a"), damaged).await.unwrap();
        assert_eq!(store.get_bytes(&key("a"), 7).await.unwrap(), "content");
    }
}

#[tokio::test]
async fn a_put_is_in_the_slow_tier_first_and_a_failed_one_leaves_no_copy() {
    let store = tiered(TieredOptions::default());
    let a = key("a");
    store.put(&a, "first").await.unwrap();
    assert_eq!(
        store.slow().inner().get_bytes(&a, 9).await.unwrap(),
        "first"
    );
    let fatal = || Fault::error(ErrorClass::Fatal);
    store.slow().faults().add(fatal().on(Operation::Put));
    store.put(&a, "second").await.unwrap_err();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "first");
    // Its answer is lost: the object is there, and no copy hides it.
    store
        .slow()
        .faults()
        .add(Fault::lost_answer(ErrorClass::Transient).on(Operation::Put));
    store.put(&a, "second").await.unwrap_err();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "second");
    // A fast tier that cannot forget keeps the object from changing.
    store.fast().faults().add(fatal().on(Operation::Delete));
    store.put(&a, "third").await.unwrap_err();
    assert_eq!(
        store.slow().inner().get_bytes(&a, 9).await.unwrap(),
        "second"
    );
    // One that cannot store makes no difference.
    store.fast().faults().add(fatal().on(Operation::Put));
    store.put(&a, "fourth").await.unwrap();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "fourth");
}

#[tokio::test]
async fn a_delete_is_of_the_slow_tier_first() {
    let store = tiered(TieredOptions::default());
    let a = key("a");
    store.put(&a, "content").await.unwrap();
    let fatal = || Fault::error(ErrorClass::Fatal).on(Operation::Delete);
    store.slow().faults().add(fatal());
    store.delete(&a).await.unwrap_err();
    assert!(store.fast().inner().exists(&a).await.unwrap());
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "content");
    store.fast().faults().add(fatal());
    store.delete(&a).await.unwrap_err();
    assert!(!store.slow().inner().exists(&a).await.unwrap());
    store.delete(&a).await.unwrap();
    assert!(!store.fast().inner().exists(&a).await.unwrap());
    assert!(store.get(&a).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn directions_say_who_makes_copies() {
    for (direction, by_put, by_get) in [
        (TierDirection::Both, true, true),
        (TierDirection::Get, false, true),
        (TierDirection::Update, true, false),
        (TierDirection::ReadOnly, false, false),
    ] {
        let store = tiered(TieredOptions::default().fast(direction));
        store.put(&key("put"), "content").await.unwrap();
        store.slow().put(&key("get"), "content").await.unwrap();
        store.get_bytes(&key("get"), 9).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let fast = store.fast().inner();
        assert_eq!(
            fast.exists(&key("put")).await.unwrap(),
            by_put,
            "{direction:?}"
        );
        assert_eq!(
            fast.exists(&key("get")).await.unwrap(),
            by_get,
            "{direction:?}"
        );
        let writes = store.fast().faults().calls(Operation::Delete);
        assert_eq!(writes > 0, direction != TierDirection::ReadOnly);
    }
    let store = tiered(TieredOptions::default().slow_read_only(true));
    store.slow().put(&key("a"), "content").await.unwrap();
    let refused = store.put(&key("a"), "other").await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    assert!(matches!(
        store.delete(&key("a")).await,
        Err(Error::Unsupported { .. })
    ));
    assert!(store.batches().is_none() && !store.capabilities().create);
    assert_eq!(store.get_bytes(&key("a"), 9).await.unwrap(), "content");
}

#[tokio::test]
async fn not_found_is_asked_once_by_many_and_makes_no_copy() {
    let store = tiered(TieredOptions::default());
    store.slow().faults().add(
        Fault::delay(Duration::from_millis(20))
            .on(Operation::Get)
            .always(),
    );
    let readers = (0..50).map(|_| async { store.get(&key("a")).await.unwrap_err().is_not_found() });
    assert!(
        join_all(readers)
            .await
            .into_iter()
            .all(|not_found| not_found)
    );
    assert_eq!(slow_gets(&store), 1);
    store.put(&key("a"), "there").await.unwrap();
    assert_eq!(store.get_bytes(&key("a"), 9).await.unwrap(), "there");
}

#[tokio::test]
async fn ranges_are_of_the_copy_or_go_to_the_slow_tier() {
    let (a, bytes) = (key("a"), content(1_000_000));
    for fill in [false, true] {
        let store = tiered(TieredOptions::default().fill_ranges(fill).window(1000));
        store.slow().put(&a, bytes.clone()).await.unwrap();
        for range in [0..10, 500_000..900_000, 999_999..1_000_000] {
            let object = store.get_range(&a, range.clone()).await.unwrap();
            let expected = &bytes[range.start as usize..range.end as usize];
            assert!(object.body.collect(u64::MAX).await.unwrap() == expected);
        }
        if fill {
            copied(&store, &a).await;
            assert_eq!(slow_gets(&store), 1);
        } else {
            assert_eq!(slow_gets(&store), 3);
            assert!(!store.fast().inner().exists(&a).await.unwrap());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_forgets_the_copies_of_its_keys() {
    let store = tiered(TieredOptions::default());
    let (a, b) = (key("a"), key("b"));
    store.put(&a, "old").await.unwrap();
    store.put(&b, "old").await.unwrap();
    let batch = Batch::new()
        .put(a.clone(), "new")
        .delete(b.clone())
        .put(a.clone(), "newer");
    store.batches().unwrap().batch(batch).await.unwrap();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "newer");
    assert!(!store.exists(&b).await.unwrap());
}

/// Readers, writers and copies of one key at once: what is read was put, and never an older version
/// than was there when the read began.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_copy_is_old() {
    let store = tiered(TieredOptions::default().window(2000));
    let a = key("a");
    let version = |n: u32| -> Bytes { n.to_le_bytes().repeat(2_500).into() };
    store.put(&a, version(0)).await.unwrap();
    let put = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let writer = {
        let (store, a, put) = (store.clone(), a.clone(), Arc::clone(&put));
        tokio::spawn(async move {
            for n in 1..=300 {
                let body = if n % 2 == 0 {
                    version(n).into()
                } else {
                    let pieces: Vec<_> =
                        version(n).chunks(999).map(Bytes::copy_from_slice).collect();
                    Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, Error>)))
                };
                let options = PutOptions::default().size(10_000);
                store.put_opts(&a, body, options).await.unwrap();
                put.store(n, std::sync::atomic::Ordering::SeqCst);
                tokio::task::yield_now().await;
            }
        })
    };
    let readers = (0..4).map(|_| {
        let (store, a, put) = (store.clone(), a.clone(), Arc::clone(&put));
        tokio::spawn(async move {
            loop {
                let before = put.load(std::sync::atomic::Ordering::SeqCst);
                let object = store.get_opts(&a, GetOptions::default()).await.unwrap();
                let pieces: Vec<Bytes> = object.body.try_collect().await.unwrap();
                let read = pieces.concat();
                let seen = u32::from_le_bytes(read[..4].try_into().unwrap());
                assert!(read == version(seen), "one version");
                assert!(seen >= before, "version {seen} after {before}");
                if before == 300 {
                    return;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    writer.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
}
