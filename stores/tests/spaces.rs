//! Spaces in keys, on every backend for records but S3, which has tests of its own.

mod common;

use storehouse_fjall::{Fjall, FjallOptions};
use storehouse_objectstore::Memory;
use storehouse_redb::{Redb, RedbOptions};
use storehouse_stores::Layout;

#[tokio::test]
async fn in_memory() {
    common::spaces_round_trip(Memory::new(), &Layout::s3()).await;
    common::spaces_round_trip(Memory::new(), &Layout::database()).await;
}

#[tokio::test]
async fn in_databases() {
    let dir = tempfile::tempdir().unwrap();
    let redb = Redb::open(dir.path().join("redb"), RedbOptions::default())
        .await
        .unwrap();
    common::spaces_round_trip(redb, &Layout::database()).await;
    let fjall = Fjall::open(dir.path().join("fjall"), FjallOptions::default())
        .await
        .unwrap();
    common::spaces_round_trip(fjall, &Layout::database()).await;
}
