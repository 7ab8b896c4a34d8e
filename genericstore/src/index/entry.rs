//! What entries look like.

use std::fmt::Debug;

use bytes::Bytes;
use storehouse_objectstore::Key;

use crate::{Namespace, Result};

/// How an entry of a unique index names its record.
///
/// ```
/// use bytes::Bytes;
/// use storehouse_genericstore::index::Pointer;
///
/// /// Keys that are numbers, in 8 bytes.
/// #[derive(Debug)]
/// struct Number;
///
/// impl Pointer for Number {
///     fn encode(&self, key: &str) -> Option<Bytes> {
///         let number: u64 = key.parse().ok()?;
///         Some(Bytes::copy_from_slice(&number.to_be_bytes()))
///     }
///
///     fn decode(&self, entry: &[u8]) -> Option<String> {
///         Some(u64::from_be_bytes(entry.try_into().ok()?).to_string())
///     }
/// }
///
/// let entry = Number.encode("513").unwrap();
/// assert_eq!(entry, [0, 0, 0, 0, 0, 0, 2, 1].as_slice());
/// assert_eq!(Number.decode(&entry).as_deref(), Some("513"));
/// assert_eq!(Number.encode("five"), None);
/// ```
pub trait Pointer: Debug + Send + Sync + 'static {
    /// The entry's bytes for the record's key, or `None` if this form cannot say it.
    fn encode(&self, key: &str) -> Option<Bytes>;

    /// The record's key that an entry's bytes name, if they name one. They come from outside.
    fn decode(&self, entry: &[u8]) -> Option<String>;
}

/// The record's key, as text.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextPointer;

impl Pointer for TextPointer {
    fn encode(&self, key: &str) -> Option<Bytes> {
        Some(Bytes::copy_from_slice(key.as_bytes()))
    }

    fn decode(&self, entry: &[u8]) -> Option<String> {
        String::from_utf8(entry.to_vec()).ok()
    }
}

/// One entry, as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The key in the index, as text.
    pub(super) text: String,
    /// The object.
    pub(super) key: Key,
    /// Its bytes.
    pub(super) value: Bytes,
}

/// Beside the records: `fruit/` has `fruit.index/{name}/`, everything has `.index/{name}/`, and
/// `fruit-` has `fruit-index-{name}-`.
pub(super) fn default_entries(records: &Namespace, name: &str) -> Result<Namespace> {
    let prefix = match records.prefix() {
        "" => format!(".index/{name}/"),
        prefix => match prefix.strip_suffix('/') {
            Some(folder) => format!("{folder}.index/{name}/"),
            None => format!("{prefix}index-{name}-"),
        },
    };
    Namespace::new(prefix, "")
}

/// `text` as one segment of a key, so that different texts stay different.
///
/// In folders all stays but `/`, `%`, control characters and the segments `.`, `..` and nothing at
/// all, which become `%` and two hexadecimal digits a byte (a lone `%` for nothing). Under plain
/// names all becomes `=` and two digits but `0`-`9`, `a`-`z`, `-` and `_`, for stores that take
/// little else.
pub(super) fn escape(text: &str, in_folders: bool) -> String {
    let (mark, keep): (char, fn(char) -> bool) = if in_folders {
        ('%', |c| c != '/' && c != '%' && !c.is_control())
    } else {
        ('=', |c| matches!(c, '0'..='9' | 'a'..='z' | '-' | '_'))
    };
    let dots = in_folders && matches!(text, "." | "..");
    if text.is_empty() {
        return mark.into();
    }
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if keep(c) && !dots {
            escaped.push(c);
        } else {
            for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                escaped.push(mark);
                escaped.extend(
                    [byte >> 4, byte & 15]
                        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')),
                );
            }
        }
    }
    escaped
}

/// The text that was escaped, if it was.
pub(super) fn unescape(escaped: &str, in_folders: bool) -> Option<String> {
    let mark = if in_folders { b'%' } else { b'=' };
    if escaped.as_bytes() == [mark] {
        return Some(String::new());
    }
    let mut text = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.bytes();
    while let Some(byte) = bytes.next() {
        if byte == mark {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            text.push((digit()? << 4 | digit()?) as u8);
        } else {
            text.push(byte);
        }
    }
    String::from_utf8(text)
        .ok()
        .filter(|text| escape(text, in_folders) == escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaping_is_reversible_and_gives_segments(text in ".{0,20}", in_folders: bool) {
            let escaped = escape(&text, in_folders);
            prop_assert!(Key::new(format!("x/{escaped}/y")).is_ok() && !escaped.contains('/'), "{escaped:?}");
            prop_assert_eq!(unescape(&escaped, in_folders), Some(text));
        }
    }

    #[test]
    fn what_escaping_never_gives() {
        for escaped in ["%2", "%zz", "%61", "%", "a%", "%2E"] {
            let text = unescape(escaped, true);
            assert!(
                text.is_none() || text.as_deref() == Some(""),
                "{escaped:?} {text:?}"
            );
        }
    }
}
