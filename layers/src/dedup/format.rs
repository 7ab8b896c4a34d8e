//! The manifest: header, last bytes, lengths and digests of the chunks.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};
use xxhash_rust::xxh3::xxh3_64;

const MAGIC: [u8; 8] = [0x89, b'S', b'H', b'D', b'\r', b'\n', 0x1a, 1];

/// The length of the header, in bytes.
pub(super) const HEADER: usize = 56;

/// The most bytes of the content that stand in the manifest (inclusive).
pub(super) const MAX_TAIL: usize = 16 * 1024;

/// The least bytes that a chunk has, but for the last one (inclusive).
pub(super) const MIN_CHUNK: u32 = 1024;

/// The most bytes that a chunk has (inclusive).
pub(super) const MAX_CHUNK: u32 = 4 * 1024 * 1024;

/// What a chunk takes in the manifest, in bytes: its length and its digest.
pub(super) const PER_CHUNK: u64 = 4 + DIGEST as u64;

const DIGEST: usize = 32;

/// Why something is no manifest.
pub(super) type Flaw = &'static str;

/// The BLAKE3 hash of a chunk.
pub(super) type Digest = [u8; DIGEST];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The size of the content, in bytes.
    pub(super) size: u64,
    chunks: u32,
    tail: u32,
    tail_sum: u64,
    lens_sum: u64,
    digests_sum: u64,
}

/// A chunk of a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) digest: Digest,
    /// Its length, in bytes.
    pub(super) len: u32,
}

/// Which chunks have a range of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Their lengths, in bytes.
    pub(super) lens: Vec<u32>,
    /// The place of the first one among all chunks.
    first: u64,
    /// Where the first one begins in the content, in bytes.
    pub(super) begin: u64,
}

impl Header {
    /// The header of a manifest of `stored` bytes.
    pub(super) fn parse(bytes: &[u8], stored: u64) -> Result<Self, Flaw> {
        let Some(bytes) = bytes.first_chunk::<HEADER>() else {
            return Err("it is shorter than a header");
        };
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        if bytes[..8] != MAGIC {
            return Err("it does not begin as one");
        }
        if xxh3_64(&bytes[..48]) != number(48) {
            return Err("its header is damaged");
        }
        let header = Self {
            size: number(8),
            chunks: short(16),
            tail: short(20),
            tail_sum: number(24),
            lens_sum: number(32),
            digests_sum: number(40),
        };
        if header.tail as usize > MAX_TAIL {
            return Err("more of its content stands in it than is allowed");
        }
        // Before any memory is taken: it is as long as its chunks need.
        if header.digests().end != stored {
            return Err("it is not as long as its chunks need");
        }
        let Some(chunked) = header.size.checked_sub(header.tail.into()) else {
            return Err("its size is less than the part that stands in it");
        };
        let chunks = u64::from(header.chunks);
        let least = chunks.saturating_sub(1) * u64::from(MIN_CHUNK) + chunks.min(1);
        if chunked < least || chunked > chunks * u64::from(MAX_CHUNK) {
            return Err("its size is not possible with its chunks");
        }
        Ok(header)
    }

    /// Whether all of the content stands in the manifest.
    pub(super) fn is_inline(&self) -> bool {
        self.chunks == 0
    }

    /// Where the last bytes of the content stand.
    pub(super) fn tail(&self) -> Range<u64> {
        HEADER as u64..HEADER as u64 + u64::from(self.tail)
    }

    /// Where the lengths of the chunks stand.
    pub(super) fn lens(&self) -> Range<u64> {
        let start = self.tail().end;
        start..start + 4 * u64::from(self.chunks)
    }

    /// Where the digests of all chunks stand.
    pub(super) fn digests(&self) -> Range<u64> {
        let start = self.lens().end;
        start..start + DIGEST as u64 * u64::from(self.chunks)
    }

    /// Where the digests of these chunks stand.
    pub(super) fn digests_of(&self, span: &Span) -> Range<u64> {
        let start = self.digests().start + DIGEST as u64 * span.first;
        start..start + DIGEST as u64 * span.lens.len() as u64
    }

    /// The length of the content that chunks have, in bytes. The rest stands in the manifest.
    pub(super) fn chunked(&self) -> u64 {
        self.size - u64::from(self.tail)
    }

    /// Checks the last bytes.
    pub(super) fn check_tail(&self, tail: &[u8]) -> Result<(), Flaw> {
        if tail.len() != self.tail as usize || xxh3_64(tail) != self.tail_sum {
            return Err("the part of the content that stands in it is damaged");
        }
        Ok(())
    }

    /// The chunks that have these bytes of the content. Checks all of the lengths.
    pub(super) fn span(&self, lens: &[u8], range: &Range<u64>) -> Result<Span, Flaw> {
        if lens.len() as u64 != 4 * u64::from(self.chunks) || xxh3_64(lens) != self.lens_sum {
            return Err("its table of lengths is damaged");
        }
        let mut span = Span {
            lens: Vec::new(),
            first: 0,
            begin: 0,
        };
        let mut at = 0;
        for (n, len) in (1..).zip(lens.chunks_exact(4)) {
            let len = u32::from_le_bytes(std::array::from_fn(|n| len[n]));
            let least = if n == self.chunks { 1 } else { MIN_CHUNK };
            if len < least || len > MAX_CHUNK {
                return Err("a chunk has a length that is not allowed");
            }
            let end = at + u64::from(len);
            if at < range.end && range.start < end {
                if span.lens.is_empty() {
                    (span.first, span.begin) = (u64::from(n - 1), at);
                }
                span.lens.push(len);
            }
            at = end;
        }
        if at != self.chunked() {
            return Err("its chunks do not add up to its size");
        }
        Ok(span)
    }

    /// Checks the digests of all chunks.
    pub(super) fn check_digests(&self, digests: &[u8]) -> Result<(), Flaw> {
        if xxh3_64(digests) != self.digests_sum {
            return Err("its table of digests is damaged");
        }
        Ok(())
    }
}

impl Span {
    /// The chunks, given their digests.
    pub(super) fn chunks(&self, digests: &[u8]) -> Result<Vec<Chunk>, Flaw> {
        if digests.len() != self.lens.len() * DIGEST {
            return Err("its table of digests is cut short");
        }
        let digests = digests.chunks_exact(DIGEST);
        let chunks = self.lens.iter().zip(digests).map(|(len, digest)| Chunk {
            digest: std::array::from_fn(|n| digest[n]),
            len: *len,
        });
        Ok(chunks.collect())
    }
}

/// A manifest that is being written.
#[derive(Debug, Default)]
pub(super) struct Manifest {
    lens: BytesMut,
    digests: BytesMut,
    chunks: u32,
    size: u64,
    tail: Bytes,
}

impl Manifest {
    pub(super) fn push(&mut self, chunk: Chunk) {
        self.lens.put_u32_le(chunk.len);
        self.digests.put_slice(&chunk.digest);
        self.chunks += 1;
        self.size += u64::from(chunk.len);
    }

    /// Adds the last bytes of the content.
    pub(super) fn tail(&mut self, tail: Bytes) {
        self.size += tail.len() as u64;
        self.tail = tail;
    }

    pub(super) fn finish(self) -> Bytes {
        let len = HEADER + self.tail.len() + self.lens.len() + self.digests.len();
        let mut all = BytesMut::with_capacity(len);
        all.put_slice(&MAGIC);
        all.put_u64_le(self.size);
        all.put_u32_le(self.chunks);
        all.put_u32_le(self.tail.len() as u32);
        all.put_u64_le(xxh3_64(&self.tail));
        all.put_u64_le(xxh3_64(&self.lens));
        all.put_u64_le(xxh3_64(&self.digests));
        all.put_u64_le(xxh3_64(&all));
        all.put_slice(&self.tail);
        all.put_slice(&self.lens);
        all.put_slice(&self.digests);
        all.freeze()
    }
}

/// The largest content whose manifest has at most `stored` bytes, if chunks have `min` bytes at
/// least and the last `inline` bytes may stand in it.
pub(super) fn max_size(stored: u64, min: u64, inline: u64) -> u64 {
    let room = stored.saturating_sub(HEADER as u64 + inline);
    let chunks = (room / PER_CHUNK).min(u32::MAX.into());
    // The last one may have a byte only.
    let size = chunks.saturating_sub(1).saturating_mul(min);
    size.max(inline.min(stored.saturating_sub(HEADER as u64)))
        .min(i64::MAX as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn manifest(lens: &[u32], tail: &'static [u8]) -> Bytes {
        let mut manifest = Manifest::default();
        for (n, len) in (0..).zip(lens) {
            let digest = [n; 32];
            manifest.push(Chunk { digest, len: *len });
        }
        manifest.tail(tail.into());
        manifest.finish()
    }

    fn read(bytes: &[u8], range: Range<u64>) -> Result<(Vec<Chunk>, u64), Flaw> {
        let header = Header::parse(bytes, bytes.len() as u64)?;
        let cut = |range: Range<u64>| &bytes[range.start as usize..range.end as usize];
        header.check_tail(cut(header.tail()))?;
        header.check_digests(cut(header.digests()))?;
        let span = header.span(cut(header.lens()), &range)?;
        let chunks = span.chunks(cut(header.digests_of(&span)))?;
        Ok((chunks, span.begin))
    }

    /// With all sums right, so that only what the numbers say is judged.
    fn with_sums(mut bytes: Vec<u8>) -> Vec<u8> {
        bytes[..8].copy_from_slice(&MAGIC);
        let number = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| bytes[at + n]));
        let (chunks, tail) = (number(16) as usize, number(20) as usize);
        let end = bytes.len();
        let parts = [tail, chunks.saturating_mul(4), chunks.saturating_mul(32)];
        let (mut at, mut sums) = (HEADER, Vec::new());
        for len in parts {
            let to = at.saturating_add(len).min(end);
            sums.push(xxh3_64(&bytes[at..to]));
            at = to;
        }
        for (n, sum) in sums.into_iter().enumerate() {
            bytes[24 + 8 * n..32 + 8 * n].copy_from_slice(&sum.to_le_bytes());
        }
        let sum = xxh3_64(&bytes[..48]).to_le_bytes();
        bytes[48..56].copy_from_slice(&sum);
        bytes
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = manifest(&[1024, 5000, 7], b"end");
        let digests = |range| {
            let (chunks, begin) = read(&bytes, range).unwrap();
            let digests: Vec<_> = chunks.iter().map(|chunk| chunk.digest[0]).collect();
            (digests, begin)
        };
        assert_eq!(digests(0..6034), (vec![0, 1, 2], 0));
        assert_eq!(digests(1023..1024), (vec![0], 0));
        assert_eq!(digests(1024..1025), (vec![1], 1024));
        assert_eq!(digests(6023..6032), (vec![1, 2], 1024));
        assert_eq!(digests(6031..6034), (vec![], 0));
        assert_eq!(read(&manifest(&[], b""), 0..0), Ok((vec![], 0)));
    }

    #[test]
    fn lies_are_refused() {
        for (lens, tail) in [
            (vec![1023, 1], &b""[..]),
            (vec![0], b""),
            (vec![MAX_CHUNK + 1], b""),
            (vec![1024, 0], b"x"),
            (vec![u32::MAX; 3], b""),
            (vec![1; 100], b""),
            (vec![], &[0; MAX_TAIL + 1]),
        ] {
            assert!(read(&manifest(&lens, tail), 0..1).is_err(), "{lens:?}");
        }
        let right = manifest(&[1024, 5000, 7], b"end").to_vec();
        assert!(read(&right, 0..1).is_ok());
        for (at, what) in [
            (8, "size"),
            (15, "a huge size"),
            (16, "chunks"),
            (19, "billions of chunks"),
            (20, "tail"),
            (23, "a huge tail"),
            (HEADER + 3, "a length"),
        ] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x41;
            assert!(read(&with_sums(wrong), 0..1).is_err(), "{what}");
        }
        for cut in [1, 32, 36, 100, right.len()] {
            let cut = &right[..right.len() - cut];
            assert!(read(cut, 0..1).is_err(), "{} bytes", cut.len());
        }
    }

    #[test]
    fn the_largest_content_fits() {
        for stored in [0, 55, 56, 60, 4151, 4152, 5000, 100_000, 1 << 24, u64::MAX] {
            let size = max_size(stored, 1024, 4096);
            let chunks = size.div_ceil(1024);
            let needs = HEADER as u64 + chunks * PER_CHUNK;
            let fits = needs + 4096 <= stored || size <= 4096 && HEADER as u64 + size <= stored;
            assert!(fits || size == 0, "{stored}: {size}");
        }
    }

    proptest! {
        /// No panic and no work out of proportion, whatever the bytes; sums that fit do not help.
        #[test]
        fn any_bytes_are_read_or_refused(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
            sums: bool,
            small: bool,
            range in (0..10_000_u64, 0..10_000_u64),
        ) {
            if sums && bytes.len() >= HEADER {
                if small {
                    bytes[10..16].fill(0);
                    bytes[17..20].fill(0);
                    bytes[21..24].fill(0);
                    bytes[16] %= 8;
                    let (chunks, tail) = (usize::from(bytes[16]), usize::from(bytes[20]));
                    bytes.resize(HEADER + tail + 36 * chunks, 5);
                }
                bytes = with_sums(bytes);
            }
            if let Ok((chunks, begin)) = read(&bytes, range.0..range.1) {
                prop_assert!(begin <= range.0.max(MAX_CHUNK.into()));
                prop_assert!(chunks.len() * 36 <= bytes.len());
            }
        }

        /// Any change of a manifest is noticed.
        #[test]
        fn any_flip_is_refused(at in 0..167_usize, bit in 0..8_u8) {
            let mut bytes = manifest(&[1024, 5000, 7], b"end").to_vec();
            prop_assert_eq!(bytes.len(), 167);
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes, 0..6034).is_err());
        }
    }
}
