//! SIGKILL at random: what was acknowledged is there, what was deleted is not.

use storehouse_harness::form::{by_form, seed};
use storehouse_harness::kill::Kills;
use storehouse_harness::session::Harness;
use storehouse_harness::stores::{Kind, Size};

fn kills(store: Kind, size: Size, long: u64) {
    let kills = Kills {
        store,
        size,
        seed: seed(),
        rounds: by_form(10, long),
    };
    let dir = tempfile::tempdir().unwrap();
    let summary = kills
        .run(&Harness::new(env!("CARGO_BIN_EXE_harness")), dir.path())
        .unwrap();
    println!("{kills:?}: {summary:?}");
    assert!(
        summary.wrong.is_none(),
        "repeat with: {}\n{summary:#?}",
        kills.command()
    );
    assert!(
        summary.done > summary.kills,
        "hardly anything was acknowledged: {summary:?}"
    );
}

macro_rules! tests {
    ($($name:ident: $store:ident $size:ident $long:literal;)*) => {$(
        #[test]
        fn $name() {
            kills(Kind::$store, Size::$size, $long);
        }
    )*};
}

tests! {
    fjall_tiny: Fjall Tiny 1000;
    fjall_production: Fjall Production 1000;
    redb_tiny: Redb Tiny 1000;
    redb_production: Redb Production 1000;
    flatfs_tiny: Flatfs Tiny 200;
    flatfs_production: Flatfs Production 200;
    flatfs_log_production: FlatfsLog Production 200;
    flatfs_portable_tiny: FlatfsPortable Tiny 200;
    flatfs_portable_production: FlatfsPortable Production 200;
    fs_tiny: Fs Tiny 200;
    fs_production: Fs Production 200;
    keystore_tiny: Keystore Tiny 200;
    keystore_production: Keystore Production 200;
    journal_tiny: Journal Tiny 200;
    journal_production: Journal Production 200;
}
