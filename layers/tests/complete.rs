//! `CompleteStore`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use proptest::prelude::*;
use storehouse_layers::{CompleteOptions, CompleteStore, Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Batch, BoxError, CopyOptions, ETag, Error, ErrorClass, GetOptions, Key, ListOptions, Memory,
    ObjectStore, ObjectStoreExt, Operation, PutMode, PutOptions,
};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// A record has the key of an object on each line.
fn lines(record: &[u8]) -> Result<Vec<Key>, BoxError> {
    let lines = std::str::from_utf8(record)?.lines();
    Ok(lines.map(Key::new).collect::<Result<_, _>>()?)
}

type Counted = FaultStore<Memory>;

fn counted(options: CompleteOptions) -> (CompleteStore<Counted, Counted>, Faults, Faults) {
    let (records, objects) = (
        FaultStore::new(Memory::new()),
        FaultStore::new(Memory::new()),
    );
    let faults = (records.faults().clone(), objects.faults().clone());
    let store = CompleteStore::with_options(records, objects, lines, options);
    (store, faults.0, faults.1)
}

async fn keys(store: &impl ObjectStore) -> Vec<String> {
    let listed = store.list(ListOptions::default());
    let names = listed.map_ok(|entry| entry.key.to_string());
    names.try_collect().await.unwrap()
}

#[tokio::test]
async fn a_record_is_there_once_all_its_objects_are() {
    let (store, _, _) = counted(CompleteOptions::default());
    let (record, objects) = (key("d/r"), store.objects().clone());
    let etag = store.put(&record, "a\nb\nc\na").await.unwrap().etag;
    store.put(&key("none"), "").await.unwrap();
    objects.put(&key("a"), "").await.unwrap();
    objects.put(&key("c"), "").await.unwrap();

    let gone = |error: Error| assert!(error.is_not_found(), "{error}");
    gone(store.head(&record).await.unwrap_err());
    for options in [
        GetOptions::default(),
        GetOptions::default().range(2..3),
        GetOptions::default().range(100..200),
        GetOptions::default().if_match(etag.clone()),
        GetOptions::default().if_none_match(etag.clone()),
        GetOptions::default().if_match(ETag::new("other")),
    ] {
        gone(store.get_opts(&record, options).await.unwrap_err());
    }
    let (ranges, to) = ([(0..1).into()], key("to"));
    let got = store.get_ranges_opts(&record, &ranges, GetOptions::default());
    gone(got.await.unwrap_err());
    let copied = store.copy_opts(&record, &to, CopyOptions::default());
    gone(copied.await.unwrap_err());
    assert_eq!(keys(&store).await, ["none"]);
    let folders = store.list_delimited(ListOptions::default());
    let folders: Vec<_> = folders
        .map_ok(|item| item.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(folders, ["none"]);

    objects.put(&key("b"), "").await.unwrap();
    assert_eq!(store.head(&record).await.unwrap().size, 7);
    assert_eq!(keys(&store).await, ["d/r", "none"]);
    let object = store.get_range(&record, 2..5).await.unwrap();
    assert_eq!(object.size(), 7);
    assert_eq!(object.body.collect(9).await.unwrap(), "b\nc");
    let same = GetOptions::default().if_none_match(etag.clone());
    assert!(
        store
            .get_opts(&record, same)
            .await
            .unwrap_err()
            .is_not_modified()
    );
    store
        .copy_opts(&record, &key("to"), CopyOptions::default())
        .await
        .unwrap();
    assert!(store.exists(&key("to")).await.unwrap());
    objects.delete(&key("a")).await.unwrap();
    gone(store.get(&record).await.unwrap_err());
    assert_eq!(keys(&store).await, ["none"]);
}

/// No object is missing because its store cannot be asked.
#[tokio::test]
async fn an_error_is_not_an_absence() {
    let (store, records, objects) = counted(CompleteOptions::default());
    store.put(&key("r"), "a\nb").await.unwrap();
    for name in ["a", "b"] {
        store.objects().put(&key(name), "").await.unwrap();
    }
    for class in [ErrorClass::Transient, ErrorClass::Fatal] {
        objects.add(Fault::error(class).on(Operation::Head).under("b").always());
        for error in [
            store.get(&key("r")).await.map(|_| ()).unwrap_err(),
            store.head(&key("r")).await.map(|_| ()).unwrap_err(),
            store.exists(&key("r")).await.map(|_| ()).unwrap_err(),
            store
                .list(ListOptions::default())
                .try_collect::<Vec<_>>()
                .await
                .map(|_| ())
                .unwrap_err(),
            store
                .copy_opts(&key("r"), &key("s"), CopyOptions::default())
                .await
                .map(|_| ())
                .unwrap_err(),
        ] {
            assert_eq!(error.class(), class);
            let said = error.to_string();
            assert!(
                said.contains("\"r\"") && said.contains("object b"),
                "{said}"
            );
        }
        objects.clear();
    }
    records.add(Fault::error(ErrorClass::Transient).on(Operation::Get));
    assert!(store.head(&key("r")).await.unwrap_err().is_transient());
    assert!(store.head(&key("r")).await.is_ok());
}

/// An object that is known to be missing decides, whatever the others would say.
#[tokio::test(start_paused = true)]
async fn objects_are_asked_for_side_by_side() {
    let (store, _, objects) = counted(CompleteOptions::default().at_once(4));
    let all: Vec<_> = (0..40).map(|n| format!("o{n:02}")).collect();
    for name in &all {
        store.objects().put(&key(name), "").await.unwrap();
    }
    store.put(&key("r"), all.join("\n")).await.unwrap();
    let slow = Fault::delay(Duration::from_secs(1)).on(Operation::Head);
    objects.add(slow.always());
    let begun = tokio::time::Instant::now();
    assert!(store.exists(&key("r")).await.unwrap());
    assert_eq!(begun.elapsed().as_secs(), 10);
    assert_eq!(objects.calls(Operation::Head), 40);
    store.objects().delete(&key("o00")).await.unwrap();
    assert!(!store.exists(&key("r")).await.unwrap());
    assert!(objects.calls(Operation::Head) <= 48);
}

#[tokio::test]
async fn what_is_too_much_is_said() {
    let options = CompleteOptions::default().max_record(20).max_objects(3);
    let (store, _, _) = counted(options);
    let long = "x".repeat(21);
    let error = store.put(&key("r"), long.clone()).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 20, .. }),
        "{error}"
    );
    let batch = Batch::new().put(key("r"), long.clone());
    let error = store.batches().unwrap().batch(batch).await.unwrap_err();
    assert!(
        matches!(error, Error::TooLarge { limit: 20, .. }),
        "{error}"
    );
    let inner = store.records();
    for (record, wanted) in [
        (long.as_bytes(), "the record has 21 bytes, and at most 20"),
        (
            &b"a\nb\nc\nd"[..],
            "the record names 4 objects, more than 3",
        ),
        (&[0xff][..], "cannot be found in it"),
    ] {
        inner.put(&key("r"), record.to_vec()).await.unwrap();
        let listed: Result<Vec<_>, _> = store.list(ListOptions::default()).try_collect().await;
        for error in [
            store.get(&key("r")).await.map(|_| ()).unwrap_err(),
            store.head(&key("r")).await.map(|_| ()).unwrap_err(),
            listed.map(|_| ()).unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(said.contains(wanted) && said.contains("\"r\""), "{said}");
            assert!(!error.is_not_found() && !error.is_transient());
        }
    }
    // The same object often is one.
    inner.put(&key("r"), "a\na\na\na\nb\nc").await.unwrap();
    assert!(store.head(&key("r")).await.unwrap_err().is_not_found());
}

/// Writers go by what the records' store holds.
#[tokio::test]
async fn an_incomplete_record_is_not_created_over() {
    let (store, _, _) = counted(CompleteOptions::default());
    let etag = store.put(&key("r"), "missing").await.unwrap().etag;
    let create = PutOptions::default().mode(PutMode::Create);
    let created = store.put_opts(&key("r"), "new".into(), create).await;
    assert!(created.unwrap_err().is_already_exists());
    let replace = PutOptions::default().mode(PutMode::Replace(etag));
    store.put_opts(&key("r"), "".into(), replace).await.unwrap();
    assert!(store.exists(&key("r")).await.unwrap());
    store.put(&key("target"), "missing").await.unwrap();
    let copy = CopyOptions::default().mode(PutMode::Create);
    let copied = store.copy_opts(&key("r"), &key("target"), copy).await;
    assert!(copied.unwrap_err().is_already_exists());
    let copy = CopyOptions::default().mode(PutMode::Replace(ETag::new("other")));
    let copied = store.copy_opts(&key("r"), &key("target"), copy).await;
    assert!(copied.unwrap_err().is_precondition());
}

#[tokio::test]
async fn a_listing_of_all_reads_nothing() {
    let (store, records, objects) = counted(CompleteOptions::default().filter_lists(false));
    for n in 0..5 {
        store.put(&key(&format!("{n}")), "missing").await.unwrap();
    }
    assert_eq!(keys(&store).await.len(), 5);
    let folders = store.list_delimited(ListOptions::default());
    assert_eq!(folders.try_collect::<Vec<_>>().await.unwrap().len(), 5);
    assert_eq!(records.calls(Operation::Get), 0);
    assert_eq!(objects.calls(Operation::Head), 0);
}

/// A record is found in once, and its bytes are those that were judged.
#[tokio::test]
async fn a_listing_brings_what_it_judged() {
    let found = Arc::new(AtomicUsize::new(0));
    let (count, records) = (Arc::clone(&found), Memory::new());
    let store = CompleteStore::new(records, Memory::new(), move |record| {
        count.fetch_add(1, Ordering::Relaxed);
        lines(record)
    });
    store.objects().put(&key("a"), "").await.unwrap();
    let large = "a\n".repeat(20_000);
    store.put(&key("large"), large.clone()).await.unwrap();
    store.put(&key("small"), "a").await.unwrap();
    let options = ListOptions::default().inline_values(10);
    let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
    assert_eq!((listed[0].metadata.size, &listed[0].value), (40_000, &None));
    assert_eq!(listed[1].value.as_deref(), Some(&b"a"[..]));
    assert_eq!(found.load(Ordering::Relaxed), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Of any records and objects those are there whose objects are.
    #[test]
    fn is_like_a_filter(
        records in proptest::collection::btree_map("[a-f/]{1,3}", proptest::collection::vec(0..8_u8, 0..5), 0..12),
        objects in proptest::collection::btree_set(0..8_u8, 0..8),
        limit in 0..6_usize,
    ) {
        let records: BTreeMap<Key, _> = records
            .into_iter()
            .filter_map(|(name, named)| Some((Key::new(name).ok()?, named)))
            .collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = CompleteStore::new(Memory::new(), Memory::new(), lines);
            for object in &objects {
                store.objects().put(&key(&object.to_string()), "").await.unwrap();
            }
            let mut there = Vec::new();
            for (record, named) in &records {
                let texts: Vec<_> = named.iter().map(u8::to_string).collect();
                store.put(record, texts.join("\n")).await.unwrap();
                let complete = named.iter().all(|object| objects.contains(object));
                if complete {
                    there.push(record.clone());
                }
                assert_eq!(store.exists(record).await.unwrap(), complete);
            }
            let listed: Vec<_> = store
                .list(ListOptions::default().limit(limit))
                .map_ok(|entry| entry.key)
                .try_collect()
                .await
                .unwrap();
            assert_eq!(listed, there[..limit.min(there.len())]);
            let folders: BTreeSet<String> = there
                .iter()
                .map(|record| match record.as_str().split_once('/') {
                    Some((folder, _)) => format!("{folder}/"),
                    None => record.to_string(),
                })
                .collect();
            let items: Vec<_> = store
                .list_delimited(ListOptions::default())
                .map_ok(|item| item.to_string())
                .try_collect()
                .await
                .unwrap();
            assert_eq!(items, folders.into_iter().collect::<Vec<_>>());
        });
    }
}
