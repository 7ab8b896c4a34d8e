//! The suite over plain directories: with Linux's own system calls and with POSIX alone, and with
//! few names of a listing in memory.

use std::path::Path;
use std::sync::Arc;

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_fs::{Fs, FsOptions, SystemCalls};
use storehouse_objectstore::ObjectStore;

/// What failed puts left in the directory for temporary files.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir.join(".storehouse/temp"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

async fn fixture(options: FsOptions, pace: Pace) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("objects");
    let store = Fs::open(&path, options).await.unwrap();
    let temp = path.clone();
    Fixture::new(store)
        .opens(move || Fs::open(path.clone(), options))
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

async fn native() -> Fixture {
    fixture(FsOptions::default(), Pace::DISK).await
}

async fn portable() -> Fixture {
    let options = FsOptions::default().system_calls(SystemCalls::Portable);
    fixture(options, Pace::DISK).await
}

async fn few_names() -> Fixture {
    let options = FsOptions::default().listed_names(64).cached_handles(0);
    fixture(options, Pace::SERVER).await
}

async fn arc_dyn() -> Fixture {
    fixture(FsOptions::default(), Pace::SERVER)
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

storehouse_conformance::tests!(over_fs, native);
storehouse_conformance::tests!(over_fs_portable, portable);
storehouse_conformance::tests!(over_fs_with_few_names, few_names);
storehouse_conformance::tests!(over_arc_dyn_fs, arc_dyn);
