//! The stores that the layers are put around.

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_objectstore::Memory;

/// A store whose bodies lie in memory.
pub(crate) async fn memory() -> Fixture {
    let store = Memory::new();
    Fixture::new(store.clone())
        .opens(move || {
            let store = store.reopen();
            async move { Ok(store) }
        })
        .profile(memory_profile())
}

/// What the suite may ask of a layer over [`memory`].
pub(crate) fn memory_profile() -> Profile {
    Profile {
        pace: Pace::MEMORY,
        holds_bodies: true,
        batches: true,
        ..Profile::default()
    }
}

/// A store whose bodies and listings are streams that wait for something.
#[cfg(unix)]
pub(crate) async fn flatfs() -> Fixture {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let dir = tempfile::tempdir().unwrap();
    let open = {
        let path = dir.path().to_path_buf();
        move || {
            let path = path.clone();
            async move { FlatFs::open(path, FlatFsOptions::default()).await }
        }
    };
    let temp = dir.path().join(".temp");
    Fixture::new(open().await.unwrap())
        .opens(open)
        .leftovers(move || {
            let left = std::fs::read_dir(&temp)
                .unwrap()
                .map(|entry| entry.unwrap().path().display().to_string())
                .collect();
            async { left }
        })
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            ..Profile::default()
        })
        .keeps(dir)
}

/// A store made of two others in directories.
#[cfg(unix)]
pub(crate) async fn two_directories<S: storehouse_objectstore::ObjectStore>(
    make: impl Fn(storehouse_flatfs::FlatFs, storehouse_flatfs::FlatFs) -> S + Send + Sync + 'static,
) -> Fixture {
    use std::sync::Arc;

    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let dir = tempfile::tempdir().unwrap();
    let (first, second) = (dir.path().join("first"), dir.path().join("second"));
    let temps = [first.join(".temp"), second.join(".temp")];
    let make = Arc::new(make);
    let open = move || {
        let (first, second, make) = (first.clone(), second.clone(), Arc::clone(&make));
        async move {
            let second = FlatFs::open(second, FlatFsOptions::default()).await?;
            let first = FlatFs::open(first, FlatFsOptions::default()).await?;
            Ok(make(first, second))
        }
    };
    Fixture::new(open().await.unwrap())
        .opens(open)
        .leftovers(move || {
            let left = temps
                .iter()
                .flat_map(|temp| std::fs::read_dir(temp).unwrap())
                .map(|entry| entry.unwrap().path().display().to_string())
                .collect();
            async { left }
        })
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            ..Profile::default()
        })
        .keeps(dir)
}
