//! Content that tells which version it is of, and whether it is whole.

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of one block: a version, the block's place and the content's length, eight bytes each, and
/// a filling of the version's last byte.
const BLOCK: usize = 256;

/// Content of `len` bytes of which every block says the version, its place and `len`: parts of two
/// versions never pass for one.
pub(super) fn stamped(version: u64, len: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(len + BLOCK);
    for place in 0..len.div_ceil(BLOCK) as u64 {
        bytes.put_u64(version);
        bytes.put_u64(place);
        bytes.put_u64(len as u64);
        bytes.put_bytes(version as u8, BLOCK - 24);
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
    if *bytes == whole {
        return Ok(version);
    }
    let at = bytes.iter().zip(&whole).take_while(|(a, b)| a == b).count();
    Err(format!(
        "{} bytes that start as version {version} and differ from it at byte {at}",
        bytes.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mixture_is_told() {
        let (a, b) = (stamped(1, 1000), stamped(2, 1000));
        assert_eq!(version_of(&a), Ok(1));
        let mixed: Bytes = [&a[..512], &b[512..]].concat().into();
        assert!(version_of(&mixed).is_err());
        assert!(version_of(&a.slice(..999)).is_err(), "cut");
        assert!(version_of(&Bytes::new()).is_err(), "empty");
    }
}
