//! Rule 1: what becomes of a key's text.

use bytes::Bytes;

use super::super::check::{OrFail, ensure, ensure_eq, ensure_err, story};
use super::super::{Fixture, Nesting, names};
use storehouse_objectstore::{Error, Key, ListOptions, PutOptions};

/// Texts that some layer is known to change, hide or refuse, with the reason.
const TEXTS: &[(&str, &str)] = &[
    ("plain", "nothing special"),
    (
        "did:web:localhost%3A3000",
        "a percent sign, which a client may encode twice or a server decode",
    ),
    ("a%2Fb", "an encoded slash"),
    ("100%", "a percent sign that starts no encoding"),
    ("a+b", "a plus, which form encoding reads as a blank"),
    ("a b", "a blank"),
    (" a", "a blank at the start"),
    ("a ", "a blank at the end, which Windows drops"),
    ("what?", "the start of a query"),
    ("a?versionId=1", "a whole query"),
    ("a&b=c", "what separates a query"),
    ("a#b", "the start of a fragment"),
    ("a\\b", "a backslash"),
    ("a*b", "a wildcard"),
    ("[a-z]", "a class of characters"),
    ("\"quoted\"", "double quotes"),
    ("it's", "a single quote"),
    ("<a>&amp;</a>", "what XML escapes"),
    ("a:b;c,d=e", "separators"),
    ("a|b^c`d{e}~f!g@h$i(j)", "what URLs escape, and shells"),
    ("ключ", "Cyrillic"),
    ("鍵", "Chinese"),
    ("مفتاح", "written from the right"),
    ("🗝", "outside the basic plane"),
    ("e\u{301}", "a letter and its accent"),
    ("\u{e9}", "the same, composed"),
    ("\u{200b}", "a character of no width"),
    ("\u{2028}", "a line separator"),
    ("\u{feff}a", "a byte order mark"),
    ("\u{fffd}", "the replacement character"),
    ("Case", "upper case"),
    ("case", "the same, lower case"),
    ("..a", "two dots, but no parent"),
    ("a..", "two dots at the end"),
    ("...", "three dots"),
    (".hidden", "a dot file"),
    (".temp", "flatfs's directory of temporary files"),
    (".temp/a", "inside of it"),
    ("SHARDING", "flatfs's description"),
    ("_README", "flatfs's explanation"),
    (".lock", "a lock"),
    ("a.data", "flatfs's suffix"),
    ("a.tmp", "a temporary file's suffix"),
    ("-a", "an option of a command"),
    ("_", "flatfs's filler"),
    ("=", "base64's filler"),
    ("con", "a device of Windows"),
    ("nul.txt", "another"),
    ("a/b/c/d/e/f/g/h/i/j/k", "depth"),
    ("0", "a number"),
    ("null", "a word with a meaning elsewhere"),
    ("undefined", "another"),
    ("true", "another"),
];

/// The texts above, and those that are too long to write down.
fn texts() -> Vec<(String, String)> {
    let mut texts: Vec<_> = TEXTS
        .iter()
        .map(|(text, why)| ((*text).to_owned(), (*why).to_owned()))
        .collect();
    let parts = |len: usize| vec!["p".repeat(len); Key::MAX_LEN / (len + 1)].join("/");
    texts.extend([
        ("s".repeat(255), "the longest name of a file".into()),
        (
            "s".repeat(256),
            "one more than the longest name of a file".into(),
        ),
        (
            "l".repeat(Key::MAX_LEN),
            "the longest key, in one segment".into(),
        ),
        (parts(200), "a long key in segments".into()),
        (parts(1), "the most segments".into()),
        (
            "🗝".repeat(Key::MAX_LEN / 4),
            "the longest key, and few characters".into(),
        ),
    ]);
    texts
}

/// Asserts that a key that the store takes is taken as it is.
async fn assert_kept(fixture: &Fixture, key: &Key, why: &str) {
    let bytes = Bytes::from(format!("content of {key}"));
    fixture.put(1, key, bytes.clone()).await;
    fixture.assert_holds(1, key, Some(&bytes), why).await;
    let listed = fixture.list_keys(1, ListOptions::default()).await;
    ensure_eq!(
        1,
        listed,
        vec![key.clone()],
        "the keys listed after a put of {key:?} ({why})"
    );
    fixture.delete(1, key).await;
    fixture.assert_holds(1, key, None, why).await;
}

/// Asserts that nothing comes of a key that the store refuses.
async fn assert_refused(fixture: &Fixture, key: &Key, by_capabilities: bool, why: &str) {
    let put = fixture.try_put(key, "content", PutOptions::default()).await;
    if by_capabilities {
        ensure_err!(1, put, Error::InvalidKey { key: said, .. } if said == key.as_str(), "put of {key:?}, which is not in the alphabet ({why})");
        ensure_err!(
            1,
            fixture.store().head(key).await,
            Error::NotFound { .. },
            "head of {key:?}, which is not in the alphabet ({why})"
        );
        ensure!(
            1,
            fixture.read(1, key).await.is_none(),
            "get of {key:?}, which is not in the alphabet, is not found ({why})"
        );
        fixture.delete(1, key).await;
    } else {
        ensure!(
            1,
            put.is_err(),
            "{key:?} is refused, says the profile, but put gives {} ({why})",
            story(&put)
        );
        ensure!(
            1,
            fixture.store().head(key).await.is_err(),
            "head finds {key:?} after a put that was refused ({why})"
        );
    }
    ensure_eq!(
        1,
        fixture.list_keys(1, ListOptions::default()).await,
        [],
        "what is listed after {key:?} was refused ({why})"
    );
}

pub(in super::super) async fn text_is_kept(fixture: Fixture) {
    let mut kept = 0;
    for (text, why) in texts() {
        let key = Key::new(&text).unwrap_or_else(|e| panic!("rule 1: {e}"));
        if !fixture.store().capabilities().accepts_key(&key) {
            assert_refused(&fixture, &key, true, &why).await;
        } else if (fixture.known().refuses)(&text) {
            assert_refused(&fixture, &key, false, &why).await;
        } else {
            assert_kept(&fixture, &key, &why).await;
            kept += 1;
        }
    }
    ensure!(1, kept > 0, "not one of the keys is accepted");
}

pub(in super::super) async fn differ_by_their_text_alone(fixture: Fixture) {
    let texts: Vec<_> = TEXTS.iter().map(|(text, _)| *text).collect();
    let mut keys = names::accepted(&fixture, &texts);
    for key in &keys {
        fixture.put(1, key, format!("content of {key}")).await;
    }
    for key in &keys {
        fixture
            .assert_holds(
                1,
                key,
                Some(&Bytes::from(format!("content of {key}"))),
                "with many others there",
            )
            .await;
    }
    let order = fixture.store().capabilities().order.clone();
    keys.sort_by(|a, b| order.compare(a, b));
    ensure_eq!(
        1,
        fixture.list_keys(1, ListOptions::default()).await,
        keys,
        "all keys listed"
    );
    // Deleting one takes no other along.
    let kept = keys.split_off(keys.len() / 2);
    for key in &keys {
        fixture.delete(1, key).await;
    }
    ensure_eq!(
        1,
        fixture.list_keys(1, ListOptions::default()).await,
        kept,
        "the keys listed after the others were deleted"
    );
}

pub(in super::super) async fn nested(fixture: Fixture) {
    let key = |text| Key::new(text).unwrap_or_else(|e| panic!("rule 1: {e}"));
    let (outer, inner) = (key("nest"), key("nest/egg"));
    if !fixture.store().capabilities().accepts_key(&inner) {
        return assert_refused(&fixture, &inner, true, "a slash").await;
    }
    let bytes = |key: &Key| Bytes::from(format!("content of {key}"));
    for (first, second) in [(&outer, &inner), (&inner, &outer)] {
        fixture.put(1, first, bytes(first)).await;
        let put = fixture
            .try_put(second, bytes(second), PutOptions::default())
            .await;
        if fixture.known().nesting == Nesting::Collide {
            ensure!(
                1,
                put.is_err(),
                "{first:?} and {second:?} collide, says the profile, but both can be put"
            );
            fixture
                .assert_holds(
                    1,
                    first,
                    Some(&bytes(first)),
                    "after a put that collided with it",
                )
                .await;
            ensure!(
                1,
                fixture.read(1, second).await.is_none(),
                "{second:?} is there after its put failed"
            );
        } else {
            put.or_fail(1, format_args!("put {second:?}, with {first:?} there"));
            for key in [first, second] {
                ensure_eq!(
                    1,
                    fixture.read(1, key).await,
                    Some(bytes(key)),
                    "what get {key:?} gives with both there"
                );
            }
            let shown = match fixture.known().nesting {
                Nesting::HiddenFromListings => vec![outer.clone()],
                _ => vec![outer.clone(), inner.clone()],
            };
            ensure_eq!(
                11,
                fixture.list_keys(11, ListOptions::default()).await,
                shown,
                "the keys listed, of a key and one under it"
            );
            fixture.delete(1, first).await;
            fixture
                .assert_holds(
                    1,
                    second,
                    Some(&bytes(second)),
                    "after the other was deleted",
                )
                .await;
            fixture.delete(1, second).await;
        }
        fixture.delete(1, first).await;
        ensure_eq!(
            1,
            fixture.list_keys(1, ListOptions::default()).await,
            vec![],
            "what is listed after all was deleted"
        );
    }
}
