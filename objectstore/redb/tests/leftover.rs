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
