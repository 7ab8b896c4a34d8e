//! Power cuts: what the log was for.
//!
//! The store's directory is copied while the store is open, as a process finds it that died there,
//! and then what the disk need not have had yet is damaged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use futures_util::future::join_all;
use tempfile::TempDir;

use super::super::options::FlatFsOptions;
use super::super::shard::ShardFunction;
use super::super::store::FlatFs;
use super::super::wal::NAMES;
use super::TestDisk;
use storehouse_engine::files::{Sys, SystemCalls};
use storehouse_objectstore::{Durability, Key, ObjectStoreExt, PutMode, PutOptions};

/// With a log that stays as it is until the store is closed.
pub(super) fn options() -> FlatFsOptions {
    let long = Duration::from_secs(3600);
    FlatFsOptions::default()
        .log(true)
        .log_idle(long)
        .log_age(long)
}

async fn try_open(dir: &Path, instance: &'static str) -> storehouse_objectstore::Result<FlatFs> {
    let disk = TestDisk::new(SystemCalls::Native, instance);
    FlatFs::open_with(dir.to_owned(), options(), disk as Arc<dyn Sys>).await
}

pub(super) async fn open(dir: &Path, instance: &'static str) -> FlatFs {
    try_open(dir, instance).await.unwrap()
}

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

pub(super) fn path(dir: &Path, key: &str) -> PathBuf {
    dir.join(ShardFunction::default().path(key))
}

/// The files of an open store whose process dies.
pub(super) fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.path().join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            for file in fs::read_dir(entry.path()).unwrap().map(Result::unwrap) {
                fs::copy(file.path(), target.join(file.file_name())).unwrap();
            }
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
    to
}

pub(super) fn logs(dir: &Path) -> Vec<&'static str> {
    NAMES
        .into_iter()
        .filter(|name| dir.join(name).exists())
        .collect()
}

/// A generator of numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// What was acknowledged last of a key.
#[derive(Clone)]
struct Known {
    content: Option<Vec<u8>>,
    /// Its file, or the file's absence, was synced before that.
    synced: bool,
    /// The log has something of it.
    logged: bool,
}

impl Known {
    fn new(content: Option<Vec<u8>>, synced: bool) -> Self {
        Self {
            content,
            synced,
            logged: false,
        }
    }
}

/// Changes keys at random, some of them at the same time, each by one task.
async fn change(store: &FlatFs, random: &mut Random, known: &mut BTreeMap<String, Known>) {
    let tasks = (0..20).map(|n| {
        let (store, name, what, size) = (
            store.clone(),
            format!("key{n}"),
            random.next(10),
            random.next(3000) as usize,
        );
        let large = vec![random.next(256) as u8; 70_000 + size];
        let small = vec![random.next(256) as u8; size];
        async move {
            let key = key(&name);
            let known = match what {
                0 => None,
                1 | 2 => {
                    store.delete(&key).await.unwrap();
                    Some(Known::new(None, false))
                }
                3 => {
                    store.put(&key, large.clone()).await.unwrap();
                    Some(Known::new(Some(large), true))
                }
                4 => {
                    let created = store
                        .put_opts(
                            &key,
                            small.clone().into(),
                            PutOptions::default().mode(PutMode::Create),
                        )
                        .await;
                    let exists = created.is_err_and(|e| e.is_already_exists());
                    (!exists).then_some(Known::new(Some(small), false))
                }
                5 => {
                    let etag = store.head(&key).await.ok().map(|there| there.etag);
                    let put = async |etag| {
                        store
                            .put_opts(
                                &key,
                                small.clone().into(),
                                PutOptions::default().mode(PutMode::Replace(etag)),
                            )
                            .await
                    };
                    match etag {
                        Some(etag) => put(etag)
                            .await
                            .map(|_| Known::new(Some(small.clone()), false))
                            .ok(),
                        None => None,
                    }
                }
                6 => {
                    // A put that is not awaited, on the way from or to another one.
                    let options = PutOptions::default().durability(Durability::Relaxed);
                    store
                        .put_opts(&key, "relaxed".into(), options)
                        .await
                        .unwrap();
                    store.put(&key, small.clone()).await.unwrap();
                    Some(Known::new(Some(small), false))
                }
                _ => {
                    store.put(&key, small.clone()).await.unwrap();
                    Some(Known::new(Some(small), false))
                }
            };
            (name, known)
        }
    });
    for (name, now) in join_all(tasks.collect::<Vec<_>>()).await {
        if let Some(mut now) = now {
            let logged = known.get(&name).is_some_and(|known| known.logged);
            now.logged = logged || (now.content.is_some() && !now.synced);
            // What the log knows nothing of is synced where it is.
            now.synced |= !now.logged;
            known.insert(name, now);
        }
    }
}

/// Does to a file what a power cut may do that comes before it was synced.
fn damage(file: &Path, random: &mut Random) {
    match random.next(5) {
        0 => drop(fs::remove_file(file)),
        // Also where it was deleted: the name may not be gone from the disk.
        what => {
            let len = fs::metadata(file).map_or(100, |there| there.len());
            let content = match what {
                1 => Vec::new(),
                2 => vec![0; len as usize],
                3 => vec![0xee; len as usize],
                _ => b"an older object".to_vec(),
            };
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
    }
}

async fn assert_holds(store: &FlatFs, known: &BTreeMap<String, Known>, story: &str) {
    for (name, known) in known {
        match (store.get_bytes(&key(name), u64::MAX).await, &known.content) {
            (Ok(found), Some(content)) => {
                assert!(found == *content, "{story}: {name} has other bytes")
            }
            (Err(e), None) if e.is_not_found() => {}
            (found, _) => panic!("{story}: {name} is {:?}", found.map(|bytes| bytes.len())),
        }
    }
    let there = known
        .values()
        .filter(|known| known.content.is_some())
        .count();
    assert_eq!(
        store
            .list_prefix("")
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len(),
        there,
        "{story}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    for seed in 0..8 {
        let (mut random, mut known) = (Random(seed), BTreeMap::new());
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), "before").await;
        for round in 0..4 {
            change(&store, &mut random, &mut known).await;
            let story = format!("seed {seed}, round {round}");
            let left = copy(dir.path());
            assert_eq!(logs(left.path()), [NAMES[0]], "{story}");
            for (name, _) in known.iter().filter(|(_, known)| !known.synced) {
                let file = path(left.path(), name);
                if random.next(3) > 0 {
                    damage(&file, &mut random);
                }
            }
            // Twice: what was put back is not put back again.
            for _ in 0..2 {
                let after = open(left.path(), "after").await;
                assert_holds(&after, &known, &story).await;
                assert_eq!(logs(left.path()), [""; 0], "{story}");
            }
            assert_eq!(fs::read_dir(left.path().join(".temp")).unwrap().count(), 0);
            fs::remove_file(path(left.path(), "key0")).ok();
            let after = open(left.path(), "later still").await;
            assert!(
                after
                    .head(&key("key0"))
                    .await
                    .is_err_and(|e| e.is_not_found())
            );
        }
        // Closing empties the log.
        store.close().await.unwrap();
        let again = open(dir.path(), "after").await;
        assert_holds(&again, &known, "closed").await;
        assert_eq!(logs(dir.path()), [""; 0]);
    }
}

#[tokio::test]
async fn what_somebody_else_deleted_after_a_kill_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "here").await;
    for name in ["kept", "gone"] {
        store.put(&key(name), name).await.unwrap();
    }
    let left = copy(dir.path());
    fs::remove_file(path(left.path(), "gone")).unwrap();
    for instance in ["here", "elsewhere"] {
        let after = open(left.path(), instance).await;
        assert_eq!(after.get_bytes(&key("kept"), 10).await.unwrap(), "kept");
        assert!(
            after
                .head(&key("gone"))
                .await
                .is_err_and(|e| e.is_not_found())
        );
    }
}

#[tokio::test]
async fn other_system_calls_put_back_what_the_log_has() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "here").await;
    store.put(&key("object"), "content").await.unwrap();
    let left = copy(dir.path());
    fs::write(path(left.path(), "object"), "").unwrap();
    let options = FlatFsOptions::default().system_calls(SystemCalls::Portable);
    let after = FlatFs::open(left.path(), options).await.unwrap();
    assert_eq!(
        after.get_bytes(&key("object"), 10).await.unwrap(),
        "content"
    );
}

#[tokio::test]
async fn a_torn_end_is_cut_and_damage_before_it_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "before").await;
    let names: Vec<String> = (0..10).map(|n| format!("key{n}")).collect();
    for name in &names {
        store.put(&key(name), name.clone()).await.unwrap();
    }
    let log = fs::read(dir.path().join(NAMES[0])).unwrap();
    let starts: Vec<usize> = (4096..log.len())
        .step_by(8)
        .filter(|at| &log[*at..*at + 4] == b"SHLG")
        .collect();
    assert_eq!(starts.len(), names.len());
    let lost_files = |left: &Path| {
        names
            .iter()
            .for_each(|name| fs::write(path(left, name), "").unwrap())
    };
    let all_but = async |store: &FlatFs, lost: usize| {
        for (n, name) in names.iter().enumerate() {
            let found = store.get_bytes(&key(name), 10).await.unwrap();
            assert_eq!(found, if n == lost { "" } else { name }, "{name}");
        }
    };

    // The last group, torn: it was not acknowledged, as far as the log knows.
    for at in [starts[9], starts[9] + 9, starts[9] + 30] {
        let left = copy(dir.path());
        lost_files(left.path());
        let mut torn = log.clone();
        torn[at] ^= 0xff;
        fs::write(left.path().join(NAMES[0]), torn).unwrap();
        all_but(&open(left.path(), "after").await, 9).await;
        assert_eq!(logs(left.path()), [""; 0]);
    }
    // One in the middle: told once, everything else in place, the log kept.
    let left = copy(dir.path());
    lost_files(left.path());
    let mut damaged = log.clone();
    damaged[starts[4] + 30] ^= 1;
    fs::write(left.path().join(NAMES[0]), &damaged).unwrap();
    let error = try_open(left.path(), "after")
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(NAMES[0]) && error.contains(&format!("byte {}", starts[4])),
        "{error}"
    );
    assert_eq!(
        fs::read(left.path().join(".log-0.damaged")).unwrap(),
        damaged
    );
    all_but(&open(left.path(), "after").await, 4).await;
    // A header that is none.
    let left = copy(dir.path());
    let mut damaged = log.clone();
    damaged[10] ^= 1;
    fs::write(left.path().join(NAMES[0]), &damaged).unwrap();
    let error = try_open(left.path(), "after")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("damaged at byte 0"), "{error}");
    // No file at all, but something else of that name.
    let left = copy(dir.path());
    fs::remove_file(left.path().join(NAMES[0])).unwrap();
    fs::create_dir(left.path().join(NAMES[0])).unwrap();
    assert!(
        try_open(left.path(), "after")
            .await
            .unwrap_err()
            .to_string()
            .contains("log")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_long_run_goes_round_both_files_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "before").await;
    let mut known = BTreeMap::new();
    // Three times what one file takes, every key several times.
    for round in 0..28u8 {
        let puts = (0..64).map(|n| {
            let (store, name, content) =
                (store.clone(), format!("key{n}"), vec![round ^ n; 60_000]);
            tokio::spawn(async move {
                store.put(&key(&name), content.clone()).await.unwrap();
                (name, Known::new(Some(content), false))
            })
        });
        for put in join_all(puts.collect::<Vec<_>>()).await {
            known.extend([put.unwrap()]);
        }
    }
    let left = copy(dir.path());
    assert_eq!(logs(left.path()), NAMES, "both are in use");
    assert_holds(&open(left.path(), "after").await, &known, "after").await;
    store.close().await.unwrap();
    assert_holds(&open(dir.path(), "after").await, &known, "closed").await;
    assert_eq!(logs(dir.path()), [""; 0]);
}
