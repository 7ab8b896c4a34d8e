//! Whole lives: what a store takes stays in proportion to what is in it.

use std::time::Duration;

use storehouse_harness::form::{by_form, seed};
use storehouse_harness::lives::{LifeSummary, Lives};
use storehouse_harness::session::Harness;
use storehouse_harness::stores::{Kind, Size};

/// The keys that there are at most.
const KEYS: u64 = 100;

fn live(store: Kind, size: Size) -> LifeSummary {
    let lives = Lives {
        store,
        size,
        seed: seed(),
        sessions: by_form(100, 10_000),
        trickle: by_form(20, 300),
        pause: by_form(20, 2_000),
        patience: Duration::from_secs(60),
    };
    let dir = tempfile::tempdir().unwrap();
    let life = lives
        .run(&Harness::new(env!("CARGO_BIN_EXE_harness")), dir.path())
        .unwrap();
    println!("{lives:?}: {life:#?}");
    assert!(life.wrong.is_empty(), "{lives:?}: {life:#?}");
    assert!(life.most.descriptors <= 64, "{lives:?}: {life:#?}");
    assert!(
        life.late.memory_kib <= 2 * life.early.memory_kib + 16_384,
        "{lives:?}: {life:#?}"
    );
    assert!(
        life.late.open_us <= 5 * life.early.open_us + 200_000,
        "{lives:?}: {life:#?}"
    );
    life
}

/// A store with a file or two for each key, and nothing else.
fn files(store: Kind, size: Size) {
    let life = live(store, size);
    let largest = *store.object_sizes(size).iter().max().unwrap() as u64;
    assert!(life.most.files <= KEYS + 8, "{store} {size}: {life:#?}");
    assert!(
        life.most.bytes <= KEYS * (largest + 8192) + (1 << 20),
        "{store} {size}: {life:#?}"
    );
    assert!(
        life.cleared.files <= 8 && life.cleared.bytes <= 65_536,
        "{store} {size}: {life:#?}"
    );
}

/// Batches are removed as they rotate, so there is one open batch and perhaps one more.
fn batches(size: Size) {
    let life = live(Kind::Journal, size);
    assert!(life.cleared.files <= 8, "{size}: {life:#?}");
}

/// A database in one file, with its lock, mark and reserve.
fn database(store: Kind, size: Size) {
    let life = live(store, size);
    let largest = *store.object_sizes(size).iter().max().unwrap() as u64;
    assert!(life.most.files <= 5, "{store} {size}: {life:#?}");
    assert!(
        life.most.bytes <= 2 * KEYS * largest + (32 << 20),
        "{store} {size}: {life:#?}"
    );
    assert!(life.cleared.bytes <= 32 << 20, "{store} {size}: {life:#?}");
}

macro_rules! tests {
    ($($name:ident: $call:expr;)*) => {$(
        #[test]
        fn $name() {
            $call;
        }
    )*};
}

tests! {
    flatfs_tiny: files(Kind::Flatfs, Size::Tiny);
    flatfs_production: files(Kind::Flatfs, Size::Production);
    fs_production: files(Kind::Fs, Size::Production);
    flatfs_log_production: files(Kind::FlatfsLog, Size::Production);
    keystore_tiny: files(Kind::Keystore, Size::Tiny);
    keystore_production: files(Kind::Keystore, Size::Production);
    redb_tiny: database(Kind::Redb, Size::Tiny);
    journal_tiny: batches(Size::Tiny);
    journal_production: batches(Size::Production);
}
