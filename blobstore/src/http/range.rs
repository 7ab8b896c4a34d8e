//! The `Range` header (RFC 9110, section 14).
//!
//! Parsed here, because `http-range-header` refuses what RFC 9110 allows: a unit in capitals, empty
//! list elements, white space around the comma, leading zeros, and numbers beyond 64 bits.

use ::http::HeaderMap;
use ::http::header::RANGE;
use storehouse_objectstore::ByteRange;

/// The one range that a request asks for. Numbers that do not fit are as large as may be: no blob
/// is that long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// `first-`
    From(u64),
    /// `first-last`, both inclusive.
    Between(u64, u64),
    /// `-len`
    Suffix(u64),
}

impl Asked {
    /// The range for the store, to be cut to what the blob has.
    pub(super) fn range(self) -> ByteRange {
        match self {
            Self::From(first) => ByteRange::inclusive(first, None),
            Self::Between(first, last) => ByteRange::inclusive(first, Some(last)).clamped(),
            Self::Suffix(len) => ByteRange::suffix(len).clamped(),
        }
    }

    /// Whether it is the last bytes, one at least: a blob of any size has those.
    pub(super) fn is_suffix(self) -> bool {
        matches!(self, Self::Suffix(1..))
    }
}

/// The range that is asked for; `None` for the whole blob: without the header, with several ranges,
/// in another unit, or with a mistake anywhere. RFC 9110 lets a server ignore any of these.
pub(super) fn asked(headers: &HeaderMap) -> Option<Asked> {
    let mut lines = headers.get_all(RANGE).iter();
    let line = lines.next()?;
    if lines.next().is_some() {
        return None;
    }
    parse(line.as_bytes())
}

fn parse(line: &[u8]) -> Option<Asked> {
    let (unit, ranges) = split(line, b'=')?;
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let (first, last) = split(only(ranges)?, b'-')?;
    if first.is_empty() {
        return Some(Asked::Suffix(value(digits(last)?)));
    }
    let first = digits(first)?;
    if last.is_empty() {
        return Some(Asked::From(value(first)));
    }
    let last = digits(last)?;
    // Compared as texts, which do not overflow.
    ((first.len(), first) <= (last.len(), last)).then(|| Asked::Between(value(first), value(last)))
}

fn split(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == at)?;
    Some((&text[..at], &text[at + 1..]))
}

/// The only element of a list, which may have empty ones around it.
fn only(list: &[u8]) -> Option<&[u8]> {
    if !list.contains(&b',') {
        return Some(list);
    }
    let mut elements = list
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty());
    elements.next().filter(|_| elements.next().is_none())
}

/// A number's digits without leading zeros; `None` if it is none.
fn digits(text: &[u8]) -> Option<&[u8]> {
    let number = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let zeros = text.iter().take_while(|digit| **digit == b'0').count();
    number.then(|| &text[zeros..])
}

fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value: u64, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::Asked::{Between, From, Suffix};
    use super::*;

    #[test]
    fn one_range_in_each_form() {
        for (line, expected) in [
            ("bytes=0-0", Between(0, 0)),
            ("bytes=0-499", Between(0, 499)),
            ("bytes=500-", From(500)),
            ("bytes=-500", Suffix(500)),
            ("bytes=-0", Suffix(0)),
            ("BYTES=1-2", Between(1, 2)),
            ("bytes=007-0008", Between(7, 8)),
            ("bytes=,1-2", Between(1, 2)),
            ("bytes=1-2 , ,\t", Between(1, 2)),
            ("bytes=18446744073709551615-", From(u64::MAX)),
            ("bytes=0-18446744073709551616", Between(0, u64::MAX)),
            (
                "bytes=99999999999999999999-999999999999999999999",
                Between(u64::MAX, u64::MAX),
            ),
            ("bytes=-99999999999999999999", Suffix(u64::MAX)),
        ] {
            assert_eq!(parse(line.as_bytes()), Some(expected), "{line}");
        }
    }

    #[test]
    fn everything_else_is_the_whole() {
        for line in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=,",
            "bytes= ",
            "bytes=--1",
            "bytes=1",
            "bytes=a-b",
            "bytes=1-b",
            "bytes=a-2",
            "bytes=1-2-3",
            "bytes=+1-2",
            "bytes=1-+2",
            "bytes=0x1-0x2",
            "bytes=1.0-2",
            "bytes=2-1",
            "bytes=999999999999999999999-99999999999999999999",
            "bytes=1-2,3-4",
            "bytes=1-2,-1",
            "bytes=1-2,x",
            "bytes=1 -2",
            "bytes=1- 2",
            "bytes= 1-2",
            "bytes =1-2",
            " bytes=1-2",
            "bytes:1-2",
            "bytes 1-2",
            "seconds=1-2",
            "byte=1-2",
            "bytess=1-2",
            "=1-2",
            "bytes==1-2",
            "bytes=1-2;q=1",
            "bytes=\u{661}-\u{662}",
        ] {
            assert_eq!(parse(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn of_several_lines_none_counts() {
        let mut headers = HeaderMap::new();
        assert_eq!(asked(&headers), None);
        headers.append(RANGE, "bytes=1-2".parse().unwrap());
        assert_eq!(asked(&headers), Some(Between(1, 2)));
        headers.append(RANGE, "bytes=1-2".parse().unwrap());
        assert_eq!(asked(&headers), None);
    }
}
