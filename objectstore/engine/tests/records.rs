//! What the record layer does when an engine fails, loses writes or has damaged files.

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::TryStreamExt;
use proptest::prelude::*;
use storehouse_objectstore::{
    Attributes, Batch, Durability, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    PutOptions,
};
use support::{Disk, Options, Store, options};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn key(number: u32) -> Key {
    Key::new(format!("record/{number:05}")).unwrap()
}

struct Case {
    dir: TempDir,
    disk: Arc<Disk>,
}

impl Case {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            disk: Arc::default(),
        }
    }

    async fn open(&self) -> Result<Store, Error> {
        Store::open(self.dir.path(), options(&self.disk)).await
    }

    async fn salvage(&self) -> Result<Store, Error> {
        let options = Options {
            salvage: true,
            ..options(&self.disk)
        };
        Store::open(self.dir.path(), options).await
    }

    /// A store with records.
    async fn filled(&self, records: u32) -> Store {
        let store = self.open().await.unwrap();
        let put = |batch: Batch, number| batch.put(key(number), format!("value {number}"));
        store
            .batch((0..records).fold(Batch::new(), put))
            .await
            .unwrap();
        store
    }

    fn damage(&self, number: u32) {
        let mut records = self.disk.records.lock().unwrap();
        let record = records.get_mut(key(number).as_str().as_bytes()).unwrap();
        *record.last_mut().unwrap() ^= 1;
    }
}

#[test]
fn a_failed_write_is_told_and_the_next_one_opens_the_engine_again() {
    for happens in [false, true] {
        let case = Case::new();
        runtime().block_on(async {
            let store = case.filled(3).await;
            case.disk
                .failed_writes_happen
                .store(happens, Ordering::SeqCst);
            case.disk.failing_writes.store(1, Ordering::SeqCst);
            let error = store.put(&key(7), "new").await.unwrap_err();
            assert!(error.to_string().contains("the shelf is broken"), "{error}");
            assert!(store.health().await.is_err());
            assert_eq!(
                store.get_bytes(&key(1), 99).await.unwrap(),
                "value 1",
                "reads go on"
            );
            store.put(&key(8), "newer").await.unwrap();
            store.health().await.unwrap();
            assert_eq!(store.exists(&key(7)).await.unwrap(), happens);
            assert_eq!(store.get_bytes(&key(8), 99).await.unwrap(), "newer");
        });
    }
}

#[test]
fn a_full_disk_is_told_before_the_engine_meets_it() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(3).await;
        case.disk.needs.store(u64::MAX, Ordering::SeqCst);
        let error = store.put(&key(7), "new").await.unwrap_err();
        assert!(
            error.is_full() && error.to_string().contains("nothing is written"),
            "{error}"
        );
        assert_eq!(store.get_bytes(&key(1), 99).await.unwrap(), "value 1");
        store.delete(&key(1)).await.unwrap();
        case.disk.needs.store(0, Ordering::SeqCst);
        store.put(&key(7), "new").await.unwrap();
    });
}

/// On a full disk, while another read has opened the engine again to be read alone.
#[test]
fn a_read_that_finds_the_engine_stopped_tries_again_without_room() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(3).await;
        case.disk.reopening_needs.store(u64::MAX, Ordering::SeqCst);
        case.disk.stopped_reads.store(1, Ordering::SeqCst);
        assert_eq!(store.get_bytes(&key(1), 99).await.unwrap(), "value 1");
        case.disk.stopped_reads.store(9, Ordering::SeqCst);
        let error = store.get_bytes(&key(1), 99).await.unwrap_err();
        assert!(error.is_full(), "{error}");
        let error = store.put(&key(7), "new").await.unwrap_err();
        assert!(error.is_full(), "{error}");
        case.disk.reopening_needs.store(0, Ordering::SeqCst);
        case.disk.stopped_reads.store(0, Ordering::SeqCst);
        store.put(&key(7), "new").await.unwrap();
    });
}

#[test]
fn an_engine_that_cannot_be_opened_again_is_tried_again() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(3).await;
        case.disk.failing_writes.store(1, Ordering::SeqCst);
        case.disk.failing_opens.store(1, Ordering::SeqCst);
        store.put(&key(7), "new").await.unwrap_err();
        store.put(&key(7), "new").await.unwrap_err();
        for error in [
            store.get_bytes(&key(1), 99).await.unwrap_err(),
            store.health().await.unwrap_err(),
            store.delete(&key(1)).await.unwrap_err(),
        ] {
            assert!(error.to_string().contains("the shelf is broken"), "{error}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        assert_eq!(store.get_bytes(&key(1), 99).await.unwrap(), "value 1");
        store.put(&key(7), "new").await.unwrap();
    });
}

#[test]
fn what_is_salvaged_keeps_its_attributes() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.open().await.unwrap();
        let attributes = Attributes::default()
            .with_content_type("text/plain")
            .unwrap();
        let put = PutOptions::default().attributes(attributes.clone());
        store.put_opts(&key(1), "1".into(), put).await.unwrap();
        store.put(&key(2), "2").await.unwrap();
        let copy = Memory::new();
        assert_eq!(store.salvage(&copy).await.unwrap().copied, 2);
        let of = async |number| copy.head(&key(number)).await.unwrap().attributes;
        assert_eq!(
            (of(1).await, of(2).await),
            (attributes, Attributes::default())
        );
    });
}

#[test]
fn a_shorter_history_is_refused_unless_salvaged() {
    let case = Case::new();
    runtime().block_on(async {
        case.filled(3).await.close().await.unwrap();
        let earlier = case.disk.records.lock().unwrap().clone();
        let store = case.open().await.unwrap();
        store.delete(&key(1)).await.unwrap();
        store.close().await.unwrap();
        *case.disk.records.lock().unwrap() = earlier;
        for _ in 0..2 {
            let error = case.open().await.unwrap_err().to_string();
            assert!(error.contains("acknowledged writes are missing"), "{error}");
        }
        let store = case.salvage().await.unwrap();
        assert_eq!(store.get_bytes(&key(1), 99).await.unwrap(), "value 1");
        store.close().await.unwrap();
        let store = case.open().await.unwrap();
        store.close().await.unwrap();
        // Also when the engine is opened again on the way.
        let store = case.open().await.unwrap();
        let earlier = case.disk.records.lock().unwrap().clone();
        store.put(&key(9), "new").await.unwrap();
        *case.disk.records.lock().unwrap() = earlier;
        case.disk.failing_writes.store(1, Ordering::SeqCst);
        store.put(&key(9), "new").await.unwrap_err();
        let error = store.put(&key(9), "new").await.unwrap_err().to_string();
        assert!(error.contains("acknowledged writes are missing"), "{error}");
    });
}

#[test]
fn relaxed_writes_may_be_missing() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(1).await;
        let (earlier, syncs) = (
            case.disk.records.lock().unwrap().clone(),
            case.disk.syncs.load(Ordering::SeqCst),
        );
        let relaxed = PutOptions::default().durability(Durability::Relaxed);
        store
            .put_opts(&key(5), "relaxed".into(), relaxed)
            .await
            .unwrap();
        assert_eq!(case.disk.syncs.load(Ordering::SeqCst), syncs);
        store.close().await.unwrap();
        *case.disk.records.lock().unwrap() = earlier;
        let store = case.open().await.unwrap();
        assert!(!store.exists(&key(5)).await.unwrap());
    });
}

#[test]
fn a_damaged_record_is_an_error_that_names_it_and_no_other() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(40).await;
        case.damage(20);
        let error = store.get_bytes(&key(20), 99).await.unwrap_err().to_string();
        assert!(
            error.contains("record/00020") && error.contains("checksum"),
            "{error}"
        );
        let mut listed = Vec::new();
        let mut listing = store.list(ListOptions::default());
        let error = loop {
            match listing.try_next().await {
                Ok(Some(entry)) => listed.push(entry.key),
                Ok(None) => panic!("the listing hides the damage"),
                Err(error) => break error,
            }
        };
        assert_eq!(listed, (0..20).map(key).collect::<Vec<_>>());
        assert!(matches!(&error, Error::Backend { key: Some(damaged), .. } if *damaged == key(20)));
        assert!(listing.try_next().await.unwrap().is_none());
        let rest: Vec<_> = store
            .list(ListOptions::default().start_after(key(20)))
            .try_collect()
            .await
            .unwrap();
        assert_eq!(rest.len(), 19);
        let report = store.check().await.unwrap();
        assert_eq!((report.records, &report.damaged[..]), (39, &[key(20)][..]));
        let to = Memory::new();
        let salvaged = store.salvage(&to).await.unwrap();
        assert_eq!(
            (salvaged.copied, &salvaged.damaged[..]),
            (39, &[key(20)][..])
        );
        // A damaged record can be replaced and deleted.
        store.put(&key(20), "again").await.unwrap();
        assert!(store.check().await.unwrap().is_sound());
        case.damage(21);
        store.delete(&key(21)).await.unwrap();
        assert!(store.check().await.unwrap().is_sound());
    });
}

#[test]
fn a_record_under_another_key_is_damage() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(2).await;
        {
            let mut records = case.disk.records.lock().unwrap();
            let record = records[key(0).as_str().as_bytes()].clone();
            records.insert(key(1).as_str().into(), record);
        }
        assert!(store.get_bytes(&key(1), 99).await.is_err());
        assert_eq!(store.get_bytes(&key(0), 99).await.unwrap(), "value 0");
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn salvage_copies_all_that_can_be_read(
        texts in prop::collection::btree_set("[a-d]{1,4}(/[a-dé]{1,3})?", 1..60),
        from in "[a-d]{0,3}", to in "[a-d]{0,3}",
    ) {
        let case = Case::new();
        runtime().block_on(async {
            let store = case.open().await.unwrap();
            for text in &texts {
                store.put(&Key::new(text.clone()).unwrap(), text.clone()).await.unwrap();
            }
            let range = (from.clone().into_bytes(), to.clone().into_bytes());
            *case.disk.unreadable.lock().unwrap() = Some(range);
            let copy = Memory::new();
            let report = store.salvage(&copy).await.unwrap();
            let lost: Vec<_> = texts.iter().filter(|text| (&from..&to).contains(text)).collect();
            let copied: Vec<_> = copy.list_prefix("").try_collect().await.unwrap();
            let copied: Vec<_> = copied.iter().map(|entry| entry.key.as_str()).collect();
            let kept: Vec<_> = texts.iter().filter(|text| !(&from..&to).contains(text)).collect();
            assert_eq!(copied, kept);
            assert_eq!((report.copied, report.unreadable.is_empty()), (kept.len() as u64, lost.is_empty()));
            for text in lost {
                let within = report.unreadable.iter().any(|range| {
                    range.after.as_ref().is_none_or(|after| after < text)
                        && range.before.as_ref().is_none_or(|before| before > text)
                });
                assert!(within, "{text} in {:?}", report.unreadable);
            }
            assert_eq!(store.check().await.unwrap().is_sound(), report.unreadable.is_empty());
        });
    }
}

#[test]
fn other_directories_never_look_empty() {
    let case = Case::new();
    runtime().block_on(async {
        fs::write(case.dir.path().join("MANIFEST"), b"SHDBMAN1 and so on").unwrap();
        fs::write(case.dir.path().join("1.table"), "").unwrap();
        let error = case.open().await.unwrap_err().to_string();
        assert!(error.contains("former engine"), "{error}");
        fs::remove_file(case.dir.path().join("MANIFEST")).unwrap();
        let error = case.open().await.unwrap_err().to_string();
        assert!(error.contains("not empty (1.table)"), "{error}");
        fs::remove_file(case.dir.path().join("1.table")).unwrap();
        case.filled(1).await.close().await.unwrap();
        let mark = case.dir.path().join("MARK");
        let mut bytes = fs::read(&mark).unwrap();
        bytes[10] ^= 1;
        bytes[4096 + 10] ^= 1;
        fs::write(&mark, &bytes).unwrap();
        let error = case.open().await.unwrap_err().to_string();
        assert!(error.contains("MARK is damaged"), "{error}");
        let store = case.salvage().await.unwrap();
        assert_eq!(store.get_bytes(&key(0), 99).await.unwrap(), "value 0");
    });
}

#[test]
fn limits_are_kept_before_anything_is_written() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.open().await.unwrap();
        let large = vec![1; (1 << 20) + 1];
        let error = store.put(&key(1), large.clone()).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooLarge {
                    limit: 1_048_576,
                    ..
                }
            ),
            "{error}"
        );
        let error = store
            .batch(Batch::new().put(key(2), "small").put(key(1), large))
            .await;
        assert!(matches!(
            error,
            Err(Error::TooLarge {
                limit: 1_048_576,
                ..
            })
        ));
        let piece = bytes::Bytes::from(vec![2; 1 << 20]);
        let batch = (0..64).fold(Batch::new(), |batch, i| batch.put(key(i), piece.clone()));
        let error = store.batch(batch).await.unwrap_err();
        assert!(
            matches!(
                error,
                Error::TooLarge {
                    limit: 67_108_864,
                    ..
                }
            ),
            "{error}"
        );
        let batch = (0..63).fold(Batch::new(), |batch, i| batch.put(key(i), piece.clone()));
        store.batch(batch).await.unwrap();
        assert_eq!(store.get_bytes(&key(62), 1 << 20).await.unwrap(), piece);
    });
}

#[test]
fn slow_reads_leave_the_async_thread_and_fast_ones_come_back() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(1).await;
        let here = std::thread::current().id();
        let read_here = || std::mem::take(&mut *case.disk.readers.lock().unwrap()).contains(&here);
        read_here();
        case.disk.slow.store(true, Ordering::SeqCst);
        for _ in 0..40 {
            store.get_bytes(&key(0), 99).await.unwrap();
        }
        assert!(!read_here(), "a slow read on the async thread");
        case.disk.slow.store(false, Ordering::SeqCst);
        let mut reads = 0;
        while !read_here() {
            store.get_bytes(&key(0), 99).await.unwrap();
            reads += 1;
            assert!(reads < 100_000, "fast reads stay on the blocking pool");
        }
        // One slow read is met there, and no second one.
        case.disk.slow.store(true, Ordering::SeqCst);
        store.get_bytes(&key(0), 99).await.unwrap();
        read_here();
        for _ in 0..40 {
            store.get_bytes(&key(0), 99).await.unwrap();
        }
        assert!(!read_here());
    });
}

#[test]
fn many_deletions_start_a_compaction() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.open().await.unwrap();
        let value = bytes::Bytes::from(vec![7; 1 << 20]);
        for number in 0..48 {
            store.put(&key(number), value.clone()).await.unwrap();
        }
        for number in 0..1_200 {
            store.put(&key(1_000 + number), "small").await.unwrap();
        }
        assert_eq!(case.disk.compactions.load(Ordering::SeqCst), 0);
        for number in 0..1_200 {
            store.delete(&key(1_000 + number)).await.unwrap();
        }
        store.close().await.unwrap();
    });
    assert!(case.disk.compactions.load(Ordering::SeqCst) >= 1);
}

#[test]
fn a_closed_store_says_so_and_frees_its_directory() {
    let case = Case::new();
    runtime().block_on(async {
        let store = case.filled(2).await;
        assert!(matches!(case.open().await, Err(Error::InUse { .. })));
        let clone = store.clone();
        store.close().await.unwrap();
        store.close().await.unwrap();
        for error in [
            clone.put(&key(1), "x").await.unwrap_err(),
            clone.get_bytes(&key(1), 99).await.unwrap_err(),
            clone.health().await.unwrap_err(),
            clone.list_prefix("").try_next().await.unwrap_err(),
        ] {
            assert!(
                error.to_string().ends_with("the store is closed"),
                "{error}"
            );
        }
        drop(case.open().await.unwrap());
        case.open().await.unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn listings_step_over_deletions_and_over_nothing_else(
        steps in prop::collection::vec((any::<bool>(), 0..300u32, 1..150u32), 1..12),
        start_after in prop::option::of(0..300u32),
    ) {
        let case = Case::new();
        runtime().block_on(async {
            let store = case.filled(300).await;
            let mut there: std::collections::BTreeSet<u32> = (0..300).collect();
            for (put, from, count) in steps {
                let numbers = from..(from + count).min(300);
                if put {
                    let batch = numbers.clone().step_by(7).fold(Batch::new(), |batch, number| {
                        there.insert(number);
                        batch.put(key(number), "again")
                    });
                    store.batch(batch).await.unwrap();
                } else {
                    there.retain(|number| !numbers.contains(number));
                    let keys = futures_util::stream::iter(numbers.map(key));
                    store.delete_many(Box::pin(keys)).try_for_each(|_| async { Ok(()) }).await.unwrap();
                }
                let mut options = ListOptions::default();
                options.start_after = start_after.map(key);
                let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
                let listed: Vec<_> = listed.into_iter().map(|entry| entry.key).collect();
                let after = there.iter().filter(|number| start_after.is_none_or(|a| **number > a));
                assert_eq!(listed, after.map(|number| key(*number)).collect::<Vec<_>>());
            }
        });
    }
}
