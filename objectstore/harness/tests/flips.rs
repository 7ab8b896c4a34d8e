//! Flipped bits: never a wrong record, and what is elsewhere stays readable.
//!
//! Not of flatfs, whose files hold an object's bytes and no more: who knows their digest checks
//! them.

use storehouse_harness::flips::Flips;
use storehouse_harness::form::{by_form, seed};
use storehouse_harness::session::Harness;
use storehouse_harness::stores::{Kind, Size};

fn flips(store: Kind, size: Size) {
    let flips = Flips {
        store,
        size,
        seed: seed(),
    };
    let dir = tempfile::tempdir().unwrap();
    let harness = Harness::new(env!("CARGO_BIN_EXE_harness"));
    let summary = flips
        .run(&harness, dir.path(), by_form(25, 10_000))
        .unwrap();
    println!("{flips:?}: {summary:?}");
    assert!(
        summary.wrong.is_empty(),
        "{store} {size}: {:#?}",
        summary.wrong
    );
    assert!(summary.unseen < summary.flips, "no flip was ever seen");
}

macro_rules! tests {
    ($($name:ident: $store:ident $size:ident;)*) => {$(
        #[test]
        fn $name() {
            flips(Kind::$store, Size::$size);
        }
    )*};
}

tests! {
    redb_tiny: Redb Tiny;
    keystore_tiny: Keystore Tiny;
    keystore_production: Keystore Production;
    journal_tiny: Journal Tiny;
    journal_production: Journal Production;
}
