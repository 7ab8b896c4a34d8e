//! The one list of cases, and what is made of it: the table, the `#[test]`s and a way to run a case
//! by its name.

use std::fmt;

use futures_core::future::BoxFuture;

use super::{Fixture, cases};

/// One case of the suite.
pub struct Case {
    /// Its theme and name, as in `ranges::every_form_at_every_edge`.
    pub name: &'static str,
    /// The rules of the contract that it checks.
    pub rules: &'static [u8],
    /// What must hold.
    pub about: &'static str,
    run: fn(Fixture) -> BoxFuture<'static, ()>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// Runs one case by its name over the store that `factory` makes, on a runtime of its own. What
/// [`tests!`](super::tests) makes calls this.
///
/// ```
/// use storehouse_conformance::{CASES, Fixture, Pace, Profile};
/// use storehouse_objectstore::Memory;
///
/// async fn memory() -> Fixture {
///     let profile = Profile { pace: Pace::MEMORY, holds_bodies: true, ..Profile::default() };
///     Fixture::new(Memory::new()).profile(profile)
/// }
///
/// let case = CASES.iter().find(|case| case.rules.contains(&10)).expect("rule 10 has a case");
/// storehouse_conformance::run(case.name, memory);
/// ```
///
/// # Panics
/// If the case fails, with the rule and what is wrong. If there is no such case.
pub fn run<F>(name: &str, factory: impl FnOnce() -> F)
where
    F: Future<Output = Fixture> + Send + 'static,
{
    let case = CASES
        .iter()
        .find(|case| case.name == name)
        .unwrap_or_else(|| panic!("there is no case {name:?}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the case");
    let opening = factory();
    runtime.block_on(async {
        // On a worker thread, where the tasks of a real program are.
        let running = tokio::spawn(async move {
            let fixture = opening.await;
            let patience = 5 * fixture.known().patience;
            tokio::time::timeout(patience, (case.run)(fixture))
                .await
                .map_err(|_| patience)
        });
        match running.await {
            Ok(Ok(())) => {}
            Ok(Err(patience)) => panic!(
                "rules {:?}: {name} is stuck: it did not end within {patience:?}",
                case.rules
            ),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    });
}

/// The list: theme, case, rules, what must hold. Everything else is made of it, so that no case can
/// be forgotten.
///
/// Calls the macro named first with the arguments that follow it and then the list.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_conformance_case {
    ({ $($callback:tt)* } $($args:tt)*) => {
        $($callback)*! { { $($args)* }
            keys {
                text_is_kept [1] "put, get, head, list and delete take a key's text as it is: percent signs, blanks, quotes, any script";
                differ_by_their_text_alone [1] "keys that differ in case, composition or encoding are different objects";
                nested [1, 11] "a key may be the beginning of another, up to a slash";
            }
            sizes {
                as_bytes [2, 4, 9] "objects of every boundary's size, put as bytes, are read back whole, in pieces of at most 1 MiB";
                as_stream [2, 4, 9] "the same from a stream that halts and has empty pieces";
                as_stream_of_odd_pieces [2, 4, 9] "the same from streams of single bytes and of pieces that fit no boundary";
                as_reader [2, 4, 9] "the same from an `AsyncRead`";
                as_file [2, 4, 9] "the same from a file";
            }
            lengths {
                one_byte_more [4, 2] "a body of one byte more than declared is `TooLarge` without reading on, and changes nothing";
                one_byte_less [4, 2] "a body of one byte less than declared is `TooSmall`, and changes nothing";
                known_beforehand [4] "a body that knows its size is refused at once if another is declared, as is one of no known size";
                endless [4, 2] "an endless body is refused with the piece that reaches past the declared size";
                absurd_size_declared [4] "a declared size beyond the store's maximum is `TooLarge` before a byte is read, and a promise alone costs nothing";
                failing_source [2] "a source that fails at the start, in the middle or after the last byte changes nothing";
                promised_sha256 [4, 2] "a SHA-256 is checked if the capabilities say so; a put with a wrong one is all or nothing in any case";
                failing_then_well [2, 12] "a put that failed does not disturb the next one";
            }
            errors {
                tell_operation_and_key [1, 4, 5, 8] "an error tells the operation and the caller's key, does not repeat its cause, and is classed as the caller's";
                pass_through_a_put [2] "the error of another store, come through a body, is given as it is";
            }
            modes {
                create [5] "create writes what is not there, and only that";
                replace [5] "replace writes over the version with the ETag, and only over that";
                racing_creates [5, 6] "of several creates at once, one wins";
                racing_replaces [5, 6] "of several replaces of one version at once, one wins";
                etags [5, 7] "each version has an ETag of its own, the same by put, head and get";
                conditional_gets [5, 7] "`if_match` and `if_none_match` are judged, and before the range";
            }
            batches {
                all_or_nothing [2, 5] "a batch whose condition fails, wherever it stands, changes nothing";
                in_order [2, 5] "operations of a batch apply in order, each judged on what those before it leave";
                racing [5, 6] "of several batches that need one version, one wins, and all of it shows";
            }
            ranges {
                every_form_at_every_edge [8] "a range gives exactly its bytes or `RangeNotSatisfiable`; nothing is clamped";
                of_an_empty_object [8] "the whole is the only range of an empty object";
                of_one_byte [8] "every edge of an object of one byte";
                clamped_on_request [8] "a clamped range gives what the object has of it; one that starts at or past the end, or of an empty object, is not satisfiable";
                across_pieces [8, 9] "ranges around the boundaries of pieces and parts";
                of_what_is_missing [8] "what is not there is not found, whatever the range";
            }
            reading {
                is_undisturbed [7] "an open object is read to its end after it was deleted or replaced";
                slow_reader [9] "a reader that pauses gets everything";
                as_async_read [8, 9] "an object and a range of it as an `AsyncRead`";
                collected_up_to_a_limit [9] "a limit on collecting is inclusive, and judged before reading";
                abandoned [12] "a body can be dropped after any piece";
            }
            many_ranges {
                are_exact [18, 8] "several ranges of one call give exactly their bytes, in the order asked for, also where they overlap";
                are_refused [18, 5] "one range that is not satisfiable refuses all; conditions are judged, also without any range";
                are_of_one_version [18, 7] "the ranges of one call are of one version while the object is replaced";
            }
            attributes {
                are_kept [16, 3] "attributes of every kind come back by get and head, also when the data is opened again, and go with their version; or they are refused";
                of_large_objects [16] "a large stream has its attributes too";
                up_to_a_limit [16] "as many attributes are kept as the capabilities say, and one byte more is refused";
            }
            copies {
                are_whole [17, 3] "a copy of any size is the whole object, and stays when its source changes";
                judge_conditions [17, 5] "a copy judges its conditions on both keys, and a refused one changes nothing";
                keep_attributes [17, 16] "a copy has its source's attributes, or those given";
                rename [17] "a rename leaves the object under the new key alone; or it is refused and changes nothing";
            }
            delete {
                is_idempotent [10] "what is not there is deleted without an error, and nothing else goes with it";
                many [10] "delete_many gives each key once it is gone, missing ones too, over more than a page";
                many_of_any_text [1, 10] "delete_many takes a key's text as it is";
                many_as_they_are_read [10] "delete_many takes keys as its result is read, a bounded number ahead";
            }
            list {
                empty [11] "an empty store lists nothing";
                order [11] "keys are listed in the store's order";
                entries [7, 11] "a listing's sizes and ETags are those of head";
                prefixes_are_text [11] "a prefix is text: every beginning of every key finds what starts so";
                resume_at_every_key [11] "a listing goes on after any key, there or not";
                limits [11] "a limit of none, one, all but one, all, more; and a walk in steps";
                more_than_a_page [11] "more keys than a page holds, each once";
                left_unread [11, 13] "a listing that is not read on holds nothing up, and can be read on or dropped";
                values [7, 11] "a listing gives bytes only if asked, up to the size asked for, and then those of the version that it names";
                while_writing [11] "objects that stay are listed once, in order, while others come and go";
            }
            folders {
                roll_up [19, 11] "a listing by folders is the listing, rolled up at the delimiter behind the prefix";
                at_other_delimiters [19] "other characters than a slash are delimiters too, or are refused";
                resume_at_every_item [19, 11] "a listing by folders goes on after any item, a folder too";
                of_many_keys [19] "a folder of many keys is one item in its place";
            }
            events {
                tell_every_change [20] "put, copy, delete, delete_many and batch are told in their order by the time they are answered, or no events are offered";
                say_what_was_missed [20] "a listener that is too slow is told how much it missed, and then the rest";
                end_when_closed [20, 15] "events end when the store is closed, once all were read";
            }
            presigned {
                are_honoured_or_not [21] "a presigned request is of the method, key and time asked for; or presigning is refused";
            }
            waiting {
                puts_of_bodies_that_wait [13] "many puts that wait for their bodies hold nothing up";
                puts_of_gets [13] "a put's body can be a get of the same store, many times at once";
                puts_of_bodies_that_wait_for_puts [13] "puts whose bodies wait for other puts end";
                gets_left_unread [13] "many gets whose bodies are not read hold nothing up";
                deletes_of_keys_that_wait [10, 13] "delete_many waiting for its keys holds nothing up";
                put_holds_a_window [9] "a put takes its body as fast as it can store it, holding no more than a window";
            }
            concurrent {
                is_linearizable_on_one_key [2, 6, 7] "puts, creates, deletes and gets of one key at once are explained by some order of theirs";
                readers_see_whole_versions [2, 6, 7] "readers during overwrites see whole versions, never an older one than was put";
                many_keys_at_once [6] "100 puts of different keys at once are all there";
            }
            cancel {
                put_at_every_await [2, 12] "a put dropped at any await leaves the old or the whole new object, and nothing else";
                put_that_waits_for_its_body [2, 12] "a put dropped while it waits for its body leaves the old object, and nothing else";
                reads_at_every_await [12] "get, head, list and health can be dropped at any await";
                deletes_at_every_await [12] "delete and delete_many can be dropped at any await";
            }
            model {
                is_like_a_sorted_map [1, 2, 3, 4, 5, 6, 7, 8, 10, 11] "random sequences of operations, opening again among them, give what a sorted map gives";
            }
            reopen {
                keeps_everything [3] "what was put is there, and what was deleted is not, when the data is opened again";
                keeps_relaxed_puts [3, 2, 4] "a relaxed put is atomic, and there when the data is opened again";
                close_is_at_rest [15, 2, 3] "close lets a put under way end whole or not at all, refuses operations from then on, and leaves the data free to be opened again";
                open_twice [14] "data that only one store may have open is `InUse` for a second one";
            }
        }
    };
}

/// Makes one `#[test]` of every case: `tests!(module, factory)`.
///
/// `module` is the name of the module to make; `factory` an async function (or a closure that gives
/// a future) without arguments whose result is a fresh [`Fixture`](crate::Fixture). Attributes, as
/// `#[cfg(unix)]`, may stand before the module's name.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_tests {
    ($(#[$attribute:meta])* $module:ident, $factory:expr $(,)?) => {
        $(#[$attribute])*
        mod $module {
            #[allow(unused_imports)]
            use super::*;

            async fn __fixture() -> $crate::Fixture {
                ($factory)().await
            }

            $crate::__for_each_case! { { $crate::__conformance_test_functions } }
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_test_functions {
    ({} $($theme:ident { $($case:ident [$($rule:literal),*] $about:literal;)* })*) => {$(
        mod $theme {$(
            #[test]
            fn $case() {
                $crate::run(concat!(stringify!($theme), "::", stringify!($case)), super::__fixture);
            }
        )*}
    )*};
}

macro_rules! table {
    ({} $($theme:ident { $($case:ident [$($rule:literal),*] $about:literal;)* })*) => {
        /// Every case of the suite.
        ///
        /// | case | rules | what must hold |
        /// |---|---|---|
        $($(
        #[doc = concat!("| `", stringify!($theme), "::", stringify!($case), "` | ", stringify!($($rule),*), " | ", $about, " |")]
        )*)*
        pub const CASES: &[Case] = &[$($(
            Case {
                name: concat!(stringify!($theme), "::", stringify!($case)),
                rules: &[$($rule),*],
                about: $about,
                run: |fixture| Box::pin(cases::$theme::$case(fixture)),
            },
        )*)*];
    };
}

crate::__for_each_conformance_case! { { table } }
