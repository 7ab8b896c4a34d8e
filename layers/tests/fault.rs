//! `FaultStore`: each fault happens as scripted, and the same script gives the same faults.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Batch, Body, Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutOptions,
};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

async fn store() -> FaultStore<Memory> {
    let store = FaultStore::new(Memory::new());
    store.put(&key("a"), "0123456789").await.unwrap();
    store
}

#[tokio::test]
async fn every_operation_fails_with_every_class_and_then_works() {
    for class in [
        ErrorClass::Transient,
        ErrorClass::Fatal,
        ErrorClass::NotFound,
        ErrorClass::Conflict,
        ErrorClass::InvalidInput,
        ErrorClass::NotModified,
    ] {
        let (store, a) = (store().await, key("a"));
        for operation in [
            Operation::Put,
            Operation::Get,
            Operation::Head,
            Operation::Delete,
        ] {
            store.faults().add(Fault::error(class).on(operation));
            let mut errors = Vec::new();
            for round in 0..2 {
                let failed = match operation {
                    Operation::Put => store.put(&a, "0123456789").await.err(),
                    Operation::Get => store.get_bytes(&a, 10).await.err(),
                    Operation::Head => store.head(&a).await.err(),
                    _ => store.delete(&a).await.err(),
                };
                errors.extend(failed.map(|error| (round, error.class())));
            }
            assert_eq!(errors, [(0, class)], "{operation}");
        }
    }
}

#[tokio::test]
async fn streams_batches_health_and_close_fail_too() {
    let store = store().await;
    let faults = store.faults();
    for operation in [
        Operation::List,
        Operation::Health,
        Operation::Batch,
        Operation::Close,
    ] {
        faults.add(Fault::error(ErrorClass::Fatal).on(operation));
    }
    faults.add(
        Fault::error(ErrorClass::Transient)
            .on(Operation::Delete)
            .under("b"),
    );
    let listed: Vec<_> = store.list(ListOptions::default()).collect().await;
    assert!(matches!(&listed[..], [Err(Error::Backend { .. })]));
    store.health().await.unwrap_err();
    let batch = Batch::new().put(key("b"), "b");
    store.batches().unwrap().batch(batch).await.unwrap_err();
    store.close().await.unwrap_err();
    assert!(!store.exists(&key("b")).await.unwrap());
    let gone: Vec<_> = store
        .delete_many(stream::iter([key("a"), key("b"), key("c")]).boxed())
        .map(|gone| gone.ok())
        .collect()
        .await;
    assert_eq!(gone, [Some(key("a")), None, Some(key("c"))]);
    assert_eq!(faults.happened(), 5);
    assert_eq!(faults.calls(Operation::Delete), 3);
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_of_an_operation_that_happened() {
    let store = FaultStore::new(Memory::new());
    store
        .faults()
        .add(Fault::lost_answer(ErrorClass::Transient).on(Operation::Put));
    store.put(&key("a"), "there").await.unwrap_err();
    assert_eq!(store.get_bytes(&key("a"), 5).await.unwrap(), "there");
}

#[tokio::test]
async fn bodies_are_cut_shortened_and_altered_where_told() {
    let (store, a) = (store().await, key("a"));
    for at in [0, 1, 9, 10] {
        store.faults().add(Fault::cut(at));
        let mut body = store.get(&a).await.unwrap().body;
        let mut got = Vec::new();
        let error = loop {
            match body.try_next().await {
                Ok(Some(piece)) => got.extend(piece),
                Ok(None) => panic!("the body is cut after {at} bytes"),
                Err(error) => break error,
            }
        };
        assert!(error.is_transient());
        assert_eq!(got, b"0123456789"[..at as usize]);

        store.faults().add(Fault::short(at));
        let got = store.get_bytes(&a, 10).await.unwrap();
        assert_eq!(got, b"0123456789"[..at as usize]);
    }
    // At the object's offset, also in a range.
    store.faults().add(Fault::flip(4, 0x01).times(2));
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "0123556789");
    let range = store.get_range(&a, 3..6).await.unwrap();
    assert_eq!(range.body.collect(3).await.unwrap(), "355");
    // On the way in: a cut stores nothing, a flip stores the wrong byte.
    store.faults().add(Fault::cut(4).on(Operation::Put));
    store.put(&a, "abcdefghij").await.unwrap_err();
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "0123456789");
    store.faults().add(Fault::flip(0, 0x20).on(Operation::Put));
    store.put(&a, "abcdefghij").await.unwrap();
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "Abcdefghij");
}

#[tokio::test(start_paused = true)]
async fn delays_and_stalls_take_their_time() {
    let (store, a) = (store().await, key("a"));
    let started = tokio::time::Instant::now();
    store
        .faults()
        .add(Fault::delay(Duration::from_secs(3)).on(Operation::Head));
    store.head(&a).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 3);
    store.faults().add(Fault::stall(5, Duration::from_secs(4)));
    store.faults().add(Fault::stall(7, Duration::from_secs(5)));
    // Both are of the one get.
    let mut body = store.get(&a).await.unwrap().body;
    for (bytes, seconds) in [("01234", 3), ("56", 7), ("789", 12)] {
        assert_eq!(body.try_next().await.unwrap().unwrap(), bytes);
        assert_eq!(started.elapsed().as_secs(), seconds);
    }
    store.faults().add(Fault::delay(Duration::MAX));
    let never = tokio::time::timeout(Duration::from_secs(1 << 20), store.head(&a)).await;
    assert!(never.is_err());
}

#[tokio::test]
async fn skips_counts_and_prefixes_hold() {
    let (store, a) = (store().await, key("a"));
    store.faults().add(
        Fault::error(ErrorClass::Transient)
            .on(Operation::Head)
            .under("a")
            .skip(2)
            .times(3),
    );
    store.head(&key("b")).await.unwrap_err();
    let mut ok = Vec::new();
    for _ in 0..7 {
        ok.push(store.head(&a).await.is_ok());
    }
    assert_eq!(ok, [true, true, false, false, false, true, true]);
    store.faults().add(Fault::error(ErrorClass::Fatal).always());
    store.faults().clear();
    store.head(&a).await.unwrap();
}

#[tokio::test]
async fn a_seed_gives_the_same_faults_each_time() {
    let run = |seed| async move {
        let store = FaultStore::with_faults(Memory::new(), Faults::seeded(seed));
        store
            .faults()
            .add(Fault::error(ErrorClass::Transient).one_in(4).always());
        let mut failed = Vec::new();
        for n in 0..400 {
            let put = store
                .put_opts(&key("a"), Body::empty(), PutOptions::default())
                .await;
            failed.extend(put.is_err().then_some(n));
        }
        failed
    };
    let (first, again, other) = (run(1).await, run(1).await, run(2).await);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert!((60..140).contains(&first.len()), "{} of 400", first.len());
}

#[tokio::test]
async fn a_listing_breaks_after_its_entries() {
    let store = store().await;
    store.put(&key("b"), "").await.unwrap();
    store.faults().add(Fault::cut(1).on(Operation::List));
    store
        .faults()
        .add(Fault::short(1).on(Operation::List).skip(1));
    let listed: Vec<_> = store.list(ListOptions::default()).collect().await;
    assert!(matches!(&listed[..], [Ok(_), Err(_)]));
    let listed: Vec<_> = store.list(ListOptions::default()).collect().await;
    assert!(matches!(&listed[..], [Ok(_)]));
}
