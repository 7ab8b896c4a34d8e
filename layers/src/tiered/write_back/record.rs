//! A record of what is due, as an object of the fast store.
//!
//! Its key is `storehouse-due-` and a number of its own, 16 lower-case hexadecimal digits. The key
//! of a tag, which says that the slow tier has the put of this number under another ETag, has
//! `tag-` before the number.
//!
//! The object is the bytes that were put, if any, and then, little endian: what it is (u8: 1 a put,
//! 2 a delete, 3 a tag); its number (u64), which may be another one than that in its key: of two
//! records of one key, that with the higher number counts; the number of bytes (u64); seconds since
//! 1970 (u64) and nanoseconds (u32) of the time, all ones without one; three texts, each as its
//! length (u16) and its bytes: the ETag, the slow tier's ETag in a tag, the key; the length of all
//! this from the kind on, to the end of the object (u32); the CRC-32C of all before from the kind
//! on (u32); and the magic of 8 bytes.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use storehouse_objectstore::{ETag, Key, Metadata};

const MAGIC: &[u8; 8] = b"\x89shdue\x01\n";

const PUT: u8 = 1;
const DELETE: u8 = 2;
const TAG: u8 = 3;

/// What the trailer has besides the texts, in bytes.
const FIXED: usize = 1 + 8 + 8 + 8 + 4 + 3 * 2 + 4 + 4 + 8;

/// No trailer is longer, in bytes: a key has at most 1,024, and of tags no longer ones are written.
pub(super) const MAX_TRAILER: u64 = 4096;

/// The longest ETag of the slow tier that is written down, in bytes.
pub(super) const MAX_SLOW_TAG: usize = 1024;

const PREFIX: &str = "storehouse-due-";

/// Whether this layer takes the key for its records.
pub(super) fn is_reserved(key: &str) -> bool {
    key.starts_with(PREFIX)
}

/// How the keys of all records begin.
pub(super) fn prefix() -> &'static str {
    PREFIX
}

/// What an object is, by its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Due(u64),
    Tag(u64),
}

impl Name {
    pub(super) fn text(self) -> String {
        match self {
            Self::Due(number) => format!("{PREFIX}{number:016x}"),
            Self::Tag(number) => format!("{PREFIX}tag-{number:016x}"),
        }
    }

    /// What this key names, if it is the name of a record.
    pub(super) fn parse(key: &Key) -> Option<Self> {
        let text = key.as_str().strip_prefix(PREFIX)?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        let name = match text.strip_prefix("tag-") {
            Some(text) => Self::Tag(number(text)?),
            None => Self::Due(number(text)?),
        };
        (name.text() == key.as_str()).then_some(name)
    }
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) key: Key,
    pub(super) number: u64,
    pub(super) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Without attributes: those are the record's.
    Put(Metadata),
    Delete,
    /// The size is of no object.
    Tag {
        put: Metadata,
        slow: ETag,
    },
}

impl What {
    fn put(&self) -> Option<&Metadata> {
        match self {
            Self::Put(put) | Self::Tag { put, .. } => Some(put),
            Self::Delete => None,
        }
    }
}

/// The length of the trailer of a record, in bytes.
pub(super) fn trailer_len(key: &Key, etag: Option<&ETag>) -> u64 {
    let texts = key.as_str().len() + etag.map_or(0, |etag| etag.as_str().len());
    (FIXED + texts) as u64
}

/// What follows the bytes that were put.
pub(super) fn trailer(key: &Key, number: u64, what: &What) -> Bytes {
    let put = what.put();
    let etag = put.map_or("", |put| put.etag.as_str());
    let slow = match what {
        What::Tag { slow, .. } => slow.as_str(),
        What::Put(_) | What::Delete => "",
    };
    let time = put
        .and_then(|put| put.last_modified)
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or((u64::MAX, u32::MAX), |time| {
            (time.as_secs(), time.subsec_nanos())
        });
    let len = FIXED + etag.len() + slow.len() + key.as_str().len();
    let mut trailer = BytesMut::with_capacity(len);
    let (kind, size) = match what {
        What::Put(put) => (PUT, put.size),
        What::Delete => (DELETE, 0),
        What::Tag { .. } => (TAG, 0),
    };
    trailer.put_u8(kind);
    trailer.put_u64_le(number);
    trailer.put_u64_le(size);
    trailer.put_u64_le(time.0);
    trailer.put_u32_le(time.1);
    for text in [etag, slow, key.as_str()] {
        // A key has at most 1,024 bytes, and so have the tags.
        trailer.put_u16_le(text.len() as u16);
        trailer.put_slice(text.as_bytes());
    }
    trailer.put_u32_le(len as u32);
    trailer.put_u32_le(crc32c::crc32c(&trailer));
    trailer.put_slice(MAGIC);
    trailer.freeze()
}

/// What the end of a record of `size` bytes says; `None` if it is none.
pub(super) fn read(end: &[u8], size: u64) -> Option<Record> {
    let (rest, magic) = end.split_last_chunk::<8>()?;
    let (checked, crc) = rest.split_last_chunk::<4>()?;
    let (_, len) = checked.split_last_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    let checked = checked.get(end.len().checked_sub(len)?..)?;
    if magic != MAGIC || crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (kind, rest) = checked.split_first()?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_first_chunk::<8>()?;
    let (seconds, rest) = rest.split_first_chunk::<8>()?;
    let (nanos, rest) = rest.split_first_chunk::<4>()?;
    let (etag, rest) = text(rest)?;
    let (slow, rest) = text(rest)?;
    let (key, rest) = text(rest)?;
    let bytes = u64::from_le_bytes(*bytes);
    if rest.len() != 4 || bytes.checked_add(len as u64)? != size {
        return None;
    }
    let key = Key::new(key).ok()?;
    let time = match (u64::from_le_bytes(*seconds), u32::from_le_bytes(*nanos)) {
        (u64::MAX, u32::MAX) => None,
        (seconds, nanos) => {
            let since =
                Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()))?;
            Some(SystemTime::UNIX_EPOCH.checked_add(since)?)
        }
    };
    let put = Metadata::new(bytes, ETag::new(etag)).last_modified(time);
    let what = match *kind {
        PUT => What::Put(put),
        DELETE if bytes == 0 => What::Delete,
        TAG if bytes == 0 => What::Tag {
            put,
            slow: ETag::new(slow),
        },
        _ => return None,
    };
    let number = u64::from_le_bytes(*number);
    Some(Record { key, number, what })
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let (text, rest) = rest.split_at_checked(u16::from_le_bytes(*len).into())?;
    Some((str::from_utf8(text).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_as_it_was_written(
            key in "[a-zé]{1,40}(/[a-z]{1,40})?",
            number: u64,
            size in 0..u64::MAX / 2,
            etag in "[ -~]{0,40}",
            time in proptest::option::of((0..1_u64 << 40, 0..1_000_000_000_u32)),
            kind in 0..3_u8,
            slow in "[ -~]{0,40}",
            before in proptest::collection::vec(any::<u8>(), 0..100),
            flip in any::<proptest::sample::Index>(),
        ) {
            let key = Key::new(key).unwrap();
            let size = if kind == 0 { size } else { 0 };
            let put = Metadata::new(size, ETag::new(etag))
                .last_modified(time.map(|(s, n)| SystemTime::UNIX_EPOCH + Duration::new(s, n)));
            let what = match kind {
                0 => What::Put(put),
                1 => What::Delete,
                _ => What::Tag { put, slow: ETag::new(slow) },
            };
            let trailer = trailer(&key, number, &what);
            if kind < 2 {
                let etag = what.put().map(|put| &put.etag);
                prop_assert_eq!(trailer.len() as u64, trailer_len(&key, etag));
            }
            let mut end = [&before[..], &trailer[..]].concat();
            let whole = size + trailer.len() as u64;
            prop_assert_eq!(read(&end, whole), Some(Record { key, number, what }));
            prop_assert_eq!(read(&end, whole + 1), None);
            let at = before.len() + flip.index(trailer.len());
            end[at] ^= 1;
            prop_assert_eq!(read(&end, whole), None);
        }

        #[test]
        fn anything_else_is_refused(
            end in proptest::collection::vec(any::<u8>(), 0..200),
            len in 0..300_u32,
        ) {
            let mut end = end;
            end.extend(len.to_le_bytes());
            end.extend(crc32c::crc32c(&end).to_le_bytes());
            end.extend(MAGIC);
            let size = end.len() as u64;
            // Whatever it says, it does not panic.
            if let Some(record) = read(&end, size) {
                prop_assert!(record.what.put().is_none_or(|put| put.size < size));
            }
        }

        #[test]
        fn names_are_those_of_their_numbers(
            number: u64,
            other in "(storehouse-due-)?(tag-)?[0-9a-f]{0,20}",
        ) {
            for name in [Name::Due(number), Name::Tag(number)] {
                let key = Key::new(name.text()).unwrap();
                prop_assert!(is_reserved(key.as_str()));
                prop_assert_eq!(Name::parse(&key), Some(name));
            }
            if let Ok(other) = Key::new(other)
                && let Some(name) = Name::parse(&other)
            {
                prop_assert_eq!(name.text(), other.as_str());
            }
        }
    }
}
