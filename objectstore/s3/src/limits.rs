//! S3's limits, and which names it can hold.

/// The largest object that one PUT stores, in bytes (inclusive).
pub(crate) const MAX_PUT: u64 = 5 << 30;

/// The largest object, in bytes (inclusive).
pub(crate) const MAX_OBJECT: u64 = 5 << 40;

/// The smallest part that S3 accepts, except for the last one, in bytes.
pub(crate) const MIN_PART: u64 = 5 << 20;

/// The most parts of one upload.
pub(crate) const MAX_PARTS: u64 = 10_000;

/// Why no S3 server can hold this key, although it is a valid one: listings are XML.
///
/// XML has no U+FFFE and U+FFFF. Servers write U+FFFD for a character that XML cannot carry, so a
/// listed key with U+FFFD need not be the key of the object.
pub(crate) fn flaw(key: &str) -> Option<&'static str> {
    key.contains(['\u{fffd}', '\u{fffe}', '\u{ffff}'])
        .then_some("S3 cannot list keys with U+FFFD, U+FFFE or U+FFFF")
}

/// Whether this can be the name of a region: it becomes part of a host name and of signatures.
pub(crate) fn is_region(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}
