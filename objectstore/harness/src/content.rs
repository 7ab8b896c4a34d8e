//! Objects that tell which write made them, so that a reader can check every byte.

use crate::random::Random;

/// The longest header, in bytes: a key, two numbers of 20 digits, separators.
const MAX_HEADER: usize = 200;

/// The object that write `version` puts under `key`: a header with both and the size, then bytes
/// that follow from it. Objects shorter than their header are as long as the header.
#[must_use]
pub fn content(key: &str, version: u64, size: usize) -> Vec<u8> {
    let mut bytes = format!("{key} {version} {size}\n").into_bytes();
    let mut random =
        Random::new(version ^ key.bytes().fold(7, |sum, byte| sum * 31 + u64::from(byte)));
    while bytes.len() < size {
        let next = random.bits().to_le_bytes();
        bytes.extend_from_slice(&next[..next.len().min(size - bytes.len())]);
    }
    bytes
}

/// The write that made this object.
///
/// # Errors
/// Says what is wrong if no write of this key made these bytes.
pub fn version_of(key: &str, bytes: &[u8]) -> Result<u64, String> {
    let (found, version, size) =
        header(bytes).ok_or_else(|| format!("{} bytes without a header", bytes.len()))?;
    if found != key {
        return Err(format!("the object of key {found}"));
    }
    let whole = content(key, version, size);
    if whole == bytes {
        return Ok(version);
    }
    let same = whole.iter().zip(bytes).take_while(|(a, b)| a == b).count();
    Err(format!(
        "version {version}, {} of {} bytes, other from byte {same} on",
        bytes.len(),
        whole.len()
    ))
}

/// The key that an object says it is of.
#[must_use]
pub fn key_of(bytes: &[u8]) -> Option<&str> {
    header(bytes).map(|(key, _, _)| key)
}

fn header(bytes: &[u8]) -> Option<(&str, u64, usize)> {
    let end = bytes
        .iter()
        .take(MAX_HEADER)
        .position(|byte| *byte == b'\n')?;
    let mut fields = std::str::from_utf8(&bytes[..end]).ok()?.split(' ');
    Some((
        fields.next()?,
        fields.next()?.parse().ok()?,
        fields.next()?.parse().ok()?,
    ))
}
