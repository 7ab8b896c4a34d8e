//! Names for cases that need several keys, as far as the store takes them.

use super::{Fixture, Nesting};
use storehouse_objectstore::Key;

/// Names that begin alike, sort closely or sort otherwise than one thinks: `-` sorts before `/`,
/// which sorts before `0`; upper case before lower case.
pub(super) const RELATED: &[&str] = &[
    "a",
    "a-",
    "a-b",
    "a-b-c",
    "a0",
    "aa",
    "ab",
    "abc",
    "abcd",
    "b",
    "ba",
    "b-a",
    "bb-aa",
    "z",
    "zz-z",
    "0",
    "00",
    "000-a",
    "-x",
    "_x",
    "=x",
    "+x",
    "a/b",
    "a/b/c",
    "a/b-c",
    "a/bc",
    "a-b/c",
    "a0/b",
    "dir/x",
    "dir/y/z",
    "dir-x",
    "dir0",
    "dir.x",
    "A",
    "Ab",
    "a b",
    "a%2Fb",
    "a%41",
    "%41",
    "é",
    "e\u{301}",
    "ключ/1",
    "ключ/2",
    "🗝",
    "🗝/🗝",
    "\u{ffff}x",
    "~",
];

/// Those of `names` that can be objects at the same time.
pub(super) fn accepted(fixture: &Fixture, names: &[&str]) -> Vec<Key> {
    let (capabilities, known) = (fixture.store().capabilities(), fixture.known());
    let nested = |name: &str| {
        names.iter().any(|other| {
            name.strip_prefix(other)
                .is_some_and(|rest| rest.starts_with('/'))
        })
    };
    names
        .iter()
        .filter(|name| known.nesting == Nesting::Independent || !nested(name))
        .filter(|name| !(known.refuses)(name))
        .map(|name| Key::new(name).unwrap_or_else(|e| panic!("rule 1: {e}")))
        .filter(|key| capabilities.accepts_key(key))
        .collect()
}
