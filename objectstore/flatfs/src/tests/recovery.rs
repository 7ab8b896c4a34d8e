//! Syncs that fail while a log is applied.
//!
//! After a failed sync the kernel takes a file's pages for clean: it shows them, later syncs
//! succeed, and a power cut loses them. [`TestDisk`](super::TestDisk) remembers which files that
//! is.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use storehouse_objectstore::{Key, ObjectStoreExt, Result};

use super::super::store::FlatFs;
use super::TestDisk;
use super::power::{copy, logs, open, options, path};
use storehouse_engine::files::{Sys, SystemCalls};

/// Few enough for each to be synced by itself.
const NAMES: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

async fn open_on(disk: &Arc<TestDisk>, dir: &Path) -> Result<FlatFs> {
    let sys = Arc::clone(disk) as Arc<dyn Sys>;
    FlatFs::open_with(dir.to_owned(), options(), sys).await
}

/// The directory of a store whose process was killed with all of its objects in the log.
async fn left_behind() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), "here").await;
    for name in NAMES {
        store.put(&Key::new(name).unwrap(), name).await.unwrap();
    }
    let left = copy(dir.path());
    assert!(!logs(left.path()).is_empty());
    store.close().await.unwrap();
    left
}

/// Cuts the power: files whose sync failed, and that were not written anew since, are empty.
fn cut_power(disk: &TestDisk, dir: &Path) {
    for name in NAMES {
        let path = path(dir, name);
        if let Ok(file) = fs::metadata(&path)
            && disk.has_lost(file.dev(), file.ino())
        {
            fs::write(path, "").unwrap();
        }
    }
}

/// Opens what is left in the run `instance` with each sync failing once, then again until it opens.
async fn survives_failed_syncs(instance: &'static str, damage: impl Fn(&Path)) {
    let (left, mut failed) = (left_behind().await, 0);
    loop {
        let left = copy(left.path());
        damage(left.path());
        let disk = TestDisk::new(SystemCalls::Native, instance);
        disk.fail_sync(failed);
        let mut opened = open_on(&disk, left.path()).await;
        let came_to_it = disk.stop_failing();
        for _ in 0..2 {
            if opened.is_err() {
                opened = open_on(&disk, left.path()).await;
            }
        }
        drop(opened.unwrap());
        cut_power(&disk, left.path());
        let after = open(left.path(), "after the power cut").await;
        for name in NAMES {
            let found = after.get_bytes(&Key::new(name).unwrap(), 10).await;
            assert_eq!(found.unwrap(), name, "sync {failed} failed, {instance}");
        }
        if !came_to_it {
            break;
        }
        failed += 1;
    }
    assert!(failed > NAMES.len() as u64, "{failed} syncs");
}

#[tokio::test]
async fn a_sync_that_fails_after_a_kill_loses_nothing() {
    survives_failed_syncs("here", |_| {}).await;
}

#[tokio::test]
async fn a_sync_that_fails_after_a_power_cut_loses_nothing() {
    survives_failed_syncs("elsewhere", |dir| {
        for name in &NAMES[..3] {
            fs::write(path(dir, name), "").unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn what_was_deleted_after_a_kill_stays_deleted_though_a_sync_fails() {
    let left = left_behind().await;
    fs::remove_file(path(left.path(), "third")).unwrap();
    let disk = TestDisk::new(SystemCalls::Native, "here");
    // The first sync is the directory's own, before the log is looked at.
    disk.fail_sync(1);
    let store = open_on(&disk, left.path()).await.unwrap();
    assert!(disk.stop_failing());
    let third = Key::new("third").unwrap();
    assert!(store.head(&third).await.unwrap_err().is_not_found());
}
