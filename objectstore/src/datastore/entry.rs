//! One record as it lies in logs, in tables and in memory.
//!
//! ```text
//! 0       4              12                    20              24           26
//! ┌───────┬──────────────┬─────────────────────┬───────────────┬────────────┬─────┬───────┐
//! │ CRC   │ sequence     │ modified (µs since  │ value length, │ key length │ key │ value │
//! │ u32   │ number u64   │ 1970) u64           │ or 2³²-1 u32  │ u16        │     │       │
//! └───────┴──────────────┴─────────────────────┴───────────────┴────────────┴─────┴───────┘
//! ```
//!
//! All numbers are little endian. The CRC-32C covers everything behind it, so it also holds key and
//! value together. It is computed once, when the record is put, and checked whenever the record is
//! read. A value length of 2³²-1 says that the key was deleted, and no value follows.

use std::time::{Duration, SystemTime};

use bytes::{Buf, Bytes};

use crate::{ETag, Metadata};

const HEADER: usize = 26;
/// Values up to so many bytes are copied out of their block or group rather than keep all of it in
/// memory.
const SHARED: usize = 4096;

const DELETED: u32 = u32::MAX;

/// A record or the deletion of one; its lengths are right, its checksum is checked by
/// [`Entry::verified`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<B = Bytes>(B);

/// What an ETag is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    sequence: u64,
    /// Sequence numbers that nobody was told of may be given out again after a crash; not for the
    /// same bytes, as far as this can tell.
    crc: u32,
}

impl Tag {
    pub(super) fn etag(self) -> ETag {
        // By hand: listings make one for each record, and formatting takes longer than all else of
        // it.
        let digits = (16 - self.sequence.leading_zeros() as usize / 4).max(1);
        let mut all = [0; 16];
        all[..8].copy_from_slice(&hexadecimal((self.sequence >> 32) as u32));
        all[8..].copy_from_slice(&hexadecimal(self.sequence as u32));
        let mut text = [b'-'; 25];
        text[..digits].copy_from_slice(&all[16 - digits..]);
        text[digits + 1..digits + 9].copy_from_slice(&hexadecimal(self.crc));
        ETag::new(str::from_utf8(&text[..digits + 9]).unwrap_or_default())
    }
}

impl Entry {
    /// Appends a record, or a deletion if `value` is `None`. Key and value must be within the
    /// store's limits.
    pub(super) fn encode(
        out: &mut Vec<u8>,
        sequence: u64,
        modified: u64,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Tag {
        let start = out.len();
        out.reserve(HEADER + key.len() + value.map_or(0, <[u8]>::len));
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&modified.to_le_bytes());
        out.extend_from_slice(
            &value
                .map_or(DELETED, |value| value.len() as u32)
                .to_le_bytes(),
        );
        out.extend_from_slice(&(key.len() as u16).to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(value.unwrap_or_default());
        let crc = crc32c::crc32c(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&crc.to_le_bytes());
        Tag { sequence, crc }
    }

    /// The entry that starts at `at`; `None` if its lengths reach past the end.
    pub(super) fn at(bytes: &Bytes, at: usize) -> Option<Self> {
        let len = Self::len_at(bytes, at)?;
        Some(Self(bytes.slice(at..at + len)))
    }

    /// The length of the entry that starts at `at`; `None` if it reaches past the end.
    pub(super) fn len_at(bytes: &[u8], at: usize) -> Option<usize> {
        let header = bytes.get(at..at.checked_add(HEADER)?)?;
        let value = match u32_at(header, 20) {
            DELETED => 0,
            len => len as usize,
        };
        let len = HEADER + usize::from(u16_at(header, 24)) + value;
        (at.checked_add(len)? <= bytes.len()).then_some(len)
    }

    /// The key of the entry that starts at `at`, which [`Entry::len_at`] has found whole.
    pub(super) fn key_at(bytes: &[u8], at: usize) -> &[u8] {
        let len = usize::from(u16_at(bytes, at + 24));
        &bytes[at + HEADER..at + HEADER + len]
    }

    pub(super) fn key_bytes(&self) -> Bytes {
        self.0.slice(HEADER..self.value_start())
    }

    /// The memory that it lies in.
    pub(super) fn bytes(&self) -> &Bytes {
        &self.0
    }

    pub(super) fn by_ref(&self) -> EntryRef<'_> {
        Entry(&self.0)
    }

    /// A range of the value, which must be within it. Shares its memory, as [`EntryRef::detached`]
    /// gives it.
    pub(super) fn into_value(mut self, range: std::ops::Range<usize>) -> Bytes {
        let value = self.value_start();
        self.0.advance(value + range.start);
        self.0.truncate(range.len());
        self.0
    }
}

/// An entry where it lies.
pub(super) type EntryRef<'a> = Entry<&'a [u8]>;

impl<'a> EntryRef<'a> {
    /// The entry that starts at `at`; `None` if its lengths reach past the end.
    pub(super) fn within(bytes: &'a [u8], at: usize) -> Option<Self> {
        let len = Entry::len_at(bytes, at)?;
        Some(Self(&bytes[at..at + len]))
    }

    /// The same entry by itself. `bytes` is what it lies in, whose memory it shares only if it is
    /// most of what it would keep alive.
    pub(super) fn detached(self, bytes: &Bytes) -> Entry {
        Entry(if self.0.len() > SHARED {
            bytes.slice_ref(self.0)
        } else {
            Bytes::copy_from_slice(self.0)
        })
    }
}

impl<B: AsRef<[u8]>> Entry<B> {
    /// Whether the record is what was put.
    pub(super) fn verified(&self) -> bool {
        crc32c::crc32c(&self.raw()[4..]) == u32_at(self.raw(), 0)
    }

    pub(super) fn raw(&self) -> &[u8] {
        self.0.as_ref()
    }

    pub(super) fn key(&self) -> &[u8] {
        Entry::key_at(self.raw(), 0)
    }

    pub(super) fn sequence(&self) -> u64 {
        u64_at(self.raw(), 4)
    }

    pub(super) fn is_deletion(&self) -> bool {
        u32_at(self.raw(), 20) == DELETED
    }

    pub(super) fn value(&self) -> &[u8] {
        &self.raw()[self.value_start()..]
    }

    pub(super) fn tag(&self) -> Tag {
        Tag {
            sequence: self.sequence(),
            crc: u32_at(self.raw(), 0),
        }
    }

    pub(super) fn metadata(&self) -> Metadata {
        let modified =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(u64_at(self.raw(), 12)));
        Metadata {
            size: self.value().len() as u64,
            etag: self.tag().etag(),
            last_modified: modified,
        }
    }

    fn value_start(&self) -> usize {
        HEADER + usize::from(u16_at(self.raw(), 24))
    }
}

/// A number's 8 digits, all at once: each byte of a word is one.
fn hexadecimal(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut digits = u64::from(number);
    digits = (digits << 16 | digits) & 0x0000_ffff_0000_ffff;
    digits = (digits << 8 | digits) & 0x00ff_00ff_00ff_00ff;
    digits = (digits << 4 | digits) & (EACH * 0x0f);
    // 1 in the bytes of the digits a to f.
    let letters = ((digits + EACH * 6) >> 4) & EACH;
    (digits + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10)).to_be_bytes()
}

/// Microseconds since 1970, for an entry.
pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_micros() as u64)
}

/// The number at `at`, which must be there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// The number at `at`, which must be there.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// The number at `at`, which must be there.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_hexadecimal() {
        for (sequence, crc) in [
            (0, 0),
            (1, 0xf),
            (15, 0x1234_5678),
            (16, 1),
            (0x1_0000, u32::MAX),
            (u64::MAX, 0),
            (u64::MAX >> 1, 7),
        ] {
            assert_eq!(
                Tag { sequence, crc }.etag().as_str(),
                format!("{sequence:x}-{crc:08x}")
            );
        }
    }
}
