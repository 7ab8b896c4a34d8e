//! Unsigned varints, as multiformats have them: minimal, and at most 9 bytes.

/// The varint that `bytes` begin with, and the bytes that follow it.
pub(crate) fn read(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().enumerate().take(9) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return (index == 0 || *byte != 0).then_some((value, &bytes[index + 1..]));
        }
    }
    None
}

/// Appends a varint.
pub(crate) fn write(out: &mut impl Extend<u8>, mut value: u64) {
    while value >= 0x80 {
        out.extend([value as u8 | 0x80]);
        value >>= 7;
    }
    out.extend([value as u8]);
}
