//! A Bloom filter: whether a table may have a key, without a look at the table.

use bytes::Bytes;

use super::entry::u64_at;

/// Bytes that one key's bits lie in: a line of the processor's cache.
const LINE: usize = 64;

/// Bits set for each key.
const PROBES: usize = 6;

/// Bits to have for each key: some 1% of other keys get through.
const BITS_PER_KEY: usize = 11;

/// The bits, as they lie in the table.
#[derive(Clone, Debug)]
pub(super) struct Filter(Bytes);

impl Filter {
    /// A filter that lets these keys through, given by their [`hash`].
    pub(super) fn build(hashes: &[u32]) -> Vec<u8> {
        let lines = (hashes.len() * BITS_PER_KEY).div_ceil(LINE * 8).max(1);
        let mut bits = vec![0u8; lines * LINE];
        for hash in hashes {
            let (line, probes) = places(*hash, lines);
            for bit in probes {
                bits[line + bit / 8] |= 1 << (bit % 8);
            }
        }
        bits
    }

    /// `None` if these are no filter's bits.
    pub(super) fn parse(bits: Bytes) -> Option<Self> {
        (!bits.is_empty() && bits.len().is_multiple_of(LINE)).then_some(Self(bits))
    }

    pub(super) fn may_have(&self, hash: u32) -> bool {
        let (line, probes) = places(hash, self.0.len() / LINE);
        let line = &self.0[line..line + LINE];
        probes
            .into_iter()
            .all(|bit| u64_at(line, bit / 64 * 8) >> (bit % 64) & 1 == 1)
    }
}

/// The hash of a key, for filters. It is part of the format.
pub(super) fn hash(key: &[u8]) -> u32 {
    crc32c::crc32c(key)
}

/// Where the line of a key starts, and its bits in there.
fn places(hash: u32, lines: usize) -> (usize, [usize; PROBES]) {
    // The finalizer of SplitMix64: a CRC alone is too regular.
    let mut mixed = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    // 54 bits for the probes, and others, mixed anew, for the line.
    let line = (mixed.wrapping_mul(0xD6E8_FEB8_6659_FD93) >> 32) as usize % lines;
    (
        line * LINE,
        std::array::from_fn(|probe| (mixed >> (9 * probe)) as usize % (LINE * 8)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_its_keys_through_and_few_others() {
        for count in [0, 1, 10, 1000, 30_000] {
            let hashes: Vec<_> = (0..count)
                .map(|i| hash(format!("key {i}").as_bytes()))
                .collect();
            let filter = Filter::parse(Filter::build(&hashes).into()).unwrap();
            assert!(hashes.iter().all(|hash| filter.may_have(*hash)));
            let others = (0..10_000)
                .filter(|i| filter.may_have(hash(format!("other {i}").as_bytes())))
                .count();
            assert!(
                others < 300,
                "{others} of 10,000 other keys get through a filter of {count}"
            );
        }
    }

    #[test]
    fn other_lengths_are_no_filters() {
        for len in [0, 1, 63, 65] {
            assert!(Filter::parse(vec![0; len].into()).is_none());
        }
    }
}
