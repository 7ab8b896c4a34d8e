//! Content that tells which version it is of, and whether it is whole.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of one block: a version, the block's place and the content's length, eight bytes each.
const BLOCK: usize = 24;

/// Content of `len` bytes of which every 24 bytes say the version, their place and `len`: parts of two versions never pass for one.
pub(super) fn stamped(version: u64, len: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(len + BLOCK);
    let mut place = 0u64;
    while bytes.len() < len {
        bytes.put_u64(version);
        bytes.put_u64(place);
        bytes.put_u64(len as u64);
        place += 1;
    }
    bytes.truncate(len);
    bytes.freeze()
}

/// The version of stamped content, if it is whole and of one version.
pub(super) fn version_of(bytes: &Bytes) -> Result<u64, String> {
    let Some(first) = bytes.get(..8).and_then(|first| first.try_into().ok()) else {
        return Err(format!("{} bytes, which no version has", bytes.len()));
    };
    let version = u64::from_be_bytes(first);
    let whole = stamped(version, bytes.len());
    match bytes.iter().zip(&whole).position(|(a, b)| a != b) {
        None => Ok(version),
        Some(at) => Err(format!("{} bytes that start as version {version} and differ from it at byte {at}", bytes.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_told() {
        let (a, b) = (stamped(1, 100), stamped(2, 100));
        assert_eq!(version_of(&a), Ok(1));
        let mixed: Bytes = [&a[..48], &b[48..]].concat().into();
        assert!(version_of(&mixed).is_err());
        assert!(version_of(&a.slice(..99)).is_err(), "cut");
        assert!(version_of(&Bytes::new()).is_err(), "empty");
    }
}
