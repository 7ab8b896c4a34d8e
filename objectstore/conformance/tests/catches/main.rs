//! The suite fails where it should: stores that break one rule each, and the case that has to say
//! so.

mod broken;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use storehouse_conformance::{Fixture, Pace, Profile};

use broken::{Broken, Flaw};

async fn fixture(flaw: Flaw) -> Fixture {
    let store = Broken::new(flaw);
    // Flaws that show by something that never happens.
    let hangs = matches!(flaw, Flaw::LimitsWhileItWaits | Flaw::LeavesLitter);
    let litter = Arc::clone(&store.litter);
    let again = store.clone();
    Fixture::new(store)
        .opens(move || {
            let store = if flaw == Flaw::ForgetsWhenClosed {
                Broken::new(flaw)
            } else {
                again.reopened()
            };
            async { Ok(store) }
        })
        .leftovers(move || {
            let litter = litter.lock().unwrap().iter().cloned().collect();
            async { litter }
        })
        .profile(Profile {
            pace: Pace {
                model_runs: 200,
                ..Pace::MEMORY
            },
            holds_bodies: flaw != Flaw::HoldsWholeBodies,
            exclusive: flaw == Flaw::OpensTwice,
            patience: Duration::from_secs(if hangs { 1 } else { 60 }),
            ..Profile::default()
        })
}

/// What the case says about a store with this flaw, if it fails.
fn verdict(case: &str, flaw: Flaw) -> Option<String> {
    let failed = catch_unwind(AssertUnwindSafe(|| {
        storehouse_conformance::run(case, || fixture(flaw))
    }))
    .err()?;
    let text = failed
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| failed.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Some(text.expect("a panic with a message"))
}

fn assert_catches(case: &str, flaw: Flaw, rule: &str) {
    assert_eq!(
        verdict(case, Flaw::None),
        None,
        "{case} fails for a store without a flaw"
    );
    let verdict =
        verdict(case, flaw).unwrap_or_else(|| panic!("{case} passes for a store that {flaw:?}"));
    assert!(
        verdict.contains(rule),
        "{case} of a store that {flaw:?} names another rule: {verdict}"
    );
}

macro_rules! catches {
    ($($name:ident { $($flaw:ident is $rule:literal in $case:literal;)+ })*) => {$(
        #[test]
        fn $name() {$(
            assert_catches($case, Flaw::$flaw, concat!("rule ", $rule, ":"));
        )+}
    )*};
}

catches! {
    keys {
        DecodesKeys is 1 in "keys::text_is_kept";
        FoldsCase is 1 in "keys::differ_by_their_text_alone";
    }
    lengths {
        CommitsShortBodies is 4 in "lengths::one_byte_less";
        CommitsShortBodies is 2 in "lengths::failing_source";
        ReadsOn is 4 in "lengths::one_byte_more";
        WritesInPlace is 2 in "lengths::failing_source";
        LeavesLitter is 4 in "lengths::one_byte_less";
    }
    modes {
        CreatesOver is 5 in "modes::create";
        PretendsNotToCreate is 5 in "modes::create";
        ChecksThenCreates is 5 in "modes::racing_creates";
        ReplacesAnything is 5 in "modes::replace";
        ReplacesAnything is 5 in "modes::racing_replaces";
        IgnoresConditions is 5 in "modes::conditional_gets";
        TagsAllAlike is 5 in "modes::etags";
    }
    ranges {
        ClampsRanges is 8 in "ranges::every_form_at_every_edge";
        SaysPartIsWhole is 8 in "ranges::across_pieces";
        SaysPartIsWhole is 8 in "ranges::every_form_at_every_edge";
    }
    reading {
        GivesHugePieces is 9 in "sizes::as_bytes";
        GivesEmptyPieces is 9 in "sizes::as_stream";
        OpensWhenRead is 7 in "reading::is_undisturbed";
    }
    concurrent {
        SkipsPutsDuringPuts is 6 in "concurrent::is_linearizable_on_one_key";
        SkipsDeletes is 6 in "concurrent::is_linearizable_on_one_key";
        WritesInPlace is 2 in "concurrent::readers_see_whole_versions";
    }
    deletes {
        SkipsDeletes is 10 in "delete::is_idempotent";
        FailsToDeleteTheMissing is 10 in "delete::is_idempotent";
        DropsSomeDeletes is 10 in "delete::many";
        TakesAllKeysFirst is 10 in "delete::many_as_they_are_read";
    }
    listings {
        ListsTwice is 11 in "list::order";
        ListsByKeyInReverse is 11 in "list::order";
        ListsByPath is 11 in "list::prefixes_are_text";
        ResumesAtTheKey is 11 in "list::resume_at_every_key";
        ForgetsLimits is 11 in "list::limits";
        ListsTwice is 11 in "list::while_writing";
        ListsLargeValues is 11 in "list::values";
        ListsOtherValues is 7 in "list::values";
    }
    cancelling {
        LeavesLitter is 12 in "cancel::put_at_every_await";
        WritesInPlace is 2 in "cancel::put_at_every_await";
        WritesInPlace is 2 in "cancel::put_that_waits_for_its_body";
    }
    waiting {
        LimitsWhileItWaits is 13 in "waiting::puts_of_bodies_that_wait";
        LimitsWhileItWaits is 13 in "waiting::puts_of_bodies_that_wait_for_puts";
        HoldsWholeBodies is 9 in "waiting::put_holds_a_window";
    }
    beyond {
        ForgetsAttributes is 16 in "attributes::are_kept";
        ForgetsAttributes is 16 in "attributes::up_to_a_limit";
        ForgetsAttributes is 16 in "copies::keep_attributes";
        CopiesUnconditionally is 17 in "copies::judge_conditions";
        RenamesNothing is 17 in "copies::rename";
        SwapsRanges is 18 in "many_ranges::are_exact";
        RollsUpAgain is 19 in "folders::roll_up";
        RollsUpAgain is 19 in "folders::of_many_keys";
        TellsNothing is 20 in "events::tell_every_change";
        SignsForever is 21 in "presigned::are_honoured_or_not";
    }
    reopening {
        ForgetsWhenClosed is 3 in "reopen::keeps_everything";
        OpensTwice is 14 in "reopen::open_twice";
        StaysOpen is 15 in "reopen::close_is_at_rest";
    }
    model {
        SkipsDeletes is 11 in "model::is_like_a_sorted_map";
        CommitsShortBodies is 4 in "model::is_like_a_sorted_map";
        ClampsRanges is 8 in "model::is_like_a_sorted_map";
        ReplacesAnything is 5 in "model::is_like_a_sorted_map";
        ResumesAtTheKey is 11 in "model::is_like_a_sorted_map";
    }
}

#[test]
fn a_model_failure_shows_a_small_sequence() {
    let verdict = verdict("model::is_like_a_sorted_map", Flaw::ListsTwice).unwrap();
    let ops = [
        "Put {",
        "Get {",
        "Head {",
        "Delete {",
        "BadPut {",
        "Reopen",
        "DeleteMany {",
    ]
    .map(|op| verdict.matches(op).count());
    assert!(
        verdict.contains("minimal failing input") && ops.iter().sum::<usize>() <= 4,
        "not small: {verdict}"
    );
}
