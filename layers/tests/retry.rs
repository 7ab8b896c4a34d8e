//! `RetryStore` over a store that fails by script.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::{Fault, FaultStore, RetryOptions, RetryStore};
use storehouse_objectstore::{
    Batch, Body, Error, ErrorClass, GetOptions, Key, ListOptions, Memory, ObjectStore,
    ObjectStoreExt, Operation, PutMode, PutOptions,
};
use tokio::time::Instant;

type Failing = RetryStore<FaultStore<Memory>>;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn store() -> Failing {
    RetryStore::new(FaultStore::new(Memory::new()))
}

fn transient() -> Fault {
    Fault::error(ErrorClass::Transient)
}

fn streamed(bytes: &'static str) -> Body {
    let pieces = bytes
        .as_bytes()
        .chunks(2)
        .map(|piece| Ok::<_, Error>(Bytes::from_static(piece)));
    Body::from_stream(stream::iter(pieces)).with_size(bytes.len() as u64)
}

#[tokio::test(start_paused = true)]
async fn transient_errors_of_every_operation_are_repeated() {
    let (store, a) = (store(), key("a"));
    let faults = store.inner().faults();
    for lost in [false, true] {
        let fault = |operation| {
            let fault = if lost {
                Fault::lost_answer(ErrorClass::Transient)
            } else {
                transient()
            };
            faults.add(fault.on(operation).times(3));
        };
        fault(Operation::Put);
        store.put(&a, "0123456789").await.unwrap();
        fault(Operation::Get);
        assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "0123456789");
        fault(Operation::Head);
        assert_eq!(store.head(&a).await.unwrap().size, 10);
        fault(Operation::List);
        let listed: Vec<_> = store
            .list(ListOptions::default())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed.len(), 1);
        fault(Operation::Batch);
        let batch = Batch::new().put(key("b"), "b").delete(key("c"));
        store.batches().unwrap().batch(batch).await.unwrap();
        fault(Operation::Delete);
        store.delete(&a).await.unwrap();
        fault(Operation::Delete);
        let many = stream::iter([a.clone(), key("b")]).boxed();
        let gone: Vec<_> = store.delete_many(many).try_collect().await.unwrap();
        assert_eq!(gone.len(), 2);
        assert!(!store.exists(&key("b")).await.unwrap());
    }
    faults.add(transient().on(Operation::Close).times(3));
    store.close().await.unwrap();
    assert_eq!(faults.happened(), 2 * 7 * 3 + 3);
}

#[tokio::test(start_paused = true)]
async fn other_classes_are_asked_once() {
    let (store, a) = (store(), key("a"));
    let faults = store.inner().faults();
    assert!(store.get(&a).await.unwrap_err().is_not_found());
    assert!(store.head(&a).await.unwrap_err().is_not_found());
    assert_eq!(
        (faults.calls(Operation::Get), faults.calls(Operation::Head)),
        (1, 1)
    );
    faults.add(Fault::error(ErrorClass::Fatal).on(Operation::Put));
    store.put(&a, "x").await.unwrap_err();
    faults.add(Fault::error_with(|operation, key| {
        Error::io(
            operation,
            key,
            "full",
            std::io::ErrorKind::StorageFull.into(),
        )
    }));
    assert!(store.put(&a, "x").await.unwrap_err().is_full());
    assert_eq!(faults.calls(Operation::Put), 2);
    faults.add(transient().on(Operation::Health));
    store.health().await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn attempts_and_budget_end_it() {
    let options = RetryOptions::default().attempts(4);
    let store = RetryStore::with_options(FaultStore::new(Memory::new()), options.clone());
    let (a, faults) = (key("a"), store.inner().faults());
    faults.add(transient().always());
    assert!(store.head(&a).await.unwrap_err().is_transient());
    assert_eq!(faults.calls(Operation::Head), 4);

    let second = Duration::from_secs(1);
    let options = options
        .attempts(u32::MAX)
        .min_pause(second)
        .max_pause(second)
        .budget(10 * second);
    let store = RetryStore::with_options(FaultStore::new(Memory::new()), options);
    store.inner().faults().add(transient().always());
    let started = Instant::now();
    assert!(store.head(&a).await.unwrap_err().is_transient());
    assert!(started.elapsed() <= 10 * second, "{:?}", started.elapsed());
    let calls = store.inner().faults().calls(Operation::Head);
    assert!(
        (5..=11).contains(&calls),
        "{calls} attempts of 1 to 2 seconds in 10"
    );
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_put_again_only_if_nothing_of_it_was_read() {
    let (store, a) = (store(), key("a"));
    let faults = store.inner().faults();
    faults.add(transient().on(Operation::Put).times(2));
    store.put(&a, streamed("untouched")).await.unwrap();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "untouched");
    assert_eq!(faults.calls(Operation::Put), 3);

    for at in [1, 4, 5] {
        faults.add(Fault::cut(at).on(Operation::Put));
        assert!(
            store
                .put(&a, streamed("other"))
                .await
                .unwrap_err()
                .is_transient()
        );
    }
    assert_eq!(faults.calls(Operation::Put), 6, "each once");
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "untouched");
    // One in memory is put again.
    faults.add(Fault::cut(3).on(Operation::Put));
    store.put(&a, "memory").await.unwrap();
    assert_eq!(store.get_bytes(&a, 9).await.unwrap(), "memory");
}

#[tokio::test(start_paused = true)]
async fn a_file_is_put_again() {
    let (store, a) = (store(), key("a"));
    let content: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&content).unwrap();
    let faults = store.inner().faults();
    for (n, at) in [0, 1, 600_000, 1_999_999, 2_000_000]
        .into_iter()
        .enumerate()
    {
        faults.add(Fault::cut(at).on(Operation::Put).skip(n as u64));
    }
    let body = Body::from_path(file.path()).await.unwrap();
    store.put(&a, body).await.unwrap();
    assert_eq!(store.get_bytes(&a, u64::MAX).await.unwrap(), content);
    assert_eq!(faults.calls(Operation::Put), 6);
    // A part of it, from where it stands.
    use std::io::{Seek, SeekFrom};
    let mut open = file.reopen().unwrap();
    open.seek(SeekFrom::Start(1_500_000)).unwrap();
    faults.add(Fault::cut(70_000).on(Operation::Put));
    store.put(&a, Body::from_file(open).unwrap()).await.unwrap();
    assert_eq!(
        store.get_bytes(&a, u64::MAX).await.unwrap(),
        content[1_500_000..]
    );
    assert_eq!(faults.calls(Operation::Put), 8);
}

#[tokio::test(start_paused = true)]
async fn a_conditional_put_whose_answer_was_lost_is_not_repeated() {
    let (store, a) = (store(), key("a"));
    let faults = store.inner().faults();
    let create = PutOptions::default().mode(PutMode::Create);
    let lost = || faults.add(Fault::lost_answer(ErrorClass::Transient).on(Operation::Put));
    // Repeated, it would find its own object and say that another was first.
    lost();
    let put = store.put_opts(&a, "mine".into(), create.clone()).await;
    assert!(put.unwrap_err().is_transient());
    let etag = store.head(&a).await.unwrap().etag;
    lost();
    let replace = PutOptions::default().mode(PutMode::Replace(etag));
    let put = store.put_opts(&a, "more".into(), replace).await;
    assert!(put.unwrap_err().is_transient());
    assert_eq!(faults.calls(Operation::Put), 2);
    // Before a byte was read it did nothing.
    faults.add(transient().on(Operation::Put));
    store
        .put_opts(&key("b"), "b".into(), create.clone())
        .await
        .unwrap();
    assert_eq!(faults.calls(Operation::Put), 4);
    // The caller says that there is nothing to confuse.
    lost();
    let put = store
        .put_opts(&key("c"), "c".into(), create.content_addressed(true))
        .await;
    assert!(put.unwrap_err().is_already_exists());
    let batch = Batch::new().create(key("d"), "d");
    faults.add(transient().on(Operation::Batch));
    store.batches().unwrap().batch(batch).await.unwrap_err();
    assert_eq!(faults.calls(Operation::Batch), 1);
}

#[tokio::test(start_paused = true)]
async fn a_get_that_breaks_goes_on_with_the_same_version_only() {
    let (store, a) = (store(), key("a"));
    store.put(&a, "0123456789").await.unwrap();
    let faults = store.inner().faults();
    faults.add(Fault::cut(3).on(Operation::Get));
    let body = store.get(&a).await.unwrap().body;
    store.put(&a, "abcdefghij").await.unwrap();
    let mut got = Vec::new();
    let error = body.try_for_each(|piece| {
        got.extend(piece);
        futures_util::future::ok(())
    });
    assert!(error.await.unwrap_err().is_transient());
    assert_eq!(got, b"012", "never bytes of two versions");
    // As does one that was deleted.
    faults.add(Fault::cut(3).on(Operation::Get));
    let body = store.get(&a).await.unwrap().body;
    store.delete(&a).await.unwrap();
    assert!(body.collect(10).await.unwrap_err().is_transient());
    // A body that ends early without an error goes on too.
    store.put(&a, "0123456789").await.unwrap();
    faults.add(Fault::short(4).on(Operation::Get));
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "0123456789");
    // A verdict is not repeated.
    faults.add(Fault::cut_with(10, ErrorClass::Fatal).on(Operation::Get));
    store.get_bytes(&a, 10).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_after_its_last_key() {
    let store = store();
    for n in 0..50 {
        store.put(&key(&format!("k{n:02}")), "").await.unwrap();
    }
    let faults = store.inner().faults();
    for n in 0..9 {
        faults.add(Fault::cut(5).on(Operation::List).skip(2 * n));
        faults.add(transient().on(Operation::List).skip(2 * n + 1));
    }
    for (limit, expected) in [(None, 50), (Some(20), 20)] {
        let options = ListOptions::default().prefix("k").limit(limit);
        let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
        let keys: Vec<_> = listed.iter().map(|entry| entry.key.to_string()).collect();
        let all: Vec<_> = (0..expected).map(|n| format!("k{n:02}")).collect();
        assert_eq!(keys, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Faults anywhere in the stream of any range, over a store that streams: the exact bytes.
    #[test]
    fn scripted_faults_mid_stream_give_the_exact_bytes(
        size in 0_usize..300_000,
        cuts in proptest::collection::vec((0_u64..200_000, any::<bool>()), 0..12),
        range in proptest::option::of((any::<proptest::sample::Index>(), any::<proptest::sample::Index>())),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let flatfs = FlatFs::open(dir.path(), FlatFsOptions::default()).await.unwrap();
            let options = RetryOptions::default()
                .attempts(20)
                .min_pause(Duration::from_micros(1))
                .max_pause(Duration::from_micros(1));
            let store = RetryStore::with_options(FaultStore::new(flatfs), options);
            let content: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
            store.put(&key("a"), content.clone()).await.unwrap();
            for (n, (at, short)) in cuts.into_iter().enumerate() {
                let fault = if short { Fault::short(at) } else { Fault::cut(at) };
                // One each for the get and what goes on.
                store.inner().faults().add(fault.on(Operation::Get).skip(n as u64));
            }
            let (options, expected) = match range {
                Some((a, b)) if size > 0 => {
                    let (a, b) = (a.index(size), b.index(size));
                    let (first, last) = (a.min(b), a.max(b));
                    let range = first as u64..=last as u64;
                    (GetOptions::default().range(range), &content[first..=last])
                }
                _ => (GetOptions::default(), &content[..]),
            };
            let object = store.get_opts(&key("a"), options).await.unwrap();
            prop_assert_eq!(object.body.size(), Some(expected.len() as u64));
            let got = object.body.collect(u64::MAX).await.unwrap();
            prop_assert!(got == expected);
            Ok(())
        })?;
    }
}
