//! How a block lies in the store.
//!
//! Its key is two hashes (XXH3-128, 32 lower-case hexadecimal digits each) with `-` between: that
//! of the object's key, and that of the header. The object is the header, the block's bytes, and
//! the hash of both, little endian.
//!
//! The header is the magic of 8 bytes, then little endian: the object's size (u64), the seconds
//! (u64) and nanoseconds (u32) of its time since 1970 (all ones without one), the number of the
//! block (u64), the length of blocks (u32), and the lengths (u32 each) of the object's key and
//! ETag; then both texts. The time is there since a store may use a tag again after it was emptied.

use std::time::SystemTime;

use bytes::{BufMut, Bytes, BytesMut};
use storehouse_objectstore::{Key, Metadata};
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::cache::leases::object_hash;

const MAGIC: &[u8; 8] = b"\x89shblk\x01\n";

/// The length of the check value, in bytes.
const CHECK: usize = 16;

/// What a block is called in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DiskId {
    pub(super) object: u128,
    pub(super) block: u128,
}

impl DiskId {
    pub(super) fn new(key: &Key, header: &[u8]) -> Self {
        Self {
            object: object_hash(key),
            block: xxh3_128(header),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("{:032x}-{:032x}", self.object, self.block)
    }

    /// The block of this name; `None` if it is none.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let (object, block) = name.split_once('-')?;
        let hash = |text: &str| u128::from_str_radix(text, 16).ok();
        let id = Self {
            object: hash(object)?,
            block: hash(block)?,
        };
        (id.name() == name).then_some(id)
    }
}

/// The header of a block of this version.
pub(super) fn header(key: &Key, metadata: &Metadata, index: u64, block_size: u64) -> Bytes {
    let (key, etag) = (key.as_str(), metadata.etag.as_str());
    let time = metadata
        .last_modified
        .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
        .map_or((u64::MAX, u32::MAX), |since| {
            (since.as_secs(), since.subsec_nanos())
        });
    let mut header = BytesMut::with_capacity(48 + key.len() + etag.len());
    header.put_slice(MAGIC);
    header.put_u64_le(metadata.size);
    header.put_u64_le(time.0);
    header.put_u32_le(time.1);
    header.put_u64_le(index);
    header.put_u32_le(block_size as u32);
    header.put_u32_le(key.len() as u32);
    header.put_u32_le(etag.len() as u32);
    header.put_slice(key.as_bytes());
    header.put_slice(etag.as_bytes());
    header.freeze()
}

/// The size of a block of `len` bytes in the store.
pub(super) fn stored_size(header: &[u8], len: u64) -> u64 {
    header.len() as u64 + len + CHECK as u64
}

/// A block as it is stored, in pieces.
pub(super) fn write(header: Bytes, bytes: Bytes) -> [Bytes; 3] {
    let mut hash = Xxh3Default::new();
    hash.update(&header);
    hash.update(&bytes);
    let check = Bytes::copy_from_slice(&hash.digest128().to_le_bytes());
    [header, bytes, check]
}

/// The bytes of the block with this header and length; `None` if `stored` is not that block.
pub(super) fn read(header: &[u8], len: u64, stored: &Bytes) -> Option<Bytes> {
    if stored.len() as u64 != stored_size(header, len) || !stored.starts_with(header) {
        return None;
    }
    let (checked, check) = stored.split_last_chunk::<CHECK>()?;
    if xxh3_128(checked) != u128::from_le_bytes(*check) {
        return None;
    }
    Some(stored.slice(header.len()..checked.len()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use storehouse_objectstore::ETag;

    use super::*;

    fn metadata(size: u64, etag: &str, time: u64) -> Metadata {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time);
        Metadata::new(size, ETag::new(etag)).last_modified(time)
    }

    proptest! {
        #[test]
        fn is_read_as_it_was_written_and_nothing_else_is(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            name in "[a-z]{1,20}(/[a-z]{1,20})?",
            etag in "[ -~é]{0,40}",
            flip in any::<proptest::sample::Index>(),
            bit in 0..8_u32,
        ) {
            let key = Key::new(name).unwrap();
            let metadata = metadata(bytes.len() as u64, &etag, 5);
            let header = header(&key, &metadata, 3, 65536);
            let stored = write(header.clone(), bytes.clone().into()).concat();
            prop_assert_eq!(stored_size(&header, bytes.len() as u64), stored.len() as u64);
            let len = bytes.len() as u64;
            prop_assert_eq!(read(&header, len, &stored.clone().into()), Some(bytes.into()));
            prop_assert_eq!(read(&header, len + 1, &stored.clone().into()), None);
            let mut damaged = stored;
            let at = flip.index(damaged.len());
            damaged[at] ^= 1 << bit;
            prop_assert_eq!(read(&header, len, &damaged.into()), None);
        }

        #[test]
        fn any_name_is_that_of_a_block_or_refused(name in "[0-9a-f]{32}-[0-9a-f]{32}|.{0,80}") {
            if let Some(id) = DiskId::parse(&name) {
                prop_assert_eq!(id.name(), name);
            }
        }
    }

    #[test]
    fn what_makes_another_block_makes_another_name() {
        let key = |name| Key::new(name).unwrap();
        let of = |name, size, etag, time, index, block| {
            let header = header(&key(name), &metadata(size, etag, time), index, block);
            DiskId::new(&key(name), &header).name()
        };
        let mut names = vec![
            of("a", 9, "1", 1, 0, 65536),
            of("b", 9, "1", 1, 0, 65536),
            of("a", 8, "1", 1, 0, 65536),
            of("a", 9, "2", 1, 0, 65536),
            of("a", 9, "1", 2, 0, 65536),
            of("a", 9, "1", 1, 1, 65536),
            of("a", 9, "1", 1, 0, 65537),
        ];
        assert!(names.iter().all(|name| DiskId::parse(name).is_some()));
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
