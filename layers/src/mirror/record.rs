//! What a replica holds under a key: content and a trailer of 44 bytes.
//!
//! Integers are little endian: the content's size in bytes (u64); the version, which is a time in
//! nanoseconds since 1970 (u64) and the writer's number (u64); the CRC-32C of the content (u32); 0
//! for an object, 1 for a delete, whose content is empty (u32); the CRC-32C of all of the trailer
//! before (u32); and the magic of 8 bytes.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, Bytes, BytesMut};
use storehouse_objectstore::{Attributes, ETag, Metadata};

const MAGIC: &[u8; 8] = b"\x89shmirr\x01";

/// The length of a trailer, in bytes.
pub(super) const LEN: u64 = 44;

/// Where the checksum stands.
const CRC_AT: usize = LEN as usize - 12;

/// What ends the tag of a delete. Never given to a caller.
const DELETED: &str = "!";

/// The place of a write among those of its key, the same in every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    /// Nanoseconds since 1970, moved on where the clock did not.
    pub(super) time: u64,
    pub(super) writer: u64,
}

impl Version {
    pub(super) fn etag(self) -> ETag {
        ETag::new(format!("{:016x}-{:016x}", self.time, self.writer))
    }

    pub(super) fn written_at(self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(self.time)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) size: u64,
    pub(super) version: Version,
    pub(super) crc: u32,
    pub(super) deleted: bool,
}

impl Trailer {
    /// The record of a delete.
    pub(super) fn tombstone(version: Version) -> Self {
        Self {
            size: 0,
            version,
            crc: 0,
            deleted: true,
        }
    }

    pub(super) fn to_bytes(self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(LEN as usize);
        bytes.put_u64_le(self.size);
        bytes.put_u64_le(self.version.time);
        bytes.put_u64_le(self.version.writer);
        bytes.put_u32_le(self.crc);
        bytes.put_u32_le(self.deleted.into());
        bytes.put_u32_le(crc32c::crc32c(&bytes));
        bytes.put_slice(MAGIC);
        bytes.freeze()
    }

    /// The trailer at the end of a record of `stored` bytes.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(end: &[u8], stored: u64) -> Result<Self, &'static str> {
        const SHORT: &str = "it is shorter than a trailer";
        let at = end.len().checked_sub(LEN as usize).ok_or(SHORT)?;
        let (checked, foot) = end[at..].split_at(CRC_AT);
        let (crc, magic) = foot.split_at(4);
        if magic != MAGIC {
            return Err("it was not written by a mirror");
        }
        if crc32c::crc32c(checked).to_le_bytes() != crc {
            return Err("its trailer is damaged");
        }
        let u64_at = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&checked[at..at + 8]);
            u64::from_le_bytes(bytes)
        };
        let size = u64_at(0);
        if size.checked_add(LEN) != Some(stored) {
            return Err("it has another size than it was written with");
        }
        let crc_and_kind = u64_at(24);
        let deleted = match crc_and_kind >> 32 {
            0 => false,
            1 if size == 0 => true,
            _ => return Err("it is of an unknown kind"),
        };
        Ok(Self {
            size,
            version: Version {
                time: u64_at(8),
                writer: u64_at(16),
            },
            crc: crc_and_kind as u32,
            deleted,
        })
    }

    /// What a caller is told of the object.
    pub(super) fn metadata(&self, attributes: Attributes) -> Metadata {
        Metadata::new(self.size, self.version.etag())
            .last_modified(self.version.written_at())
            .attributes(attributes)
    }

    /// The version and whether it is a delete, as one tag.
    pub(super) fn tag(&self) -> ETag {
        let etag = self.version.etag();
        if self.deleted {
            return ETag::new(format!("{etag}{DELETED}"));
        }
        etag
    }
}

/// Whether a tag of [`Trailer::tag`] is of a delete.
pub(super) fn is_deleted(tag: &ETag) -> bool {
    tag.as_str().ends_with(DELETED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_as_it_was_written(
            size in 0..u64::MAX / 2,
            time: u64,
            writer: u64,
            crc: u32,
            deleted: bool,
            before in proptest::collection::vec(any::<u8>(), 0..100),
            flip in any::<proptest::sample::Index>(),
        ) {
            let version = Version { time, writer };
            let trailer = if deleted {
                Trailer::tombstone(version)
            } else {
                Trailer { size, version, crc, deleted }
            };
            let bytes = trailer.to_bytes();
            prop_assert_eq!(bytes.len() as u64, LEN);
            let mut end = [&before[..], &bytes[..]].concat();
            let stored = trailer.size + LEN;
            prop_assert_eq!(Trailer::parse(&end, stored), Ok(trailer));
            prop_assert!(Trailer::parse(&end, stored + 1).is_err());
            prop_assert_eq!(is_deleted(&trailer.tag()), deleted);
            let at = before.len() + flip.index(bytes.len());
            end[at] ^= 1;
            prop_assert!(Trailer::parse(&end, stored).is_err());
        }

        #[test]
        fn anything_else_is_refused(end in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(Trailer::parse(&end, end.len() as u64).is_err());
        }

        #[test]
        fn tags_are_in_the_order_of_versions(a: (u64, u64), b: (u64, u64)) {
            let version = |(time, writer)| Version { time, writer };
            let (a, b) = (version(a), version(b));
            prop_assert_eq!(a.cmp(&b), a.etag().as_str().cmp(b.etag().as_str()));
        }
    }
}
