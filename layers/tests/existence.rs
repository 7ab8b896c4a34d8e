//! `ExistenceStore`: one inner call for repeated asks, and never a stale yes.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{StreamExt, stream};
use proptest::prelude::*;
use storehouse_layers::{
    ExistenceOptions, ExistenceStore, Fault, FaultStore, SizeOptions, SizeStore,
};
use storehouse_objectstore::{
    Batch, ErrorClass, Key, Memory, ObjectStore, ObjectStoreExt, Operation,
};

type Store = ExistenceStore<FaultStore<Memory>>;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn store() -> Store {
    ExistenceStore::new(FaultStore::new(Memory::new()))
}

fn heads(store: &Store) -> u64 {
    store.inner().faults().calls(Operation::Head)
}

#[tokio::test]
async fn repeated_asks_make_one_inner_call() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "content").await.unwrap();
    store
        .inner()
        .faults()
        .add(Fault::delay(Duration::from_millis(20)).on(Operation::Head));
    let asks = join_all((0..50).map(|_| store.head(&a))).await;
    assert!(asks.into_iter().all(|head| head.unwrap().size == 7));
    for _ in 0..50 {
        assert!(store.exists(&a).await.unwrap());
    }
    assert_eq!(heads(&store), 1);
    // A get tells as well.
    store.put(&key("b"), "content").await.unwrap();
    store.get(&key("b")).await.unwrap();
    assert!(store.exists(&key("b")).await.unwrap());
    assert_eq!(heads(&store), 1);
}

#[tokio::test]
async fn a_cancelled_asker_does_not_fail_the_others() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "content").await.unwrap();
    store
        .inner()
        .faults()
        .add(Fault::delay(Duration::from_millis(50)).on(Operation::Head));
    let mut first = Box::pin(store.head(&a));
    assert!(futures_util::poll!(&mut first).is_pending());
    tokio::task::yield_now().await;
    let second = store.head(&a);
    drop(first);
    assert_eq!(second.await.unwrap().size, 7);
    assert_eq!(heads(&store), 1);
}

#[tokio::test]
async fn a_no_is_never_remembered() {
    let (store, a) = (store(), key("a"));
    for n in 1..=3 {
        assert!(!store.exists(&a).await.unwrap());
        assert_eq!(heads(&store), n);
    }
    store
        .inner()
        .faults()
        .add(Fault::error(ErrorClass::Fatal).on(Operation::Head));
    store.head(&a).await.unwrap_err();
    // Of others, behind this layer.
    store.inner().put(&a, "content").await.unwrap();
    assert!(store.exists(&a).await.unwrap());
}

#[tokio::test]
async fn every_write_takes_the_answer_back() {
    let (store, a) = (store(), key("a"));
    for n in 0..5 {
        store.put(&a, "content").await.unwrap();
        assert_eq!(store.head(&a).await.unwrap().size, 7);
        match n {
            0 => store.delete(&a).await.unwrap(),
            1 => {
                let keys = stream::iter([a.clone()]).boxed();
                store.delete_many(keys).collect::<Vec<_>>().await;
            }
            2 => {
                let batch = Batch::new().delete(a.clone());
                store.batches().unwrap().batch(batch).await.unwrap();
            }
            3 => {
                store.put(&a, "longer than before").await.unwrap();
                assert_eq!(store.head(&a).await.unwrap().size, 18);
                continue;
            }
            _ => {
                // One whose answer is lost.
                let lost = Fault::lost_answer(ErrorClass::Transient);
                store.inner().faults().add(lost.on(Operation::Delete));
                store.delete(&a).await.unwrap_err();
            }
        }
        assert!(!store.exists(&a).await.unwrap(), "write {n}");
    }
}

#[tokio::test]
async fn events_take_the_answer_back() {
    let (store, a) = (store(), key("a"));
    assert!(store.inner().capabilities().events);
    store.put(&a, "content").await.unwrap();
    store.head(&a).await.unwrap();
    // Behind this layer, as another handle of the same store.
    store.inner().delete(&a).await.unwrap();
    assert!(!store.exists(&a).await.unwrap());
    store.inner().put(&a, "other").await.unwrap();
    assert_eq!(store.head(&a).await.unwrap().size, 5);
    store.inner().put(&a, "longer").await.unwrap();
    assert_eq!(store.head(&a).await.unwrap().size, 6);
    // More than are held for a listener.
    for n in 0..5000 {
        store.inner().put(&key(&format!("k{n}")), "").await.unwrap();
    }
    store.inner().delete(&a).await.unwrap();
    assert!(!store.exists(&a).await.unwrap());
}

#[tokio::test]
async fn a_closed_store_has_no_answers() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "content").await.unwrap();
    store.head(&a).await.unwrap();
    store.close().await.unwrap();
    for _ in 0..3 {
        assert!(store.head(&a).await.unwrap_err().is_closed());
        assert!(store.get(&a).await.unwrap_err().is_closed());
    }
}

#[tokio::test]
async fn a_get_that_finds_nothing_takes_the_answer_back() {
    let (inner, a) = (Memory::new(), key("a"));
    let store = ExistenceStore::new(quiet(inner.clone()));
    store.put(&a, "content").await.unwrap();
    store.head(&a).await.unwrap();
    inner.delete(&a).await.unwrap();
    assert!(
        store.exists(&a).await.unwrap(),
        "a write of others shows later"
    );
    store.get(&a).await.unwrap_err();
    assert!(!store.exists(&a).await.unwrap());
}

/// A store without events.
fn quiet(inner: Memory) -> SizeStore<Memory, Memory> {
    SizeStore::new(inner, Memory::new(), SizeOptions::default()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn answers_are_bounded_by_count_and_time() {
    let options = ExistenceOptions::default()
        .max_keys(100)
        .max_age(Duration::from_secs(10));
    let store = ExistenceStore::with_options(FaultStore::new(Memory::new()), options);
    for n in 0..1000 {
        let key = key(&format!("k{n}"));
        store.put(&key, "").await.unwrap();
        store.head(&key).await.unwrap();
        assert!(store.remembered() <= 100);
    }
    let last = key("k999");
    let before = heads(&store);
    store.head(&last).await.unwrap();
    tokio::time::advance(Duration::from_secs(9)).await;
    store.head(&last).await.unwrap();
    assert_eq!(heads(&store), before);
    tokio::time::advance(Duration::from_secs(2)).await;
    store.head(&last).await.unwrap();
    assert_eq!(heads(&store), before + 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Asks, puts and deletes of one key at once, slow and quick, some of them dropped: once all
    /// are at rest, what is answered is what is there.
    #[test]
    fn no_race_leaves_a_stale_yes(
        steps in proptest::collection::vec((0..4_u8, 0..6_u64, any::<bool>()), 1..30),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            // No events help.
            let inner = FaultStore::new(quiet(Memory::new()));
            let (store, a) = (ExistenceStore::new(inner), key("a"));
            let mut tasks = Vec::new();
            for (step, delay, dropped) in steps {
                let operation = [Operation::Put, Operation::Delete, Operation::Head, Operation::Get]
                    [usize::from(step)];
                let late = if delay % 2 == 0 { Fault::delay(Duration::from_millis(delay)) } else { Fault::lost_answer(ErrorClass::Transient) };
                store.inner().faults().add(late.on(operation));
                let (store, a) = (store.clone(), a.clone());
                let task = tokio::spawn(async move {
                    match step {
                        0 => drop(store.put(&a, "content").await),
                        1 => drop(store.delete(&a).await),
                        2 => drop(store.head(&a).await),
                        _ => drop(store.get(&a).await),
                    }
                });
                tokio::time::sleep(Duration::from_millis(delay / 2)).await;
                if dropped {
                    task.abort();
                }
                tasks.push(task);
            }
            for task in tasks {
                let _ = task.await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            store.inner().faults().clear();
            let there = store.inner().inner().exists(&a).await.unwrap();
            prop_assert_eq!(store.exists(&a).await.unwrap(), there);
            if there {
                let etag = store.inner().inner().head(&a).await.unwrap().etag;
                prop_assert_eq!(store.head(&a).await.unwrap().etag, etag);
            }
            Ok(())
        })?;
    }
}
