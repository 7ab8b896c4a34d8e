//! Paths of keys, and back.
//!
//! Each segment of a key is a name, unless the file system cannot say it;
//! `docs/reference/fs.md` has the table and golden vectors. [`path`] is a function of the key alone, and [`decode`] undoes
//! it, so it is injective. A name is an object's only if it is the one that [`path`] makes.

use std::borrow::Cow;

/// Holds the store's own files, in the root.
pub(super) const RESERVED: &str = ".storehouse";

/// What `mkfs` puts into the root of a file system, closed to all but its owner.
const LOST_AND_FOUND: &str = "lost+found";

/// Ends the name of an object whose plain name a directory has: `a` beside `a/b`.
pub(super) const BESIDE: &str = "%file";

/// Ends the name of a directory that holds the rest of a long segment.
pub(super) const MORE: &str = "%more";

/// The most bytes of a name without its mark: with one it has 255.
pub(super) const MAX_PART: usize = 250;

/// The path of a key's file below the root, while no directory has it.
pub(super) fn path(key: &str) -> String {
    if is_plain(key) {
        return key.to_owned();
    }
    let mut path = String::with_capacity(key.len() + 16);
    for (n, segment) in key.split('/').enumerate() {
        if n > 0 {
            path.push('/');
        }
        push_segment(segment, n == 0, &mut path);
    }
    path
}

/// The path of a key's file while a directory has the plain one.
pub(super) fn beside(path: &str) -> String {
    format!("{path}{BESIDE}")
}

/// Whether a key, or a name, is certain to be written as it is, as nearly all are.
fn is_plain(text: &str) -> bool {
    let printable = text.bytes().all(|b| (b' '..0x7f).contains(&b) && b != b'%');
    printable
        && text.split('/').all(|segment| {
            segment.len() <= MAX_PART && !segment.is_empty() && !segment.ends_with(['.', ' '])
        })
        && !is_reserved(text.split('/').next().unwrap_or_default())
}

fn is_reserved(segment: &str) -> bool {
    segment == RESERVED || segment == LOST_AND_FOUND
}

/// Appends a segment's name; if it is long, the names of the directories on the way to it, too.
fn push_segment(segment: &str, in_root: bool, path: &mut String) {
    let mut start = path.len();
    let escape_first = in_root && is_reserved(segment);
    for (at, c) in segment.char_indices() {
        let rest = &segment[at + c.len_utf8()..];
        let escaped = match c {
            '%' => ambiguous(rest),
            '.' | ' ' => rest.is_empty() || (escape_first && at == 0),
            _ => c.is_control() || (escape_first && at == 0),
        };
        let mut utf8 = [0; 4];
        let bytes = c.encode_utf8(&mut utf8);
        let len = if escaped {
            3 * bytes.len()
        } else {
            bytes.len()
        };
        if path.len() + len > start + MAX_PART {
            path.push_str(MORE);
            path.push('/');
            start = path.len();
        }
        if escaped {
            for byte in bytes.bytes() {
                path.push('%');
                for digit in [byte >> 4, byte & 15] {
                    path.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
                }
            }
        } else {
            path.push(c);
        }
    }
}

/// Whether a `%` before this text would read as an escape or as a mark.
fn ambiguous(rest: &str) -> bool {
    rest == &BESIDE[1..] || rest == &MORE[1..] || hex(rest.as_bytes()).is_some()
}

/// The byte that two upper-case hexadecimal digits say.
fn hex(text: &[u8]) -> Option<u8> {
    let digit = |b: &u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    };
    Some(digit(text.first()?)? << 4 | digit(text.get(1)?)?)
}

/// The text of a name without its mark.
pub(super) fn decode(name: &str) -> Option<Cow<'_, str>> {
    if !name.contains('%') {
        return Some(Cow::Borrowed(name));
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        match hex(after).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// What a name in a directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// An object or a directory by its plain name.
    Plain,
    /// An object beside a directory of its name.
    Beside,
    /// A directory with the rest of a long segment.
    More,
}

/// The beginning of a segment that directories marked [`Mark::More`] have said so far; empty in
/// others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// The text.
    pub(super) text: String,
    /// The names of those directories, each with its `/`.
    pub(super) path: String,
}

/// The text of the segment that a name says or begins, and its mark; `None` if no key has such a
/// name. `in_root` says whether the segment is a key's first.
pub(super) fn read_name(begun: &Begun, name: &str, in_root: bool) -> Option<(String, Mark)> {
    if begun.text.is_empty() && is_plain(name) {
        return Some((name.to_owned(), Mark::Plain));
    }
    let (stem, mark) = match (name.strip_suffix(BESIDE), name.strip_suffix(MORE)) {
        (Some(stem), _) => (stem, Mark::Beside),
        (None, Some(stem)) => (stem, Mark::More),
        (None, None) => (name, Mark::Plain),
    };
    let text = decode(stem).filter(|text| !text.is_empty())?;
    let segment = format!("{}{text}", begun.text);
    if mark == Mark::More {
        // Whether it is written so shows with the end of the segment.
        return Some((segment, mark));
    }
    let mut written = String::with_capacity(begun.path.len() + name.len());
    push_segment(&segment, in_root, &mut written);
    let is_written_so = written.strip_prefix(&begun.path) == Some(stem);
    is_written_so.then_some((segment, mark))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use storehouse_objectstore::Key;

    use super::*;

    /// The vectors of `docs/reference/fs.md`.
    fn vectors() -> Vec<(String, String)> {
        let long = "k".repeat(600);
        let (part, rest) = ("k".repeat(250), "k".repeat(100));
        let same = [
            "Photos/Cat.jpg",
            "did:web:localhost:3000.cbor",
            "100%",
            "50%off",
            "%4x%4",
            "a%filed/b",
            ".hidden/...x",
            "ключ/鍵/🗝",
            "e\u{301}",
            "é",
            "a b",
            "x/.storehouse",
            "x/lost+found",
        ];
        let other = [
            (
                "did:web:localhost%3A3000.cbor",
                "did:web:localhost%253A3000.cbor",
            ),
            ("%41", "%2541"),
            ("%file", "%25file"),
            ("a%more/b", "a%25more/b"),
            ("a./b", "a%2E/b"),
            (".../b", "..%2E/b"),
            ("a /b", "a%20/b"),
            (".storehouse/x", "%2Estorehouse/x"),
            ("lost+found", "%6Cost+found"),
        ];
        let mut vectors: Vec<(String, String)> = Vec::new();
        vectors.extend(
            same.iter()
                .map(|key| ((*key).to_owned(), (*key).to_owned())),
        );
        vectors.extend(
            other
                .iter()
                .map(|(key, path)| ((*key).to_owned(), (*path).to_owned())),
        );
        vectors.push((long, format!("{part}%more/{part}%more/{rest}")));
        vectors
    }

    /// The key of a path, name by name, as a listing reads it.
    fn key_of(path: &str) -> Option<String> {
        let (mut key, mut begun, mut in_root) = (String::new(), Begun::default(), true);
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let (text, mark) = read_name(&begun, name, in_root)?;
            match mark {
                Mark::More => {
                    names.peek()?;
                    begun.text = text;
                    begun.path.push_str(name);
                    begun.path.push('/');
                }
                Mark::Beside if names.peek().is_some() => return None,
                Mark::Plain | Mark::Beside => {
                    key.push_str(&text);
                    if names.peek().is_some() {
                        key.push('/');
                    }
                    (begun, in_root) = (Begun::default(), false);
                }
            }
        }
        Some(key)
    }

    #[test]
    fn golden_vectors() {
        for (key, written) in vectors() {
            assert_eq!(path(&key), written, "{key:?}");
            assert_eq!(key_of(&written).as_deref(), Some(&*key), "{written:?}");
            assert_eq!(
                key_of(&beside(&written)).as_deref(),
                Some(&*key),
                "beside {written:?}"
            );
        }
    }

    #[test]
    fn other_names_are_no_objects() {
        for name in [
            "a.",
            "a ",
            "a%2e",
            "%61",
            "a%2E.x",
            "a%0",
            "a\tb",
            ".storehouse",
            "lost+found",
            "%file",
            "%more",
            "%more/x",
            "a%more/b",
            "a%file/b",
            "a%00",
        ] {
            let known = key_of(name).is_some_and(|key| Key::new(&key).is_ok());
            assert_eq!(known, ["a%0", "a%2e"].contains(&name), "{name:?}");
        }
        let name = "k".repeat(251);
        assert_eq!(key_of(&name), None);
    }

    /// Text from characters that mean something here, and some that do not.
    fn segment() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            8 => "[%.a ~+-]{1,6}",
            4 => "[%0-9A-Fa-f]{1,8}",
            2 => Just("%file".to_owned()),
            2 => Just("%more".to_owned()),
            1 => Just(RESERVED.to_owned()),
            1 => Just(LOST_AND_FOUND.to_owned()),
            1 => "[é🗝\u{301}\u{ffff}]{1,3}",
            1 => "[a%.é]{240,260}",
            1 => Just("%".repeat(300)),
        ];
        prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat())
    }

    fn key() -> impl Strategy<Value = Key> {
        prop::collection::vec(segment(), 1..4)
            .prop_filter_map("no key", |segments| Key::new(segments.join("/")).ok())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_path_says_its_key(key in key()) {
            let path = path(key.as_str());
            prop_assert_eq!(key_of(&path), Some(key.as_str().to_owned()), "{}", path);
            let beside = beside(&path);
            prop_assert_eq!(key_of(&beside), Some(key.as_str().to_owned()), "{}", beside);
            for name in beside.split('/') {
                prop_assert!(!name.is_empty() && name.len() <= 255, "{name:?}");
                prop_assert!(!name.ends_with(['.', ' ']) && !name.contains(char::is_control), "{name:?}");
            }
            prop_assert!(path.split('/').next() != Some(RESERVED));
            prop_assert!(path.len() < 4096 - 255);
        }

        /// No two keys share a place, whatever names are tried.
        #[test]
        fn a_name_that_says_a_key_is_its_own(path_ in prop::collection::vec(segment(), 1..4)) {
            let text = path_.join("/");
            if let Some(key) = key_of(&text) {
                let own = path(&key);
                prop_assert!(text == own || text == beside(&own), "{text:?} reads as {key:?}, which lies at {own:?}");
            }
        }

        #[test]
        fn any_text_has_a_path(text in ".{0,40}") {
            path(&text);
            decode(&text);
        }
    }
}
