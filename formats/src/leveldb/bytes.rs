//! LevelDB's small encodings.

use super::error::{Damage, Parsed};

const SHORT: Damage = Damage("it ends too early");

/// The unread rest of some bytes.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Parsed<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn varint(&mut self) -> Parsed<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Damage("a number is too long"))
    }

    pub(super) fn size(&mut self) -> Parsed<usize> {
        usize::try_from(self.varint()?).map_err(|_| SHORT)
    }

    /// Bytes behind their length.
    pub(super) fn prefixed(&mut self) -> Parsed<&'a [u8]> {
        let size = self.size()?;
        self.take(size)
    }
}

/// Whether `stored` is the masked CRC-32C of `parts`.
pub(super) fn checksum_matches(stored: u32, parts: [&[u8]; 2]) -> bool {
    let crc = !parts
        .iter()
        .flat_map(|part| part.iter())
        .fold(!0, |crc, byte| {
            crc >> 8 ^ CRC_32C[(crc as u8 ^ byte) as usize]
        });
    crc.rotate_right(15).wrapping_add(0xa282_ead8) == stored
}

/// Castagnoli's polynomial, reflected, for each byte.
const CRC_32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 {
                crc >> 1
            } else {
                crc >> 1 ^ 0x82f6_3b78
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};
