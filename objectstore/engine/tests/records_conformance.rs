//! The suite over the record layer alone, on an engine in memory.

mod support;

use std::sync::Arc;

use storehouse_conformance::{self as conformance, Fixture, Pace, Profile};
use support::{Disk, Options, Store, options};

async fn records() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("records");
    let disk = Arc::<Disk>::default();
    let options = Options {
        max_size: 32 << 20,
        ..options(&disk)
    };
    let store = Store::open(&path, options.clone()).await.unwrap();
    Fixture::new(store)
        .opens(move || Store::open(path.clone(), options.clone()))
        .profile(Profile {
            pace: Pace {
                largest: 1 << 20,
                ..Pace::MEMORY
            },
            exclusive: true,
            holds_bodies: true,
            batches: true,
            ..Profile::default()
        })
        .keeps(dir)
}

conformance::tests!(over_records, records);
