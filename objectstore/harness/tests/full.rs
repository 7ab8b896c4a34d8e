//! A disk that is full from some step on: reads go on, and so do writes once there is space.

use storehouse_harness::form::{by_form, seed};
use storehouse_harness::full::Full;
use storehouse_harness::session::Harness;
use storehouse_harness::stores::{Kind, Size};

fn full(store: Kind, size: Size) {
    let full = Full {
        store,
        size,
        seed: seed(),
    };
    let dir = tempfile::tempdir().unwrap();
    let harness = Harness::new(env!("CARGO_BIN_EXE_harness"));
    let summary = full
        .every_step(&harness, dir.path(), by_form(8, 500))
        .unwrap();
    println!("{full:?}: {summary:?}");
    assert!(
        summary.wrong.is_empty(),
        "{store} {size}: {:#?}",
        summary.wrong
    );
    assert!(summary.runs > 0, "the disk never filled up");
}

macro_rules! tests {
    ($($name:ident: $store:ident $size:ident;)*) => {$(
        #[test]
        fn $name() {
            full(Kind::$store, Size::$size);
        }
    )*};
}

tests! {
    redb_tiny: Redb Tiny;
    redb_production: Redb Production;
    flatfs_tiny: Flatfs Tiny;
    flatfs_production: Flatfs Production;
    flatfs_log_production: FlatfsLog Production;
    flatfs_portable_tiny: FlatfsPortable Tiny;
    flatfs_portable_production: FlatfsPortable Production;
    fs_tiny: Fs Tiny;
    fs_production: Fs Production;
    keystore_tiny: Keystore Tiny;
    keystore_production: Keystore Production;
    journal_tiny: Journal Tiny;
    journal_production: Journal Production;
}
