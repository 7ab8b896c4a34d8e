//! Object keys.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Error, Operation, Result};

/// The name of an object: UTF-8 text of 1 to 1,024 bytes (both inclusive), made of segments split
/// by `/`.
///
/// No segment is empty, `.` or `..`, and no character is a control character (Unicode category Cc:
/// U+0000 to U+001F and U+007F to U+009F). Nothing is escaped or normalised: the text is the key,
/// byte for byte. Keys compare in byte order. Cloning is cheap (the text is shared).
///
/// A backend may accept fewer keys than this; see
/// [`Capabilities::accepts_key`](crate::Capabilities::accepts_key).
///
/// ```
/// use storehouse_objectstore::Key;
///
/// let key = Key::new("zQmWvQx/did:web:localhost%3A3000.cbor")?;
/// assert_eq!(key.as_str(), "zQmWvQx/did:web:localhost%3A3000.cbor");
/// assert!(Key::new("../../etc/passwd").is_err());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

impl Key {
    /// The longest key, in bytes (inclusive). S3's own limit.
    pub const MAX_LEN: usize = 1024;

    /// Checks `text` and makes a key of it.
    ///
    /// # Errors
    /// [`Error::InvalidKey`], which says what is wrong with the text.
    pub fn new(text: impl AsRef<str>) -> Result<Self> {
        let text = text.as_ref();
        Self::check(text)?;
        Ok(Self(Arc::from(text)))
    }

    /// Says what keeps `text` from being a key.
    pub(crate) fn check(text: &str) -> Result<()> {
        flaw(text).map_or(Ok(()), |reason| {
            Err(Error::invalid_key(Operation::Key, text, reason))
        })
    }

    /// The last of all keys, in byte order, that start with `prefix`; `None` if no key does.
    ///
    /// ```
    /// use storehouse_objectstore::Key;
    ///
    /// let last = Key::last_under("a/").unwrap();
    /// assert!(last > Key::new("a/\u{ffff}")? && last < Key::new("a0")?);
    /// assert_eq!(Key::last_under("a//"), None);
    /// # Ok::<(), storehouse_objectstore::Error>(())
    /// ```
    #[must_use]
    pub fn last_under(prefix: &str) -> Option<Self> {
        let mut text = prefix.to_owned();
        // The greatest characters of four bytes down to one, as long as they fit.
        for last in ['\u{10ffff}', '\u{ffff}', '\u{7ff}', '~'] {
            while text.len() + last.len_utf8() <= Self::MAX_LEN {
                text.push(last);
            }
        }
        Self::new(text).ok()
    }

    /// The key's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What keeps `text` from being a key, if anything does.
fn flaw(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("a key has at least one byte");
    }
    if text.len() > Key::MAX_LEN {
        return Some("a key has at most 1024 bytes");
    }
    if is_plain(text.as_bytes()) {
        return None;
    }
    if text.chars().any(char::is_control) {
        return Some("a key has no control characters");
    }
    text.split('/').find_map(|segment| match segment {
        "" => Some("a key has no empty segment, so no '/' at its start, at its end, or next to another '/'"),
        "." | ".." => Some("a key has no segment '.' or '..'"),
        _ => None,
    })
}

/// Whether this is printable ASCII and no segment is empty or begins with a point, as in nearly all
/// keys.
///
/// Listings check a key for each record, so this looks at all bytes alike, which the compiler makes
/// many at a time of.
fn is_plain(text: &[u8]) -> bool {
    let begins = |byte: u8| byte != b'/' && byte != b'.';
    let (Some(first), Some(last), Some(following)) = (text.first(), text.last(), text.get(1..))
    else {
        return false;
    };
    let printable = text.iter().fold(true, |plain, byte| {
        plain & (byte.wrapping_sub(b' ') < 0x7f - b' ')
    });
    let segments = text
        .iter()
        .zip(following)
        .fold(true, |plain, (before, byte)| {
            plain & ((*before != b'/') | begins(*byte))
        });
    printable && segments && begins(*first) && *last != b'/'
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl AsRef<str> for Key {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

// Sound because `Eq`, `Ord` and `Hash` of a key are those of its text.
impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl FromStr for Key {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Key {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl TryFrom<String> for Key {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_what_the_contract_allows() {
        for text in [
            "a",
            "a/b",
            "did:web:localhost%3A3000",
            "a b",
            "?",
            "ключ/鍵/🗝",
            "...",
            ".a",
            "a..",
            "\\",
            &"k".repeat(1024),
        ] {
            assert_eq!(Key::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_what_the_contract_forbids_and_says_why() {
        let long = "k".repeat(1025);
        for (text, why) in [
            ("", "at least one byte"),
            (long.as_str(), "1024"),
            ("a\0b", "control"),
            ("a\tb", "control"),
            ("a\u{85}b", "control"),
            ("a//b", "empty segment"),
            ("/a", "empty segment"),
            ("a/", "empty segment"),
            ("../../etc/passwd", "'..'"),
            ("a/./b", "'.'"),
        ] {
            let message = Key::new(text).unwrap_err().to_string();
            assert!(message.contains(why), "{text:?}: {message}");
        }
    }

    proptest::proptest! {
        /// The quick look at all bytes alike against the rules, one by one.
        #[test]
        fn is_what_the_rules_say(text in "[a/.\u{0}\u{1f}\u{7f}\u{80}\u{9f}\u{a0}~ \u{ff0f}]{0,40}", place in 0..40_usize, byte in 0..=0x7f_u8) {
            let is_key = |text: &str| {
                !text.is_empty()
                    && !text.chars().any(char::is_control)
                    && text.split('/').all(|segment| !matches!(segment, "" | "." | ".."))
            };
            proptest::prop_assert_eq!(Key::new(&text).is_ok(), is_key(&text), "{:?}", text);
            // Any one byte, anywhere in a long key.
            let mut long = "k".repeat(40);
            long.replace_range(place..=place, &char::from(byte).to_string());
            proptest::prop_assert_eq!(Key::new(&long).is_ok(), is_key(&long), "{:?}", long);
        }
    }

    #[test]
    fn a_refusal_does_not_repeat_a_huge_key() {
        assert!(Key::new("k".repeat(1 << 20)).unwrap_err().to_string().len() < 300);
    }
}
