//! Base58btc, written fast: every key of a record is in it, twice.

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
/// Digits that are computed at a time: 58^5 fits 32 bits.
const DIGITS: usize = 5;
const RADIX: u64 = 58 * 58 * 58 * 58 * 58;

/// Appends `bytes` in base58btc, without the multibase prefix. Takes time quadratic in their
/// number.
///
/// ```
/// let mut key = String::from("z");
/// storehouse_formats::base58::encode_to(&mut key, b"hello");
/// assert_eq!(key, "zCn8eVZg");
/// ```
pub fn encode_to(out: &mut String, bytes: &[u8]) {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    // The number in base 58^5, least digit first; 32 bits are multiplied in at a time.
    let mut limbs: Vec<u32> = Vec::with_capacity(bytes.len() * 8 / 29 + 1);
    let first = bytes.len() % 4;
    let (head, tail) = bytes.split_at(first);
    if first > 0 {
        multiply_in(&mut limbs, head);
    }
    for word in tail.chunks_exact(4) {
        multiply_in(&mut limbs, word);
    }
    out.extend(std::iter::repeat_n('1', zeros));
    let mut leading = true;
    for limb in limbs.iter().rev() {
        let mut digits = [0; DIGITS];
        let mut rest = *limb;
        for digit in digits.iter_mut().rev() {
            *digit = ALPHABET[(rest % 58) as usize];
            rest /= 58;
        }
        for digit in digits {
            if leading && digit == ALPHABET[0] {
                continue;
            }
            leading = false;
            out.push(char::from(digit));
        }
    }
}

fn multiply_in(limbs: &mut Vec<u32>, word: &[u8]) {
    let mut carry = word
        .iter()
        .fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    let shift = 8 * word.len();
    for limb in limbs.iter_mut() {
        carry += u64::from(*limb) << shift;
        *limb = (carry % RADIX) as u32;
        carry /= RADIX;
    }
    while carry > 0 {
        limbs.push((carry % RADIX) as u32);
        carry /= RADIX;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_same_as_multibase(bytes in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..80)) {
            let mut text = String::from("z");
            super::encode_to(&mut text, &bytes);
            prop_assert_eq!(text, multibase::encode(multibase::Base::Base58Btc, &bytes));
        }
    }
}
