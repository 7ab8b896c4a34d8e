//! Which directory an object lies in.

use std::fmt;
use std::str::FromStr;

use storehouse_objectstore::{Error, Result};

/// Where Go's flatfs puts the version, the function's name and its parameter.
const PREFIX: &str = "/repo/flatfs/shard/";

/// The extension of every object's file.
pub(super) const EXTENSION: &str = ".data";

/// The longest file name, in bytes, on the file systems that matter.
const MAX_FILE_NAME: usize = 255;

/// Picks an object's directory, its shard, from its key: some of the key's characters, padded with
/// `_` if there are too few.
///
/// `Display` and `FromStr` use the form of the file `SHARDING`, for example
/// `/repo/flatfs/shard/v1/next-to-last/2`; white space around it is ignored when it is parsed, as
/// Go does. The number of characters is 1 to 255 (both inclusive): a directory's name is no longer.
///
/// ```
/// use storehouse_flatfs::ShardFunction;
///
/// let shard: ShardFunction = "/repo/flatfs/shard/v1/next-to-last/2\n".parse()?;
/// assert_eq!(shard, ShardFunction::default());
/// assert_eq!(shard.shard("abcd"), "bc");
/// assert_eq!(shard.shard("ab"), "_a");
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ShardFunction {
    /// The first characters.
    Prefix(u8),
    /// The last characters.
    Suffix(u8),
    /// The characters before the last one.
    NextToLast(u8),
}

impl Default for ShardFunction {
    /// `next-to-last/2`, which Piri and IPFS use.
    fn default() -> Self {
        Self::NextToLast(2)
    }
}

impl ShardFunction {
    /// The shard of `key`. Characters are bytes; one that is not UTF-8 on its own (no key in a
    /// flatfs has any) becomes U+FFFD.
    #[must_use]
    pub fn shard(self, key: &str) -> String {
        let mut shard = String::with_capacity(self.len());
        self.push_shard(key, &mut shard);
        shard
    }

    /// Whether `shard` is the shard of `key`; without making one.
    pub(super) fn is_shard_of(self, shard: &str, key: &str) -> bool {
        let mut of_key = [b'_'; 255];
        let (key, len) = (key.as_bytes(), self.len());
        let (from, part) = self.part(key);
        of_key[from..from + part.len()].copy_from_slice(part);
        shard.as_bytes() == &of_key[..len]
    }

    /// The part of the key that goes into the shard, and where it goes; the rest of the shard is
    /// padding.
    fn part(self, key: &[u8]) -> (usize, &[u8]) {
        let len = self.len();
        let last = |key: &[u8]| key.len().saturating_sub(len);
        match self {
            Self::Prefix(_) => (0, &key[..key.len().min(len)]),
            Self::Suffix(_) => (len.saturating_sub(key.len()), &key[last(key)..]),
            Self::NextToLast(_) => {
                let before_last = &key[..key.len().saturating_sub(1)];
                (
                    len.saturating_sub(before_last.len()),
                    &before_last[last(before_last)..],
                )
            }
        }
    }

    /// How many characters a shard has.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Prefix(len) | Self::Suffix(len) | Self::NextToLast(len) => len.into(),
        }
    }

    /// The path of `key`'s file below the store's directory. Listings are in byte order of these.
    pub(super) fn path(self, key: &str) -> String {
        let mut path = String::with_capacity(self.len() + 1 + key.len() + EXTENSION.len());
        self.push_shard(key, &mut path);
        path.push('/');
        path.push_str(key);
        path.push_str(EXTENSION);
        path
    }

    fn push_shard(self, key: &str, to: &mut String) {
        let (padding, part) = self.part(key.as_bytes());
        to.extend(std::iter::repeat_n('_', padding));
        to.push_str(&String::from_utf8_lossy(part));
        to.extend(std::iter::repeat_n('_', self.len() - padding - part.len()));
    }
}

/// Why flatfs does not accept `key`, if it does not.
pub(super) fn flaw(key: &str) -> Option<&'static str> {
    let allowed = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'z' | b'+' | b'_' | b'=' | b'-');
    if key.is_empty() || !key.bytes().all(allowed) {
        return Some("flatfs takes the characters 0-9, a-z, +, _, = and - alone");
    }
    if key.len() + EXTENSION.len() > MAX_FILE_NAME {
        return Some("flatfs takes at most 250 bytes, which make a file name of 255 with '.data'");
    }
    None
}

impl fmt::Display for ShardFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::NextToLast(_) => "next-to-last",
        };
        write!(f, "{PREFIX}v1/{name}/{}", self.len())
    }
}

impl FromStr for ShardFunction {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let flaw = |reason: &str| {
            // The file may hold anything.
            let shown: String = text.trim().chars().take(80).collect();
            let reason = format!("{shown:?} is no flatfs shard function: {reason}");
            Error::config("shard", reason)
        };
        let id = text
            .trim()
            .strip_prefix(PREFIX)
            .ok_or_else(|| flaw("it does not start with /repo/flatfs/shard/"))?;
        let [version, name, len] = id.split('/').collect::<Vec<_>>()[..] else {
            return Err(flaw("it does not have a version, a name and a number"));
        };
        if version != "v1" {
            return Err(flaw("its version is not v1"));
        }
        let len = len
            .parse()
            .ok()
            .filter(|len| *len > 0)
            .ok_or_else(|| flaw("its number is not one of 1 to 255"))?;
        match name {
            "prefix" => Ok(Self::Prefix(len)),
            "suffix" => Ok(Self::Suffix(len)),
            "next-to-last" => Ok(Self::NextToLast(len)),
            _ => Err(flaw("it is neither prefix, suffix nor next-to-last")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_as_go_does() {
        use ShardFunction::{NextToLast, Prefix, Suffix};
        for (function, key, shard) in [
            (NextToLast(2), "a", "__"),
            (NextToLast(2), "ab", "_a"),
            (NextToLast(2), "abc", "ab"),
            (NextToLast(2), "abcd", "bc"),
            (
                NextToLast(2),
                "ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja",
                "qj",
            ),
            (Prefix(2), "a", "a_"),
            (Prefix(2), "ab", "ab"),
            (Prefix(3), "abcd", "abc"),
            (Suffix(2), "a", "_a"),
            (Suffix(2), "ab", "ab"),
            (Suffix(3), "abcd", "bcd"),
        ] {
            assert_eq!(function.shard(key), shard, "{function} of {key}");
            assert_eq!(function.path(key), format!("{shard}/{key}.data"));
        }
    }

    #[test]
    fn an_error_shows_the_start_of_what_was_there() {
        let error = "\u{fffd}x".repeat(2000).parse::<ShardFunction>();
        assert!(error.unwrap_err().to_string().len() < 500);
    }

    #[test]
    fn any_text_has_a_path() {
        for function in [
            ShardFunction::Prefix(2),
            ShardFunction::Suffix(2),
            ShardFunction::NextToLast(2),
            ShardFunction::NextToLast(255),
        ] {
            for key in ["é", "xé", "🗝", "a🗝b", "a/b", "鍵鍵"] {
                assert!(
                    function.path(key).ends_with(&format!("/{key}.data")),
                    "{function} of {key}"
                );
            }
        }
    }

    #[test]
    fn parses_as_go_does_and_refuses_the_rest() {
        for text in ["prefix/1", "suffix/2", "next-to-last/255"] {
            let id = format!("/repo/flatfs/shard/v1/{text}");
            assert_eq!(
                format!(" {id}\r\n")
                    .parse::<ShardFunction>()
                    .unwrap()
                    .to_string(),
                id
            );
        }
        for text in [
            "",
            "next-to-last/2",
            "/repo/flatfs/shard/v1/next-to-last",
            "/repo/flatfs/shard/v1/next-to-last/2/",
            "/repo/flatfs/shard/v2/next-to-last/2",
            "/repo/flatfs/shard/v1/middle/2",
            "/repo/flatfs/shard/v1/next-to-last/0",
            "/repo/flatfs/shard/v1/next-to-last/-1",
            "/repo/flatfs/shard/v1/next-to-last/256",
            "/repo/flatfs/shard/v1/next-to-last/99999999999999999999",
            "/repo/flatfs/shard/v1/next-to-last/two",
        ] {
            assert!(text.parse::<ShardFunction>().is_err(), "{text:?}");
        }
    }
}
