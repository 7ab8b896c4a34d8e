//! The suite over fjall: as it is opened by default, and with buffers so small that tables are
//! written and merged all the time.

use std::path::Path;
use std::sync::Arc;

use storehouse_conformance::{self as conformance, Fixture, Pace, Profile};
use storehouse_fjall::{Fjall, FjallOptions};
use storehouse_objectstore::ObjectStore;

/// What is there beside the files that a store consists of.
fn leftovers(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names
        .filter(|name| !["LOCK", "MARK", "fjall"].contains(&name.as_str()))
        .collect()
}

async fn fixture(options: FjallOptions) -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let store = Fjall::open(&path, options).await.unwrap();
    let there = path.clone();
    Fixture::new(store)
        .opens(move || Fjall::open(path.clone(), options))
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
    fixture(FjallOptions::default()).await
}

async fn small_buffers() -> Fixture {
    fixture(
        FjallOptions::default()
            .cache(64 << 10)
            .write_buffer(16 << 10),
    )
    .await
}

async fn arc_dyn() -> Fixture {
    by_default()
        .await
        .wrapped(|store| Arc::new(store) as Arc<dyn ObjectStore>)
}

conformance::tests!(over_fjall, by_default);
conformance::tests!(over_fjall_with_small_buffers, small_buffers);
conformance::tests!(over_arc_dyn_fjall, arc_dyn);
