//! Stores for the layers to stand on, as fixtures of the suite.

use std::sync::{Arc, Mutex, Weak};

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_objectstore::{Error, Memory, ObjectStore};

pub(crate) type Inner = Arc<dyn ObjectStore>;

/// A fixture of one store made of `count` stores in memory.
pub(crate) fn over_memories<S: ObjectStore>(
    count: usize,
    make: impl Fn(Vec<Inner>) -> S + Send + Sync + 'static,
) -> Fixture {
    let stores: Vec<_> = (0..count).map(|_| Memory::new()).collect();
    let all = |open: fn(&Memory) -> Memory| {
        let each = stores.iter().map(|store| Arc::new(open(store)) as Inner);
        each.collect::<Vec<_>>()
    };
    let first = make(all(Memory::clone));
    let make = Arc::new(make);
    Fixture::new(first)
        .opens({
            let stores = stores.clone();
            move || {
                let each = stores.iter().map(|store| Arc::new(store.reopen()) as Inner);
                let (inner, make) = (each.collect(), Arc::clone(&make));
                async move { Ok(make(inner)) }
            }
        })
        .profile(Profile {
            pace: Pace::MEMORY,
            holds_bodies: true,
            ..Profile::default()
        })
}

/// The same, which is opened again only once all handles of the stores are gone or they are closed,
/// as a directory is: what a layer does in the background ends with its process, or is waited for.
pub(crate) fn over_exclusive_memories<S: ObjectStore>(
    count: usize,
    make: impl Fn(Vec<Inner>) -> S + Send + Sync + 'static,
) -> Fixture {
    let stores: Vec<_> = (0..count).map(|_| Memory::new()).collect();
    let handles: Arc<Mutex<Vec<Weak<dyn ObjectStore>>>> = Arc::default();
    let make = Arc::new(make);
    let open = {
        let handles = Arc::clone(&handles);
        move || {
            let each = stores.iter().map(|store| Arc::new(store.reopen()) as Inner);
            let each: Vec<_> = each.collect();
            *handles.lock().unwrap() = each.iter().map(Arc::downgrade).collect();
            make(each)
        }
    };
    Fixture::new(open())
        .opens(move || {
            let handles: Vec<_> = handles.lock().unwrap().clone();
            let open = open.clone();
            async move {
                for handle in handles.iter().filter_map(Weak::upgrade) {
                    if handle.health().await.is_ok() {
                        let path = "memory".into();
                        return Err(Error::InUse { path });
                    }
                }
                Ok(open())
            }
        })
        .profile(Profile {
            pace: Pace::MEMORY,
            holds_bodies: true,
            exclusive: true,
            ..Profile::default()
        })
}

/// A fixture of one store made of `count` stores in directories.
#[cfg(unix)]
pub(crate) async fn over_directories<S: ObjectStore>(
    count: usize,
    make: impl Fn(Vec<Inner>) -> S + Send + Sync + 'static,
) -> Fixture {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<_> = (0..count)
        .map(|n| dir.path().join(format!("{n}")))
        .collect();
    let make = Arc::new(make);
    let open = {
        let paths = paths.clone();
        move || {
            let (paths, make) = (paths.clone(), Arc::clone(&make));
            async move {
                let mut inner = Vec::new();
                for path in paths {
                    let store = FlatFs::open(path, FlatFsOptions::default()).await?;
                    inner.push(Arc::new(store) as Inner);
                }
                Ok(make(inner))
            }
        }
    };
    Fixture::new(open().await.unwrap())
        .opens(open)
        .leftovers(move || {
            let mut left = Vec::new();
            for path in &paths {
                let entries = std::fs::read_dir(path.join(".temp")).unwrap();
                left.extend(entries.map(|entry| entry.unwrap().path().display().to_string()));
            }
            async { left }
        })
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            ..Profile::default()
        })
        .keeps(dir)
}
