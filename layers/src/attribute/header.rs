//! What stands before the content.

use bytes::{BufMut, Bytes, BytesMut};
use storehouse_objectstore::Attributes;

const MAGIC: [u8; 8] = [0x89, b'S', b'H', b'A', b'\r', b'\n', 0x1a, 1];

/// The length of what stands before the attributes, in bytes.
pub(super) const FIXED: usize = 16;

/// The longest header, in bytes.
pub(super) const LONGEST: usize = 4096;

/// The most that attributes may take, in bytes, as [`Attributes::size`] counts: as bytes they take
/// six times that at most, and so fit.
pub(super) const MOST: u64 = 512;

/// The header of an object with these attributes; `None` if they do not fit.
pub(super) fn write(attributes: &Attributes) -> Option<Bytes> {
    let attributes = attributes.to_bytes();
    if attributes.len() > LONGEST - FIXED {
        return None;
    }
    let mut checked = BytesMut::with_capacity(4 + attributes.len());
    checked.put_u32_le(attributes.len() as u32);
    checked.put_slice(&attributes);
    let mut header = BytesMut::with_capacity(FIXED + attributes.len());
    header.put_slice(&MAGIC);
    header.put_u32_le(crc32c::crc32c(&checked));
    header.put_slice(&checked);
    Some(header.freeze())
}

/// The length of the header that begins so.
pub(super) fn len(fixed: &[u8]) -> Result<usize, &'static str> {
    let fixed = fixed
        .first_chunk::<FIXED>()
        .ok_or("it is shorter than a header")?;
    let [magic @ .., _, _, _, _, _, _, _, _] = fixed;
    if *magic != MAGIC {
        return Err("it does not begin as one");
    }
    let [.., a, b, c, d] = *fixed;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    if len > LONGEST - FIXED {
        return Err("its attributes are longer than they can be");
    }
    Ok(FIXED + len)
}

/// The attributes of a whole header.
pub(super) fn read(header: &[u8]) -> Result<Attributes, &'static str> {
    let len = len(header)?;
    let whole = header
        .get(..len)
        .ok_or("it is shorter than its attributes")?;
    let (front, checked) = whole.split_at(12);
    if front[8..] != crc32c::crc32c(checked).to_le_bytes() {
        return Err("its attributes are damaged");
    }
    Attributes::from_bytes(&checked[4..]).ok_or("its attributes are none")
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn is_read_as_it_was_written(
            names in proptest::collection::btree_map("[a-z]{1,3}", "[!-~]{1,3}", 0..80),
            expires in proptest::option::of(0..1_u64 << 40),
            behind in proptest::collection::vec(any::<u8>(), 0..50),
            flip in any::<proptest::sample::Index>(),
        ) {
            let mut attributes = Attributes::default();
            for (name, value) in names {
                attributes = attributes.with_user(name, [value]).unwrap();
            }
            if let Some(millis) = expires {
                let at = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                attributes = attributes.with_expires(at);
            }
            prop_assume!(attributes.size() <= MOST);
            let header = write(&attributes).unwrap();
            let mut stored = [&header[..], &behind[..]].concat();
            prop_assert_eq!(len(&stored), Ok(header.len()));
            prop_assert_eq!(read(&stored), Ok(attributes));
            let at = flip.index(header.len());
            stored[at] ^= 4;
            prop_assert!(read(&stored).is_err());
        }

        #[test]
        fn anything_else_is_refused(mut bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert!(read(&bytes).is_err());
            bytes.splice(..0, MAGIC);
            prop_assert!(read(&bytes).is_err());
        }
    }

    /// Many short ones take the most beside their own bytes.
    #[test]
    fn all_attributes_that_are_promised_fit() {
        let mut attributes = Attributes::default();
        let short = ('a'..='z').flat_map(|a| ["", "0", "1"].map(|b| format!("{a}{b}")));
        for name in short {
            attributes = attributes.with_user(name, ["v"]).unwrap();
        }
        let most = attributes.size();
        let values = vec!["v"; usize::try_from(MOST - most).unwrap() - 1];
        attributes = attributes.with_user("!", values).unwrap();
        assert_eq!(attributes.size(), MOST);
        assert!(write(&attributes).is_some());
    }
}
