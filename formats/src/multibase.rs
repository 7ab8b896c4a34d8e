//! Multibase text, decoded within a bound.

use multibase::Base;

/// The longest text that [`decode`] takes in a base whose decoding takes quadratic time, in bytes
/// (inclusive).
pub const MAX_QUADRATIC: usize = 256;

/// The bytes of multibase text.
///
/// Bases 2, 8, 16, 32 and 64 are decoded in time proportional to the length. All others (10, 36,
/// 58, 256) are not, and take at most [`MAX_QUADRATIC`] bytes of text; longer text is refused
/// before it is decoded.
///
/// ```
/// use storehouse_formats::multibase::decode;
///
/// assert_eq!(decode("mAQI"), Ok(vec![1, 2]));
/// assert_eq!(decode("z5T"), Ok(vec![1, 2]));
/// assert!(decode(&"z".repeat(1_000_000)).is_err());
/// ```
///
/// # Errors
/// What is wrong with the text.
pub fn decode(text: &str) -> Result<Vec<u8>, &'static str> {
    let Some(prefix) = text.chars().next() else {
        return Err("the text is empty");
    };
    let base = Base::from_code(prefix)
        .map_err(|_| "its first character is not the prefix of a multibase")?;
    let digits = &text[prefix.len_utf8()..];
    if !is_linear(base) && digits.len() > MAX_QUADRATIC {
        return Err("the text is too long for its base");
    }
    base.decode(digits)
        .map_err(|_| "it is not of the base that its first character says")
}

fn is_linear(base: Base) -> bool {
    !matches!(
        base,
        Base::Base10
            | Base::Base36Lower
            | Base::Base36Upper
            | Base::Base58Btc
            | Base::Base58Flickr
            | Base::Base256Emoji
    )
}
