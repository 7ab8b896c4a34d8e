//! Rotten bytes: no read gives a wrong record, `check` finds them, and what lies elsewhere can be
//! read.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt;

use super::super::Datastore;
use super::super::fault::Fault;
use super::noise::Noise;
use super::sim::SimDisk;
use super::{SMALL, open, runtime};
use crate::{Key, ObjectStoreExt};

const RECORDS: u64 = 400;

fn key(number: u64) -> Key {
    Key::new(format!("record/{number:04}")).unwrap()
}

fn value(number: u64) -> Bytes {
    Noise(number).bytes(150 + number as usize % 400).into()
}

/// A store of several tables, closed.
async fn closed() -> Arc<SimDisk> {
    let disk = Arc::new(SimDisk::default());
    let store = open(&disk, SMALL).unwrap();
    for number in 0..RECORDS {
        store.put(&key(number), value(number)).await.unwrap();
    }
    store.close().await.unwrap();
    disk
}

/// How many records cannot be read. Those that can are right.
async fn unreadable(store: &Datastore, what: &str) -> u64 {
    let mut lost = 0;
    for number in 0..RECORDS {
        match store.get_bytes(&key(number), 1 << 20).await {
            Ok(there) => assert_eq!(there, value(number), "{what}: record {number}"),
            Err(e) => {
                assert!(
                    !e.is_not_found(),
                    "{what}: record {number} seems never to have been there"
                );
                lost += 1;
            }
        }
    }
    lost
}

#[test]
fn a_flipped_bit_anywhere() {
    runtime().block_on(async {
        let sound = closed().await;
        let files: Vec<_> = sound
            .sizes()
            .into_iter()
            .filter(|(name, _)| name != "LOCK")
            .collect();
        assert!(
            files
                .iter()
                .filter(|(name, _)| name.ends_with(".table"))
                .count()
                > 1,
            "{files:?}"
        );
        assert!(
            files
                .iter()
                .all(|(name, _)| name.ends_with(".table") || name == "MANIFEST"),
            "{files:?}"
        );
        let mut noise = Noise(3);
        for (name, size) in &files {
            // Everywhere in what is small or at an end, and here and there between.
            let ends = (0..40).chain(size.saturating_sub(120)..*size);
            let places: Vec<_> = ends
                .chain((0..60).map(|_| noise.below(*size as u64) as usize))
                .filter(|place| place < size)
                .collect();
            for place in places {
                let disk = Arc::new(sound.copy());
                let bit = noise.below(8);
                disk.change(name, |bytes| bytes[place] ^= 1 << bit);
                let what = format!("bit {bit} of byte {place} of {name}, which has {size}");
                let store = open(&disk, SMALL).unwrap_or_else(|e| panic!("{what}: {e:?}"));
                // A damaged manifest is put right when the store is opened; the other copy was
                // sound.
                let report = store.check().await.unwrap();
                assert!(
                    !report.is_sound() || name == "MANIFEST",
                    "{what} is not found"
                );
                assert!(
                    report.damage.iter().all(|damage| damage.file == *name),
                    "{what}: {report:?}"
                );
                let lost = unreadable(&store, &what).await;
                assert!(lost < 60, "{what}: {lost} records are lost");
                store.close().await.unwrap();
            }
        }
    });
}

/// Every byte of a small database of a table, and of the log of one that is open.
#[test]
fn a_flipped_bit_of_every_byte() {
    runtime().block_on(async {
        let few = 12;
        let disk = Arc::new(SimDisk::default());
        let store = open(&disk, SMALL).unwrap();
        for number in 0..few {
            store
                .put(&key(number), value(number).slice(..100))
                .await
                .unwrap();
        }
        assert!(store.check().await.unwrap().is_sound());
        let (log, _) = disk
            .sizes()
            .into_iter()
            .find(|(name, _)| name.ends_with(".log"))
            .unwrap();
        let mut written = 0;
        disk.change(&log, |bytes| {
            written = bytes.iter().rposition(|byte| *byte != 0).unwrap()
        });
        for place in 0..=written {
            let flip = |bytes: &mut Vec<u8>| bytes[place] ^= 1 << (place % 8);
            disk.change(&log, flip);
            assert!(
                !store.check().await.unwrap().is_sound(),
                "byte {place} of {log}"
            );
            disk.change(&log, flip);
        }
        store.close().await.unwrap();

        let sizes: Vec<_> = disk
            .sizes()
            .into_iter()
            .filter(|(name, _)| name != "LOCK")
            .collect();
        assert_eq!(
            sizes
                .iter()
                .filter(|(name, _)| name.ends_with(".table"))
                .count(),
            1,
            "{sizes:?}"
        );
        for (name, size) in &sizes {
            for place in 0..*size {
                let copy = Arc::new(disk.copy());
                let store = open(&copy, SMALL).unwrap();
                copy.change(name, |bytes| bytes[place] ^= 1 << (place % 8));
                // While it is open, and when it is opened.
                assert!(
                    !store.check().await.unwrap().is_sound(),
                    "byte {place} of {name}"
                );
                store.close().await.unwrap();
                if name == "MANIFEST" {
                    continue;
                }
                let store = open(&copy, SMALL).unwrap();
                assert!(
                    !store.check().await.unwrap().is_sound(),
                    "byte {place} of {name}, opened again"
                );
                for number in 0..few {
                    match store.get_bytes(&key(number), 1 << 20).await {
                        Ok(there) => assert_eq!(there, value(number).slice(..100)),
                        Err(e) => assert!(
                            !e.is_not_found(),
                            "byte {place} of {name}: record {number} seems never to have been there"
                        ),
                    }
                }
                store.close().await.unwrap();
            }
        }
    });
}

/// A manifest that is cut off anywhere is refused, and never taken for that of an empty store.
#[test]
fn a_cut_manifest() {
    runtime().block_on(async {
        let sound = closed().await;
        let (_, size) = sound
            .sizes()
            .into_iter()
            .find(|(name, _)| name == "MANIFEST")
            .unwrap();
        for len in 0..size {
            let disk = Arc::new(sound.copy());
            disk.change("MANIFEST", |bytes| bytes.truncate(len));
            let fault = open(&disk, SMALL).map(drop).unwrap_err();
            assert!(
                matches!(&fault, Fault::Damaged(damage) if damage.file == "MANIFEST"),
                "{len}: {fault:?}"
            );
        }
    });
}

/// The manifest's copies, one of them damaged while the store is open: found. Both: the store is
/// not opened, and says why.
#[test]
fn a_damaged_manifest() {
    runtime().block_on(async {
        let disk = closed().await;
        let store = open(&disk, SMALL).unwrap();
        disk.change("MANIFEST", |bytes| bytes[20] ^= 1);
        let report = store.check().await.unwrap();
        assert_eq!(
            report
                .damage
                .iter()
                .map(|damage| &damage.file[..])
                .collect::<Vec<_>>(),
            ["MANIFEST"]
        );
        store.close().await.unwrap();
        disk.change("MANIFEST", |bytes| {
            bytes
                .iter_mut()
                .for_each(|byte| *byte = byte.wrapping_add(1))
        });
        assert!(
            matches!(open(&disk, SMALL), Err(Fault::Damaged(damage)) if damage.file == "MANIFEST")
        );
    });
}

/// A truncated table, an empty one: the rest can be read, and so can other tables.
#[test]
fn a_cut_table() {
    runtime().block_on(async {
        let sound = closed().await;
        let (name, size) = sound
            .sizes()
            .into_iter()
            .find(|(name, _)| name.ends_with(".table"))
            .unwrap();
        for len in [0, 1, 100, size / 2, size - 1] {
            let disk = Arc::new(sound.copy());
            disk.change(&name, |bytes| bytes.truncate(len));
            let store = open(&disk, SMALL).unwrap();
            assert!(
                !store.check().await.unwrap().is_sound(),
                "{len} bytes of {name}"
            );
            let lost = unreadable(&store, &format!("{len} bytes of {name}")).await;
            assert!(lost < RECORDS);
            assert!(store.compact().await.is_err(), "a merge of a damaged table");
            store.close().await.unwrap();
        }
    });
}

/// Damage in the middle of a log that a crash left is no torn end: the store is not opened but to
/// save what can be read.
#[test]
fn a_damaged_log() {
    runtime().block_on(async {
        let disk = Arc::new(SimDisk::default());
        let store = open(&disk, super::super::DatastoreOptions::default()).unwrap();
        for number in 0..RECORDS {
            store.put(&key(number), value(number)).await.unwrap();
        }
        let crashed = Arc::new(disk.copy());
        // While the store is open, `check` reads the log too.
        let (log, _) = crashed
            .sizes()
            .into_iter()
            .find(|(name, _)| name.ends_with(".log"))
            .unwrap();
        disk.change(&log, |bytes| bytes[30_000] ^= 1);
        assert_eq!(store.check().await.unwrap().damage.len(), 1);
        store.close().await.unwrap();

        crashed.change(&log, |bytes| bytes[30_000] ^= 1);
        let before = crashed.sizes();
        assert!(matches!(open(&crashed, SMALL), Err(Fault::Damaged(damage)) if damage.file == log));
        assert_eq!(
            crashed.sizes(),
            before,
            "a store that is not opened is left alone"
        );
        let store = open(
            &crashed,
            super::super::DatastoreOptions {
                salvage: true,
                ..SMALL
            },
        )
        .unwrap();
        assert!(!store.check().await.unwrap().is_sound());
        assert!(
            crashed
                .sizes()
                .iter()
                .any(|(name, _)| *name == format!("{log}.damaged"))
        );
        let entries: Vec<_> = store.list_prefix("").try_collect().await.unwrap();
        assert_eq!(entries.len() as u64, RECORDS - 1);
        store.close().await.unwrap();
        let store = open(&crashed, SMALL).unwrap();
        assert_eq!(
            store
                .list_prefix("")
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .len() as u64,
            RECORDS - 1
        );
        store.close().await.unwrap();
    });
}

/// A directory of something else is left alone.
#[test]
fn what_is_no_datastore() {
    let disk = Arc::new(SimDisk::default());
    super::super::disk::Disk::create(disk.as_ref(), "CURRENT").unwrap();
    assert!(matches!(open(&disk, SMALL), Err(Fault::Damaged(damage)) if damage.file == "CURRENT"));
    assert_eq!(disk.sizes(), [("CURRENT".to_owned(), 0)]);
}
