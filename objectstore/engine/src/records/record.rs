//! The bytes of a record, as the engine stores them under the object's key.
//!
//! ```text
//! 0        4             12                     20
//! ┌────────┬─────────────┬──────────────────────┬───────┐
//! │ CRC-32C│ version u64 │ modified, µs since   │ value │
//! │ u32    │             │ 1970 u64             │       │
//! └────────┴─────────────┴──────────────────────┴───────┘
//! ```
//!
//! If the highest bit of the time is set, the object's attributes stand before the value: their
//! length (u32) and what [`Attributes::to_bytes`] makes of them.
//!
//! Numbers are little endian. The CRC covers the length of the key (u32), the key and everything
//! behind the CRC. It is computed when the record is put and checked whenever it is read, so no
//! record can be taken for that of another key. Versions count up over all puts of a store.
//!
//! The counter of versions is a record of its own, under a key that no object can have.

use std::time::{Duration, SystemTime};

use storehouse_objectstore::{Attributes, ETag, Metadata};

use super::fault::Fault;

const HEADER: usize = 20;

/// The bit of the time that says that there are attributes.
const HAS_ATTRIBUTES: u64 = 1 << 63;

/// The key of the counter: no object's key has a control character.
pub(super) const COUNTER: &[u8] = b"\0";

/// What an ETag is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    number: u64,
    /// A number that was given out just before a crash may be given out again: not for the same
    /// bytes and time.
    crc: u32,
}

impl Version {
    pub(super) fn etag(self) -> ETag {
        // Formatting by hand: a listing makes a tag for each record.
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 25];
        let digits = (16 - self.number.leading_zeros() as usize / 4).max(1);
        for (i, place) in text[..digits].iter_mut().enumerate() {
            *place = DIGITS[(self.number >> (4 * (digits - 1 - i)) & 15) as usize];
        }
        for (i, place) in text[digits + 1..digits + 9].iter_mut().enumerate() {
            *place = DIGITS[(self.crc >> (28 - 4 * i) & 15) as usize];
        }
        ETag::new(str::from_utf8(&text[..digits + 9]).unwrap_or_default())
    }
}

/// A record where it lies, its checksum checked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    version: Version,
    modified: u64,
    attributes: &'a [u8],
    pub(super) value: &'a [u8],
}

/// Appends a record to `out`. `attributes` are as bytes.
pub(super) fn encode(
    out: &mut Vec<u8>,
    key: &[u8],
    (attributes, value): (&[u8], &[u8]),
    number: u64,
    modified: u64,
) -> Version {
    let start = out.len();
    out.reserve(HEADER + 4 + attributes.len() + value.len());
    let flag = if attributes.is_empty() {
        0
    } else {
        HAS_ATTRIBUTES
    };
    let modified = modified & !HAS_ATTRIBUTES | flag;
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number.to_le_bytes());
    out.extend_from_slice(&modified.to_le_bytes());
    if flag != 0 {
        // They have at most 64 KiB.
        out.extend_from_slice(&(attributes.len() as u32).to_le_bytes());
        out.extend_from_slice(attributes);
    }
    out.extend_from_slice(value);
    let crc = checksum(key, &out[start + 4..]);
    out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
    Version { number, crc }
}

impl<'a> Record<'a> {
    /// Reads the record of `key`.
    pub(super) fn decode(key: &[u8], bytes: &'a [u8]) -> Result<Self, Fault> {
        let decoded = || {
            let (crc, rest) = bytes.split_first_chunk()?;
            let crc = u32::from_le_bytes(*crc);
            let (number, behind) = rest.split_first_chunk()?;
            let (modified, mut value) = behind.split_first_chunk()?;
            let modified = u64::from_le_bytes(*modified);
            let mut attributes: &[u8] = &[];
            if modified & HAS_ATTRIBUTES != 0 {
                let (len, behind) = value.split_first_chunk()?;
                let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
                (attributes, value) = behind.split_at_checked(len)?;
            }
            let version = Version {
                number: u64::from_le_bytes(*number),
                crc,
            };
            (checksum(key, rest) == crc).then_some(Record {
                version,
                modified: modified & !HAS_ATTRIBUTES,
                attributes,
                value,
            })
        };
        decoded()
            .ok_or_else(|| Fault::damaged("the record is damaged: its checksum does not match"))
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    pub(super) fn modified(&self) -> u64 {
        self.modified
    }

    pub(super) fn metadata(&self) -> Metadata {
        // Those of a later form are none that this version knows.
        let attributes = Attributes::from_bytes(self.attributes).unwrap_or_default();
        metadata(self.version, self.modified, self.value.len()).attributes(attributes)
    }
}

pub(super) fn metadata(version: Version, modified: u64, size: usize) -> Metadata {
    let modified = SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(modified));
    Metadata::new(size as u64, version.etag()).last_modified(modified)
}

/// The version of the record `bytes` of `key`, if its checksum proves that it was put under that
/// key; `None` otherwise. Later puts have greater versions.
///
/// ```
/// assert_eq!(storehouse_engine::proven_version(b"key", b"no record"), None);
/// ```
#[must_use]
pub fn proven_version(key: &[u8], bytes: &[u8]) -> Option<u64> {
    let record = Record::decode(key, bytes).ok()?;
    Some(record.version.number)
}

/// The counter's record.
pub(super) fn encode_counter(number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER);
    encode(&mut bytes, COUNTER, (&[], &[]), number, 0);
    bytes
}

/// The number in the counter's record.
pub(super) fn decode_counter(bytes: &[u8]) -> Result<u64, Fault> {
    Record::decode(COUNTER, bytes)
        .map(|record| record.version.number)
        .map_err(|_| Fault::damaged("the counter of versions is damaged"))
}

/// The time now, in µs since 1970.
pub(super) fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn checksum(key: &[u8], rest: &[u8]) -> u32 {
    // Keys have at most 1,024 bytes.
    let crc = crc32c::crc32c(&(key.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(crc, key), rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            key: Vec<u8>, value: Vec<u8>, attributes: Vec<u8>, number: u64, modified: u32,
        ) {
            let mut bytes = Vec::new();
            let both = (&attributes[..], &value[..]);
            let version = encode(&mut bytes, &key, both, number, modified.into());
            let record = Record::decode(&key, &bytes).unwrap();
            prop_assert_eq!((record.value, record.version()), (&value[..], version));
            prop_assert_eq!(record.attributes, &attributes[..]);
            prop_assert_eq!(record.modified(), u64::from(modified));
            let etag = version.etag();
            prop_assert_eq!(etag.as_str(), format!("{number:x}-{:08x}", version.crc));
            prop_assert_eq!(record.metadata().size, value.len() as u64);
        }

        #[test]
        fn no_flipped_bit_and_no_other_key_passes(
            key: Vec<u8>, other: Vec<u8>, value: Vec<u8>, at: prop::sample::Index, bit in 0..8u8,
        ) {
            let mut bytes = Vec::new();
            encode(&mut bytes, &key, (b"attributes", &value), 7, 9);
            prop_assert_eq!(Record::decode(&other, &bytes).is_ok(), key == other);
            for cut in 0..bytes.len() {
                prop_assert!(Record::decode(&key, &bytes[..cut]).is_err());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            prop_assert!(Record::decode(&key, &bytes).is_err());
        }
    }

    /// As records were written before there were attributes.
    #[test]
    fn a_record_without_attributes_has_the_form_it_always_had() {
        let mut bytes = Vec::new();
        encode(&mut bytes, b"key", (&[], b"value"), 7, 9);
        let expected = [&7u64.to_le_bytes()[..], &9u64.to_le_bytes(), b"value"].concat();
        assert_eq!(bytes[4..], expected);
        let record = Record::decode(b"key", &bytes).unwrap();
        assert!(record.metadata().attributes.is_empty());
    }

    #[test]
    fn the_counter_is_no_record_of_an_object() {
        assert_eq!(decode_counter(&encode_counter(17)).unwrap(), 17);
        assert!(Record::decode(b"key", &encode_counter(17)).is_err());
        assert!(storehouse_objectstore::Key::new("\0").is_err());
    }
}
