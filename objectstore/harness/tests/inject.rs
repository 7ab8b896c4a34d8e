//! Errors of system calls: what was acknowledged is there, whatever failed in between.

use std::path::Path;

use storehouse_harness::form::{by_form, seed};
use storehouse_harness::inject::{Inject, InjectSummary};
use storehouse_harness::session::Harness;
use storehouse_harness::spec::Arm;
use storehouse_harness::stores::{Kind, Size};

fn test(
    store: Kind,
    size: Size,
    run: impl Fn(Inject, &Harness, &Path) -> std::io::Result<InjectSummary>,
) {
    for arm in [Arm::Open, Arm::Load, Arm::Close] {
        let inject = Inject {
            store,
            size,
            arm,
            seed: seed(),
            ops: Inject::ops(size),
            cut: false,
            warm: false,
        };
        let dir = tempfile::tempdir().unwrap();
        let summary = run(
            inject,
            &Harness::new(env!("CARGO_BIN_EXE_harness")),
            dir.path(),
        )
        .unwrap();
        println!("{inject:?}: {summary:?}");
        assert!(
            summary.wrong.is_empty(),
            "{store} {size} {arm}: {:#?}",
            summary.wrong
        );
        assert!(
            summary.runs > 0 || arm == Arm::Close,
            "nothing was injected: {summary:?}"
        );
    }
}

macro_rules! tests {
    ($($module:ident: $store:ident;)*) => {$(
        mod $module {
            use super::*;

            #[test]
            fn cut_at_every_call() {
                test(Kind::$store, Size::Tiny, |inject, harness, dir| {
                    let cut = Inject { cut: true, ..inject };
                    cut.every_call(harness, dir, by_form(12, u64::MAX), None, None)
                });
            }

            #[test]
            fn a_lying_disk_is_found_out() {
                let (store, size, arm) = (Kind::$store, Size::Tiny, Arm::Load);
                let inject = Inject { store, size, arm, seed: seed(), ops: 200, cut: true, warm: false };
                let dir = tempfile::tempdir().unwrap();
                let harness = Harness::new(env!("CARGO_BIN_EXE_harness"));
                let summary = inject.lying_disk(&harness, dir.path()).unwrap();
                assert!(!summary.wrong.is_empty(), "nothing was missing: {summary:?}");
            }

            #[test]
            fn every_call_tiny() {
                test(Kind::$store, Size::Tiny, |inject, harness, dir| {
                    inject.every_call(harness, dir, by_form(12, u64::MAX), None, None)
                });
            }

            #[test]
            fn every_call_production() {
                test(Kind::$store, Size::Production, |inject, harness, dir| {
                    inject.every_call(harness, dir, by_form(3, 1000), None, None)
                });
            }

            #[test]
            fn at_random_tiny() {
                test(Kind::$store, Size::Tiny, |inject, harness, dir| {
                    inject.at_random(harness, dir, by_form(4, 200))
                });
            }

            #[test]
            fn at_random_production() {
                test(Kind::$store, Size::Production, |inject, harness, dir| {
                    inject.at_random(harness, dir, by_form(2, 100))
                });
            }

            #[test]
            fn few_descriptors_tiny() {
                test(Kind::$store, Size::Tiny, |inject, harness, dir| {
                    inject.few_descriptors(harness, dir, by_form(1, 10), by_form(4, 12))
                });
            }

            #[test]
            fn few_descriptors_production() {
                test(Kind::$store, Size::Production, |inject, harness, dir| {
                    inject.few_descriptors(harness, dir, by_form(2, 10), by_form(2, 12))
                });
            }
        }
    )*};
}

tests! {
    fjall: Fjall;
    redb: Redb;
    flatfs: Flatfs;
    flatfs_portable: FlatfsPortable;
    fs: Fs;
    keystore: Keystore;
    journal: Journal;
}
