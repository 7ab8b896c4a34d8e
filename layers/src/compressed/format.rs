//! The header and the table of frames.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = [0x89, b'S', b'H', b'Z', b'\r', b'\n', 0x1a, 1];

/// The length of the header, in bytes.
pub(super) const HEADER: usize = 32;

/// The base-2 logarithms that a frame's content may have (inclusive).
pub(super) const FRAME_LOGS: std::ops::RangeInclusive<u8> = 12..=20;

/// The bit of a table's entry that says that the frame is not compressed.
const AS_IT_IS: u32 = 1 << 31;

/// Why something is no object of this format.
pub(super) type Flaw = &'static str;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of the content, in bytes.
    pub(super) size: u64,
    frame_log: u8,
    table_sum: u64,
}

/// A frame: where it is stored, behind header and table, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) stored: Range<u64>,
    pub(super) as_it_is: bool,
    /// The length of its content, in bytes.
    pub(super) len: usize,
}

impl Header {
    /// The header of an object whose inner size is `stored`.
    pub(super) fn parse(bytes: &[u8], stored: u64) -> Result<Self, Flaw> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Err("it is shorter than a header");
        };
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        if bytes[..8] != MAGIC {
            return Err("it does not begin as one");
        }
        let sum = (xxh3_64(&bytes[..28]) as u32).to_le_bytes();
        if bytes[28..] != sum {
            return Err("its header is damaged");
        }
        let header = Self {
            size: number(8),
            frame_log: bytes[16],
            table_sum: number(20),
        };
        if !FRAME_LOGS.contains(&header.frame_log) || bytes[17..20] != [0; 3] {
            return Err("its frames have a size that is not allowed");
        }
        // A table that is as long as it says has no more entries than the object has bytes.
        if header.frames() > stored / 4 || header.table_len() > stored - HEADER as u64 {
            return Err("its size is more than its frames can have");
        }
        Ok(header)
    }

    fn frame_size(&self) -> u64 {
        1 << self.frame_log
    }

    /// The number of frames.
    fn frames(&self) -> u64 {
        self.size.div_ceil(self.frame_size())
    }

    /// The length of the table, in bytes.
    pub(super) fn table_len(&self) -> u64 {
        4 * self.frames()
    }

    /// Where the frames begin, in bytes.
    pub(super) fn frames_at(&self) -> u64 {
        HEADER as u64 + self.table_len()
    }

    /// The frames that have these bytes of the content (all for `0..size`), and where the first
    /// one's content begins. Checks the whole table.
    pub(super) fn frames_of(
        &self,
        table: &[u8],
        stored: u64,
        range: &Range<u64>,
    ) -> Result<(Vec<Frame>, u64), Flaw> {
        if table.len() as u64 != self.table_len() || xxh3_64(table) != self.table_sum {
            return Err("its table is damaged");
        }
        let first = range.start / self.frame_size();
        let end = range.end.div_ceil(self.frame_size());
        let mut frames = Vec::new();
        let mut at = self.frames_at();
        for (n, entry) in (0..).zip(table.chunks_exact(4)) {
            let entry = u32::from_le_bytes(std::array::from_fn(|n| entry[n]));
            let stored_len = entry & !AS_IT_IS;
            let len = self.frame_size().min(self.size - n * self.frame_size());
            let as_it_is = entry & AS_IT_IS != 0;
            let possible = if as_it_is {
                u64::from(stored_len) == len
            } else {
                u64::from(stored_len) < len
            };
            if !possible {
                return Err("a frame has a length that is not possible");
            }
            let place = at..at + u64::from(stored_len);
            at = place.end;
            if (first..end).contains(&n) {
                frames.push(Frame {
                    stored: place,
                    as_it_is,
                    len: len as usize,
                });
            }
        }
        if at != stored {
            return Err("its frames do not end where it does");
        }
        Ok((frames, first * self.frame_size()))
    }
}

/// The table of an object that is being written.
#[derive(Debug, Default)]
pub(super) struct Table(BytesMut);

impl Table {
    pub(super) fn push(&mut self, stored_len: u32, as_it_is: bool) {
        self.0.put_u32_le(if as_it_is {
            stored_len | AS_IT_IS
        } else {
            stored_len
        });
    }

    /// Header and table of a content of `size` bytes.
    pub(super) fn finish(self, size: u64, frame_log: u8) -> BytesMut {
        let mut all = BytesMut::with_capacity(HEADER + self.0.len());
        all.put_slice(&MAGIC);
        all.put_u64_le(size);
        all.put_u8(frame_log);
        all.put_bytes(0, 3);
        all.put_u64_le(xxh3_64(&self.0));
        all.put_u32_le(xxh3_64(&all) as u32);
        all.put_slice(&self.0);
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn object(lens: &[(u32, bool)], size: u64, log: u8) -> (Vec<u8>, u64) {
        let mut table = Table::default();
        let mut stored = 0;
        for (len, as_it_is) in lens {
            table.push(*len, *as_it_is);
            stored += u64::from(*len);
        }
        let head = table.finish(size, log).to_vec();
        let stored = stored + head.len() as u64;
        (head, stored)
    }

    #[test]
    fn what_was_written_is_read() {
        let (head, stored) = object(&[(100, false), (4096, true), (7, true)], 8199, 12);
        let header = Header::parse(&head, stored).unwrap();
        assert_eq!((header.size, header.frames_at()), (8199, 44));
        let (frames, from) = header
            .frames_of(&head[32..], stored, &(5000..8193))
            .unwrap();
        assert_eq!(from, 4096);
        assert_eq!(frames[0].stored, 144..4240);
        assert_eq!(
            (frames.len(), frames[1].len, frames[1].as_it_is),
            (2, 7, true)
        );
        // Nothing of it fits another size of the inner object.
        assert!(header.frames_of(&head[32..], stored + 1, &(0..1)).is_err());
    }

    #[test]
    fn hostile_sizes_are_refused() {
        for (lens, size, log) in [
            (vec![(100, false)], u64::MAX, 12),
            (vec![(100, false)], 1 << 62, 20),
            (vec![(100, false)], 4096, 11),
            (vec![(100, false)], 4096, 21),
            (vec![(100, false)], 4096, 255),
            (vec![(0x7fff_ffff, true)], 4096, 12),
            (vec![(0x7fff_ffff, false)], 4096, 12),
            (vec![(4096, false)], 4096, 12),
            (vec![(4095, true)], 4096, 12),
            (vec![(1, true)], 0, 12),
        ] {
            let (head, stored) = object(&lens, size, log);
            let read = Header::parse(&head, stored).and_then(|header| {
                let end = HEADER + header.table_len() as usize;
                header.frames_of(&head[32..end], stored, &(0..size))
            });
            assert!(read.is_err(), "{lens:?} {size} {log}");
        }
    }

    proptest! {
        /// No panic and no work out of proportion, whatever the bytes; a checksum that fits does
        /// not help.
        #[test]
        fn any_bytes_are_read_or_refused(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
            begins: bool,
            stored in prop_oneof![0..300_u64, any::<u64>()],
            range in (0..100_000_u64, 0..100_000_u64),
        ) {
            if begins && bytes.len() >= HEADER {
                bytes[..8].copy_from_slice(&MAGIC);
                bytes[17..20].fill(0);
                bytes[16] = 12 + bytes[16] % 9;
                let sum = xxh3_64(&bytes[HEADER..]).to_le_bytes();
                bytes[20..28].copy_from_slice(&sum);
                let sum = (xxh3_64(&bytes[..28]) as u32).to_le_bytes();
                bytes[28..32].copy_from_slice(&sum);
            }
            if let Ok(header) = Header::parse(&bytes, stored) {
                prop_assert!(header.frames_at() <= stored);
                if let Ok((frames, _)) = header.frames_of(&bytes[HEADER..], stored, &(range.0..range.1)) {
                    prop_assert!(frames.iter().all(|frame| frame.stored.end <= stored));
                }
            }
        }

        /// Any change of header or table is noticed.
        #[test]
        fn any_flip_is_refused(at in 0..44_usize, bit in 0..8_u8) {
            let (mut head, stored) = object(&[(100, false), (4096, true), (7, true)], 8199, 12);
            head[at] ^= 1 << bit;
            let read = Header::parse(&head, stored)
                .and_then(|header| header.frames_of(&head[32..], stored, &(0..8199)));
            prop_assert!(read.is_err());
        }
    }
}
