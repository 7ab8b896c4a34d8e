//! What follows the bytes of an object in the fast tier: 256 bytes.
//!
//! Integers are little endian: size (u64); seconds since 1970 (u64) and nanoseconds (u32) of the
//! time, all ones if there is none; the length of the ETag (u8) and its text; zeros; then the
//! CRC-32C of all before (u32), and the magic of 8 bytes. The length is fixed because a put has to
//! declare it before the tag is known.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use storehouse_objectstore::{ETag, Metadata};

const MAGIC: &[u8; 8] = b"\x89shtier\x01";

/// The length of a trailer, in bytes.
pub(super) const LEN: u64 = 256;

/// Where the checksum stands.
const CRC_AT: usize = LEN as usize - 12;

/// The longest tag that has a place, in bytes.
const MAX_TAG: usize = CRC_AT - 21;

/// The trailer of a copy of this version, whose attributes are the copy's own; `None` if it cannot
/// be told in one.
pub(super) fn write(metadata: &Metadata) -> Option<Bytes> {
    let etag = metadata.etag.as_str().as_bytes();
    if etag.len() > MAX_TAG {
        return None;
    }
    let (seconds, nanos) = match metadata.last_modified {
        Some(time) => {
            let time = time.duration_since(SystemTime::UNIX_EPOCH).ok()?;
            (time.as_secs(), time.subsec_nanos())
        }
        None => (u64::MAX, u32::MAX),
    };
    let mut trailer = BytesMut::with_capacity(LEN as usize);
    trailer.put_u64_le(metadata.size);
    trailer.put_u64_le(seconds);
    trailer.put_u32_le(nanos);
    trailer.put_u8(etag.len() as u8);
    trailer.put_slice(etag);
    trailer.resize(CRC_AT, 0);
    trailer.put_u32_le(crc32c::crc32c(&trailer));
    trailer.put_slice(MAGIC);
    Some(trailer.freeze())
}

/// What the end of a copy of `size` bytes says; `None` if it is no copy of this layer.
pub(super) fn read(end: &[u8], size: u64) -> Option<Metadata> {
    let (_, trailer) = end.split_at_checked(end.len().checked_sub(LEN as usize)?)?;
    let (checked, foot) = trailer.split_at_checked(CRC_AT)?;
    let (crc, magic) = foot.split_first_chunk::<4>()?;
    if magic != MAGIC || crc32c::crc32c(checked) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (object_size, rest) = checked.split_first_chunk::<8>()?;
    let (seconds, rest) = rest.split_first_chunk::<8>()?;
    let (nanos, rest) = rest.split_first_chunk::<4>()?;
    let (tag_len, rest) = rest.split_first()?;
    let object_size = u64::from_le_bytes(*object_size);
    if object_size.checked_add(LEN)? != size {
        return None;
    }
    let last_modified = match (u64::from_le_bytes(*seconds), u32::from_le_bytes(*nanos)) {
        (u64::MAX, u32::MAX) => None,
        (seconds, nanos) => {
            let since =
                Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into()))?;
            Some(SystemTime::UNIX_EPOCH.checked_add(since)?)
        }
    };
    let etag = rest.get(..usize::from(*tag_len))?;
    let etag = ETag::new(str::from_utf8(etag).ok()?);
    Some(Metadata::new(object_size, etag).last_modified(last_modified))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_as_it_was_written(
            size in 0..u64::MAX / 2,
            etag in "[ -~é]{0,100}",
            time in proptest::option::of((0..1_u64 << 40, 0..1_000_000_000_u32)),
            before in proptest::collection::vec(any::<u8>(), 0..100),
            flip in any::<proptest::sample::Index>(),
        ) {
            let metadata = Metadata::new(size, ETag::new(etag))
                .last_modified(time.map(|(s, n)| SystemTime::UNIX_EPOCH + Duration::new(s, n)));
            let trailer = write(&metadata).unwrap();
            let mut end = [&before[..], &trailer[..]].concat();
            let whole = size + trailer.len() as u64;
            prop_assert_eq!(read(&end, whole), Some(metadata));
            prop_assert_eq!(read(&end, whole + 1), None);
            let at = before.len() + flip.index(trailer.len());
            end[at] ^= 1;
            prop_assert_eq!(read(&end, whole), None);
        }

        #[test]
        fn anything_else_is_refused(end in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut end = [&[0; LEN as usize][..], &end[..], &MAGIC[..]].concat();
            end.drain(..end.len() - LEN as usize);
            prop_assert_eq!(read(&end, end.len() as u64), None);
        }
    }

    #[test]
    fn a_tag_that_is_too_long_has_no_trailer() {
        let metadata = |len| Metadata::new(0, ETag::new("x".repeat(len)));
        assert!(write(&metadata(MAX_TAG)).is_some());
        assert!(write(&metadata(MAX_TAG + 1)).is_none());
    }
}
