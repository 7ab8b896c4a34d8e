//! The suite over flatfs: without and with the log, with Linux's own system calls and with POSIX
//! alone, and under each shard function.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_flatfs::{ShardFunction, SystemCalls};
use storehouse_objectstore::{Error, ObjectStore, Result};

/// For what differs little from what the full pace is run on.
const LESS: Pace = Pace::SERVER;

/// What failed puts left in the directory for temporary files.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir.join(".temp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

async fn fixture(shard: ShardFunction, system_calls: SystemCalls, pace: Pace) -> Fixture {
    let options = FlatFsOptions::default()
        .shard(shard)
        .system_calls(system_calls);
    fixture_with(options, pace).await
}

async fn fixture_with(options: FlatFsOptions, pace: Pace) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flatfs");
    let store = FlatFs::open(&path, options).await.unwrap();
    let temp = path.clone();
    Fixture::new(store)
        .opens(move || open_once_free(path.clone(), options))
        .leftovers(move || {
            let left = leftovers(&temp);
            async move { left }
        })
        .profile(Profile {
            pace,
            exclusive: true,
            put_window: 4 * 1024 * 1024,
            ..Profile::default()
        })
        .keeps(dir)
}

/// Opens a directory whose store was dropped, and may still be closing.
async fn open_once_free(path: PathBuf, options: FlatFsOptions) -> Result<FlatFs> {
    let mut tries = 0;
    loop {
        match FlatFs::open(&path, options).await {
            Err(Error::InUse { .. }) if options.log && tries < 1000 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            opened => return opened,
        }
    }
}

async fn native() -> Fixture {
    fixture(ShardFunction::default(), SystemCalls::Native, Pace::DISK).await
}

async fn with_log() -> Fixture {
    fixture_with(FlatFsOptions::default().log(true), Pace::DISK).await
}

async fn portable() -> Fixture {
    fixture(ShardFunction::default(), SystemCalls::Portable, Pace::DISK).await
}

async fn by_prefix() -> Fixture {
    fixture(ShardFunction::Prefix(3), SystemCalls::Native, LESS).await
}

async fn by_suffix() -> Fixture {
    fixture(ShardFunction::Suffix(1), SystemCalls::Native, LESS).await
}

async fn arc_dyn() -> Fixture {
    fixture(ShardFunction::default(), SystemCalls::Native, LESS)
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

storehouse_conformance::tests!(over_flatfs, native);
storehouse_conformance::tests!(over_flatfs_with_log, with_log);
storehouse_conformance::tests!(over_flatfs_portable, portable);
storehouse_conformance::tests!(over_flatfs_by_prefix, by_prefix);
storehouse_conformance::tests!(over_flatfs_by_suffix, by_suffix);
storehouse_conformance::tests!(over_arc_dyn_flatfs, arc_dyn);
