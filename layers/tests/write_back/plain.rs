//! What each operation does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use storehouse_layers::{Fault, FaultStore, TieredStore};
use storehouse_objectstore::{
    Body, Error, ErrorClass, GetOptions, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutMode, PutOptions,
};

use crate::fixtures::{all, break_slow, content, key, options, read, reopened, tiered};

#[tokio::test]
async fn a_put_does_not_wait_for_the_slow_tier() {
    let store = tiered(options());
    store.slow().inner().put(&key("old"), "old").await.unwrap();
    store.slow().inner().put(&key("gone"), "old").await.unwrap();
    break_slow(&store);
    store.put(&key("new"), "new").await.unwrap();
    store.put(&key("old"), "newer").await.unwrap();
    store.delete(&key("gone")).await.unwrap();
    assert_eq!(store.due(), 3);
    // Reads see what is due, and the slow tier for the rest.
    for store in [store.clone(), reopened(&store)] {
        assert_eq!(read(&store, "new").await.unwrap(), "new");
        assert_eq!(read(&store, "old").await.unwrap(), "newer");
        assert_eq!(read(&store, "gone").await, None);
        assert!(store.head(&key("gone")).await.unwrap_err().is_not_found());
        assert_eq!(store.head(&key("old")).await.unwrap().size, 5);
        let range = store.get_range(&key("old"), 1..3).await.unwrap();
        assert_eq!(range.body.collect(2).await.unwrap(), "ew");
        let listed = all(&store).await;
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["new", "old"]);
        break_slow(&store);
    }
    assert_eq!(read(store.slow().inner(), "new").await, None);
    store.slow().faults().clear();
    store.flush().await.unwrap();
    assert_eq!(store.due(), 0);
    let slow = all(store.slow().inner()).await;
    assert_eq!(slow, all(&store).await);
    assert_eq!(slow.len(), 2);
    assert_eq!(slow["old"], "newer");
    // No record is left; copies may be.
    let left = ListOptions::default().prefix("storehouse-due-0");
    assert_eq!(store.fast().inner().list(left).count().await, 0);
}

#[tokio::test]
async fn the_list_is_read_at_open_and_the_drain_goes_on() {
    let store = tiered(options());
    break_slow(&store);
    for n in 0..20 {
        let name = format!("k{}", n % 7);
        store.put(&key(&name), content(n, 1000)).await.unwrap();
    }
    store.delete(&key("k3")).await.unwrap();
    let before = all(&store).await;
    let store = reopened(&store);
    for _ in 0..2000 {
        if all(store.slow().inner()).await == before {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(all(store.slow().inner()).await, before);
}

#[tokio::test]
async fn an_object_keeps_its_tag() {
    let store = tiered(options());
    let put = store.put(&key("a"), "1").await.unwrap();
    let due = store.head(&key("a")).await.unwrap();
    assert_eq!(due.etag, put.etag);
    store.flush().await.unwrap();
    let drained = store.head(&key("a")).await.unwrap();
    assert_eq!(
        (&drained.etag, drained.last_modified),
        (&due.etag, due.last_modified)
    );
    let listed = store.list(ListOptions::default()).next().await.unwrap();
    assert_eq!(listed.unwrap().metadata.etag, due.etag);
    let key_a = key("a");
    let matched = GetOptions::default().if_match(put.etag.clone());
    let object = store.get_opts(&key_a, matched).await.unwrap();
    assert_eq!(object.metadata.etag, put.etag);
    let unchanged = GetOptions::default().if_none_match(put.etag.clone());
    let error = store.get_opts(&key_a, unchanged).await.unwrap_err();
    assert!(error.is_not_modified());
    // Conditions of puts too, due or drained.
    let replace = |etag| PutOptions::default().mode(PutMode::Replace(etag));
    let second = store
        .put_opts(&key_a, "2".into(), replace(put.etag.clone()))
        .await
        .unwrap();
    let error = store.put_opts(&key_a, "3".into(), replace(put.etag)).await;
    assert!(error.unwrap_err().is_precondition());
    store.flush().await.unwrap();
    store
        .put_opts(&key_a, "4".into(), replace(second.etag))
        .await
        .unwrap();
    let create = PutOptions::default().mode(PutMode::Create);
    let there = store.put_opts(&key_a, "5".into(), create.clone()).await;
    assert!(there.unwrap_err().is_already_exists());
    store.delete(&key_a).await.unwrap();
    store.put_opts(&key_a, "6".into(), create).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(read(store.slow().inner(), "a").await.unwrap(), "6");
}

#[tokio::test]
async fn a_reader_is_not_disturbed_by_the_drain() {
    for flushed in [false, true] {
        let store = tiered(options().window(1000));
        let bytes = content(1, 500_000);
        break_slow(&store);
        store.put(&key("a"), bytes.clone()).await.unwrap();
        // Breaks in the middle, with the record there or not.
        let cut = Fault::cut(200_000).on(Operation::Get);
        store.fast().faults().add(cut);
        let object = store.get(&key("a")).await.unwrap();
        if flushed {
            store.slow().faults().clear();
            store.flush().await.unwrap();
        }
        assert!(object.body.collect(u64::MAX).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn what_may_be_due_is_bounded() {
    for options in [options().max_due(3), options().max_due_bytes(3 * 1100)] {
        let store = tiered(options);
        break_slow(&store);
        for n in 0..3 {
            store
                .put(&key(&format!("k{n}")), content(n, 1000))
                .await
                .unwrap();
        }
        let name = key("more");
        let more = store.put(&name, content(9, 1000));
        let more = tokio::time::timeout(Duration::from_millis(50), more);
        more.await.unwrap_err();
        // The one that gave up left nothing.
        store.slow().faults().clear();
        store.flush().await.unwrap();
        assert_eq!(read(&store, "more").await, None);
        break_slow(&store);
        let writes = (0..20).map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.put(&key(&format!("w{n}")), content(n, 1000)).await })
        });
        let writes: Vec<_> = writes.collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(store.due(), 3);
        store.slow().faults().clear();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        store.flush().await.unwrap();
        assert_eq!(all(store.slow().inner()).await.len(), 23);
        // A close does not wait for those that wait.
        break_slow(&store);
        let waiting: Vec<_> = (0..5)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(
                    async move { store.put(&key(&format!("x{n}")), content(n, 1000)).await },
                )
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(20)).await;
        store.close().await.unwrap();
        let mut closed = 0;
        for write in waiting {
            if let Err(error) = write.await.unwrap() {
                assert!(error.is_closed(), "{error}");
                closed += 1;
            }
        }
        assert_eq!(closed, 2);
    }
}

#[tokio::test]
async fn what_is_too_large_to_be_due_goes_through_in_order() {
    let store = tiered(options().max_due_bytes(5_000));
    let large = content(1, 100_000);
    let due = Fault::delay(Duration::from_millis(20)).on(Operation::Put);
    store.slow().faults().add(due);
    store.put(&key("a"), "small").await.unwrap();
    store.put(&key("a"), large.clone()).await.unwrap();
    assert_eq!(read(store.slow().inner(), "a").await.unwrap(), large);
    assert_eq!(read(&store, "a").await.unwrap(), large);
    store.put(&key("a"), "small").await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(read(store.slow().inner(), "a").await.unwrap(), "small");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_newest_write_is_the_last_to_arrive() {
    let store = tiered(options());
    let faults = store.slow().faults();
    faults.add(
        Fault::error(ErrorClass::Transient)
            .on(Operation::Put)
            .one_in(3)
            .always(),
    );
    faults.add(
        Fault::lost_answer(ErrorClass::Transient)
            .on(Operation::Put)
            .one_in(3)
            .always(),
    );
    faults.add(Fault::delay(Duration::from_millis(1)).one_in(2).always());
    let writers = (0..4_usize).map(|writer| {
        let store = store.clone();
        tokio::spawn(async move {
            let name = key(&format!("k{writer}"));
            for n in 0..100 {
                match n % 10 {
                    3 => store.delete(&name).await.unwrap(),
                    // A stream, which is slower than what comes after it.
                    5 => {
                        let pieces = [content(n, 500), content(n + 1, 500)];
                        let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Error>)));
                        store.put(&name, body.with_size(1000)).await.unwrap();
                    }
                    _ => drop(store.put(&name, content(n, 1000)).await.unwrap()),
                }
                if n % 10 == 3 {
                    assert!(store.head(&name).await.unwrap_err().is_not_found());
                } else {
                    assert_eq!(store.head(&name).await.unwrap().size, 1000);
                }
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    store.flush().await.unwrap();
    for n in 0..4 {
        let name = format!("k{n}");
        assert!(read(store.slow().inner(), &name).await.unwrap() == content(99, 1000));
    }
}

#[tokio::test]
async fn a_damaged_record_is_named() {
    let store = tiered(options());
    break_slow(&store);
    store.put(&key("a"), "content").await.unwrap();
    let prefix = ListOptions::default().prefix("storehouse-due-");
    let entry = store.fast().inner().list(prefix).next().await.unwrap();
    let record = entry.unwrap().key;
    store.fast().inner().put(&record, "nonsense").await.unwrap();
    let store = reopened(&store);
    let error = store.get(&key("a")).await.unwrap_err().to_string();
    assert!(error.contains(record.as_str()), "{error}");
    assert!(store.flush().await.is_err());
    store.fast().inner().delete(&record).await.unwrap();
    assert_eq!(read(&store, "a").await, None);
}

#[tokio::test]
async fn keys_of_the_list_are_not_for_objects() {
    let store = tiered(options());
    let reserved = key("storehouse-due-0000000000000001");
    break_slow(&store);
    store.put(&key("a"), "content").await.unwrap();
    assert!(store.get(&reserved).await.unwrap_err().is_not_found());
    assert!(store.put(&reserved, "mine").await.is_err());
    store.delete(&reserved).await.unwrap();
    assert_eq!(read(&store, "a").await.unwrap(), "content");
    assert_eq!(all(&reopened(&store)).await.len(), 1);
}

#[tokio::test]
async fn the_tasks_end_with_the_store() {
    let (fast, slow) = (Arc::new(Memory::new()), FaultStore::new(Memory::new()));
    slow.faults()
        .add(Fault::error(ErrorClass::Transient).always());
    let store = TieredStore::with_options(Arc::clone(&fast), slow, options());
    store.put(&key("a"), "content").await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(Arc::strong_count(&fast) > 1);
    drop(store);
    for _ in 0..1000 {
        if Arc::strong_count(&fast) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the fast tier is still held");
}

#[tokio::test]
async fn a_fast_tier_that_takes_no_records_is_named() {
    let fast = TieredStore::with_options(Memory::new(), Memory::new(), options());
    let store = TieredStore::with_options(fast, Memory::new(), options());
    let error = store.put(&key("a"), "content").await.unwrap_err();
    assert!(error.to_string().contains("fast: "), "{error}");
}
