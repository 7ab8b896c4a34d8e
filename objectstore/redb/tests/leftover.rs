//! What a compaction left behind that failed.

use std::fs;

use storehouse_objectstore::{Key, ObjectStoreExt};
use storehouse_redb::{Redb, RedbOptions};

#[tokio::test]
async fn a_compaction_takes_nothing_from_the_file_of_one_that_failed() {
    let dir = tempfile::tempdir().unwrap();
    let store = Redb::open(dir.path(), RedbOptions::default())
        .await
        .unwrap();
    let (deleted, kept) = (Key::new("deleted").unwrap(), Key::new("kept").unwrap());
    store.put(&deleted, "a").await.unwrap();
    store.put(&kept, "b").await.unwrap();
    // As after a rename that failed: all records of that time, under the other name.
    let (file, left) = (
        dir.path().join("records.redb"),
        dir.path().join("records.redb.new"),
    );
    fs::copy(file, left).unwrap();
    store.delete(&deleted).await.unwrap();
    store.compact().await.unwrap();
    assert!(
        !store.exists(&deleted).await.unwrap(),
        "what was deleted is back"
    );
    assert_eq!(store.get_bytes(&kept, 10).await.unwrap(), "b");
}

/// A FIFO or a device in place of a file is named, and nothing waits for it.
#[tokio::test]
async fn files_that_are_none() {
    for name in ["MARK", "RESERVE", "records.redb", "other"] {
        for device in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let store = Redb::open(dir.path(), RedbOptions::default())
                .await
                .unwrap();
            store.close().await.unwrap();
            let path = dir.path().join(name);
            let _ = std::fs::remove_file(&path);
            if device {
                std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            } else {
                let made = std::process::Command::new("mkfifo").arg(&path).status();
                assert!(made.unwrap().success());
            }
            let opened = Redb::open(dir.path(), RedbOptions::default());
            let opened = tokio::time::timeout(std::time::Duration::from_secs(10), opened);
            let error = opened.await.expect("nothing hangs").unwrap_err();
            let expected = format!("{name} is not a regular file");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }
}

/// A fresh ext4 volume has `lost+found`, and a desktop leaves files whose names begin with a dot.
#[tokio::test]
async fn what_a_new_file_system_or_a_desktop_puts_there_is_ignored() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("lost+found")).unwrap();
    std::fs::write(dir.path().join(".DS_Store"), "x").unwrap();
    for _ in 0..2 {
        let store = Redb::open(dir.path(), RedbOptions::default())
            .await
            .unwrap();
        store.close().await.unwrap();
    }
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("theirs"), "x").unwrap();
    let refused = Redb::open(other.path(), RedbOptions::default()).await;
    assert!(refused.unwrap_err().to_string().contains("theirs"));
}
