//! A power failure at any moment: what was acknowledged is there, whole, and nothing that was never
//! put.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::super::Datastore;
use super::noise::Noise;
use super::sim::SimDisk;
use super::{SMALL, open, runtime};
use crate::{Batch, Key, ObjectStoreExt};

const WRITERS: u64 = 4;
const KEYS: u64 = 12;
const STEPS: u64 = 130;
/// How many moments are tried.
const CRASHES: u64 = 120;

/// What became of one write: when it began and when it was acknowledged, by the disk's count.
#[derive(Clone, Debug)]
struct Written {
    value: Option<Bytes>,
    began: usize,
    acknowledged: usize,
}

type History = BTreeMap<Key, Vec<Written>>;

fn value(key: u64, step: u64, noise: &mut Noise) -> Bytes {
    let mut value = format!("{key} {step} ").into_bytes();
    value.resize(value.len() + noise.below(2500) as usize, b'.');
    value.into()
}

/// Each writer has keys of its own, and writes them alone, deletes them, or writes two together.
async fn write(store: Datastore, disk: Arc<SimDisk>, writer: u64, histories: Arc<Mutex<History>>) {
    let mut noise = Noise(writer);
    let key = |number: u64| Key::new(format!("{writer}/{number}")).unwrap();
    for step in 0..STEPS {
        let number = noise.below(KEYS / 2) * 2;
        let began = disk.moment();
        let written = value(number, step, &mut noise);
        let changes = match noise.below(4) {
            0 => {
                let batch = Batch::new()
                    .put(key(number), written.clone())
                    .put(key(number + 1), written.clone());
                store.batch(batch).await.unwrap();
                vec![
                    (key(number), Some(written.clone())),
                    (key(number + 1), Some(written)),
                ]
            }
            1 => {
                store.delete(&key(number)).await.unwrap();
                vec![(key(number), None)]
            }
            _ => {
                store.put(&key(number), written.clone()).await.unwrap();
                vec![(key(number), Some(written))]
            }
        };
        let acknowledged = disk.moment();
        let mut histories = histories.lock().unwrap();
        for (key, value) in changes {
            histories.entry(key).or_default().push(Written {
                value,
                began,
                acknowledged,
            });
        }
    }
}

/// The index of the version that is there must be that of the last acknowledged write or a later
/// one.
fn assert_kept(histories: &History, key: &Key, there: Option<&Bytes>, moment: usize) {
    let history = &histories[key];
    let acknowledged = history
        .iter()
        .rposition(|written| written.acknowledged <= moment);
    let possible = history
        .iter()
        .skip(acknowledged.unwrap_or(0))
        .filter(|written| written.began <= moment)
        .map(|written| &written.value);
    let nothing_yet = acknowledged.is_none().then_some(&None);
    let brief = |value: &Option<Bytes>| {
        value.as_ref().map(|value| {
            String::from_utf8_lossy(value)
                .trim_end_matches('.')
                .to_owned()
        })
    };
    let possible: Vec<_> = possible.chain(nothing_yet).collect();
    assert!(
        possible.iter().any(|value| value.as_ref() == there),
        "a crash at {moment} leaves {:?} under {key:?} instead of one of {:?}",
        brief(&there.cloned()),
        possible.into_iter().map(brief).collect::<Vec<_>>()
    );
}

/// Everything that happened, before the store was closed and while.
fn workload() -> (Arc<SimDisk>, History) {
    let disk = Arc::new(SimDisk::default());
    let histories = Arc::new(Mutex::new(History::new()));
    runtime().block_on(async {
        let store = open(&disk, SMALL).unwrap();
        let tasks: Vec<_> = (0..WRITERS)
            .map(|i| {
                tokio::spawn(write(
                    store.clone(),
                    Arc::clone(&disk),
                    i,
                    Arc::clone(&histories),
                ))
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        store.close().await.unwrap();
    });
    let histories = histories.lock().unwrap().clone();
    (disk, histories)
}

fn survives(disk: &Arc<SimDisk>, histories: &History, moment: usize) {
    runtime().block_on(async {
        let store =
            open(disk, SMALL).unwrap_or_else(|e| panic!("after a crash at {moment}: {e:?}"));
        for key in histories.keys() {
            let there = match store.get_bytes(key, 1 << 20).await {
                Ok(there) => Some(there),
                Err(e) if e.is_not_found() => None,
                Err(e) => panic!("after a crash at {moment}: {e:?}"),
            };
            assert_kept(histories, key, there.as_ref(), moment);
        }
        let report = store.check().await.unwrap();
        assert!(report.is_sound(), "after a crash at {moment}: {report:?}");
        let key = Key::new("after/the/crash").unwrap();
        store.put(&key, "well").await.unwrap();
        store.close().await.unwrap();
        let store = open(disk, SMALL).unwrap();
        assert_eq!(store.get_bytes(&key, 10).await.unwrap(), "well");
        store.close().await.unwrap();
    });
}

#[test]
fn power_fails_at_any_moment() {
    let (disk, histories) = workload();
    let end = disk.moment();
    let mut noise = Noise(7);
    for crash in 0..CRASHES {
        let moment = noise.below(end as u64 + 1) as usize;
        survives(
            &Arc::new(disk.after_crash(moment, &mut noise, crash % 4 == 0)),
            &histories,
            moment,
        );
    }
    survives(
        &Arc::new(disk.after_crash(end, &mut noise, true)),
        &histories,
        end,
    );
}

/// Crashing while the store is opened after a crash, and again.
#[test]
fn power_fails_while_recovering() {
    let (disk, histories) = workload();
    let mut noise = Noise(11);
    for _ in 0..10 {
        let first = noise.below(disk.moment() as u64 + 1) as usize;
        let crashed = Arc::new(disk.after_crash(first, &mut noise, false));
        // Opened and left alone: all that is done then is recovery.
        runtime().block_on(async { open(&crashed, SMALL).unwrap().close().await.unwrap() });
        for _ in 0..6 {
            let second = noise.below(crashed.moment() as u64 + 1) as usize;
            survives(
                &Arc::new(crashed.after_crash(second, &mut noise, false)),
                &histories,
                first,
            );
        }
    }
}
