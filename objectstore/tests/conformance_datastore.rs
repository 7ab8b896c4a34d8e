//! The suite over the datastore: as it is opened by default, and with buffers so small that tables
//! are written and merged all the time.

use std::path::Path;
use std::sync::Arc;

use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_objectstore::{Datastore, DatastoreOptions, ObjectStore};

/// What is there beside the files that a store consists of.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names
        .filter(|name| {
            !(name == "LOCK"
                || name == "MANIFEST"
                || name.ends_with(".table")
                || name.ends_with(".log"))
        })
        .collect()
}

async fn fixture(options: DatastoreOptions) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("datastore");
    let store = Datastore::open(&path, options).await.unwrap();
    let there = path.clone();
    Fixture::new(store)
        .opens(move || Datastore::open(path.clone(), options))
        .leftovers(move || {
            let left = leftovers(&there);
            async move { left }
        })
        .profile(Profile {
            pace: Pace::DISK,
            exclusive: true,
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
        .keeps(dir)
}

async fn by_default() -> Fixture {
    fixture(DatastoreOptions::default()).await
}

async fn small_buffers() -> Fixture {
    fixture(DatastoreOptions {
        write_buffer: 64 * 1024,
        cache: 64 * 1024,
        ..DatastoreOptions::default()
    })
    .await
}

async fn arc_dyn() -> Fixture {
    by_default()
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

storehouse_conformance::tests!(over_datastore, by_default);
storehouse_conformance::tests!(over_datastore_with_small_buffers, small_buffers);
storehouse_conformance::tests!(over_arc_dyn_datastore, arc_dyn);
