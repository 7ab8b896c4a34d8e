//! Which shard a key belongs to.

use std::cmp::Ordering;

use xxhash_rust::xxh3::Xxh3Default;

/// Binary places of the logarithm.
const PLACES: u32 = 40;

/// A shard's score for a key, as a fraction of integers: low is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Score {
    log: u64,
    weight: u32,
}

impl Score {
    pub(super) fn new(name: &str, weight: u32, key: &str) -> Self {
        let mut hasher = Xxh3Default::new();
        hasher.update(name.as_bytes());
        hasher.update(&[0]);
        hasher.update(key.as_bytes());
        Self {
            log: minus_log2(hasher.digest().max(1)),
            weight,
        }
    }

    /// Which of two comes first; weight 0 comes last.
    pub(super) fn compare(self, other: Self) -> Ordering {
        match (self.weight, other.weight) {
            (0, 0) => self.log.cmp(&other.log),
            (0, _) => Ordering::Greater,
            (_, 0) => Ordering::Less,
            (a, b) => {
                (u128::from(self.log) * u128::from(b)).cmp(&(u128::from(other.log) * u128::from(a)))
            }
        }
    }
}

/// −log₂(`hash` / 2⁶⁴) in units of 2⁻⁴⁰, for a hash that is not 0.
fn minus_log2(hash: u64) -> u64 {
    let zeros = hash.leading_zeros();
    // The mantissa in 1..2, with 63 binary places.
    let mut mantissa = hash << zeros;
    let mut fraction = 0_u64;
    for _ in 0..PLACES {
        let square = (u128::from(mantissa) * u128::from(mantissa)) >> 63;
        let carry = (square >> 64) as u64;
        mantissa = (square >> carry) as u64;
        fraction = fraction << 1 | carry;
    }
    // log₂(hash / 2⁶⁴) = -(zeros + 1) + fraction.
    ((u64::from(zeros) + 1) << PLACES) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_one() {
        let unit = (1_u64 << PLACES) as f64;
        for hash in [
            1,
            2,
            3,
            1 << 32,
            u64::MAX / 3,
            1 << 63,
            u64::MAX - 1,
            u64::MAX,
        ] {
            let exact = 64.0 - (hash as f64).log2();
            let ours = minus_log2(hash) as f64 / unit;
            assert!((exact - ours).abs() < 1e-9, "{hash}: {exact} {ours}");
        }
        assert_eq!(minus_log2(1), 64 << PLACES);
        assert_eq!(minus_log2(1 << 63), 1 << PLACES);
    }
}
