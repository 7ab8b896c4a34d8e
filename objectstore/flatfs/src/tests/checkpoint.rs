//! Changes of keys while the log that has their records is being emptied.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storehouse_objectstore::{Durability, Key, ObjectStoreExt, PutOptions};

use super::super::options::FlatFsOptions;
use super::super::store::FlatFs;
use super::TestDisk;
use super::power::{copy, open, path};
use storehouse_engine::files::{Sys, SystemCalls};

/// Lets the log become idle on a disk that stands still, so that the checkpoint does not end.
async fn checkpoint_begins(disk: &Arc<TestDisk>) {
    let before = disk.waiting.load(Ordering::SeqCst);
    disk.set(true);
    while disk.waiting.load(Ordering::SeqCst) == before {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn what_the_log_is_being_emptied_of_can_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let disk = TestDisk::new(SystemCalls::Native, "before");
    let options = FlatFsOptions::default()
        .log(true)
        .log_idle(Duration::from_millis(50));
    let sys = Arc::clone(&disk) as Arc<dyn Sys>;
    let store = FlatFs::open_with(dir.path().to_owned(), options, sys)
        .await
        .unwrap();
    let keys = ["deleted", "large", "relaxed"].map(|key| Key::new(key).unwrap());
    let [deleted, large, relaxed] = &keys;
    for key in &keys {
        store.put(key, "old").await.unwrap();
    }
    checkpoint_begins(&disk).await;
    store.delete(deleted).await.unwrap();
    store.put(large, vec![7; 100_000]).await.unwrap();
    let options = PutOptions::default().durability(Durability::Relaxed);
    store
        .put_opts(relaxed, "new".into(), options)
        .await
        .unwrap();
    let left = copy(dir.path());
    disk.set(false);
    store.close().await.unwrap();

    // What the disk need not have yet is as it was.
    fs::write(path(left.path(), "deleted"), "old").unwrap();
    let after = open(left.path(), "after the power cut").await;
    assert!(after.head(deleted).await.unwrap_err().is_not_found());
    assert!(after.get_bytes(large, 1 << 20).await.unwrap() == vec![7; 100_000]);
    assert_eq!(after.get_bytes(relaxed, 10).await.unwrap(), "new");
}
