//! Conditional requests by entity tag (RFC 9110, section 13).
//!
//! Parsed here, because the crate `headers` (0.4) asserts in debug builds that a tag holds no
//! control character, which a client can send, and goes on behind what is no tag.

use ::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use ::http::{HeaderMap, HeaderName};

/// What the conditions of a request for a blob that is there come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The blob is to be given; by the range asked for, or whole if `If-Range` did not match.
    Go { by_range: bool },
    /// 304
    NotModified,
    /// 412
    Failed,
}

/// How two tags are compared (RFC 9110, section 8.8.3.2). The blob's own is a strong one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// A weak tag matches nothing.
    Strong,
    Weak,
}

/// Judges in the order of RFC 9110, section 13.2.2, for a blob whose entity tag is `tag`, quotes
/// included. `If-Unmodified-Since` and `If-Modified-Since` are not looked at, as is right where no
/// `Last-Modified` is given.
pub(super) fn judge(headers: &HeaderMap, tag: &[u8]) -> Verdict {
    if headers.contains_key(IF_MATCH) && !lists(headers, IF_MATCH, tag, Comparison::Strong) {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) && lists(headers, IF_NONE_MATCH, tag, Comparison::Weak) {
        return Verdict::NotModified;
    }
    Verdict::Go {
        by_range: headers.contains_key(RANGE) && range_applies(headers, tag),
    }
}

/// Whether there is no `If-Range`, or one with this tag. A date never matches, and neither does a
/// weak tag.
fn range_applies(headers: &HeaderMap, tag: &[u8]) -> bool {
    let mut lines = headers.get_all(IF_RANGE).iter();
    match (lines.next(), lines.next()) {
        (None, _) => true,
        (Some(line), None) => line.as_bytes() == tag,
        (Some(_), Some(_)) => false,
    }
}

/// Whether the header, in all its lines, is `*` or has the tag in its list. A list ends at its
/// first mistake.
fn lists(headers: &HeaderMap, name: HeaderName, tag: &[u8], comparison: Comparison) -> bool {
    let lines = headers.get_all(name);
    if lines
        .iter()
        .all(|line| line.as_bytes().trim_ascii() == b"*")
    {
        return lines.iter().count() == 1;
    }
    for line in lines {
        let mut rest = line.as_bytes();
        while let Some(start) = rest
            .iter()
            .position(|byte| !matches!(byte, b' ' | b'\t' | b','))
        {
            let Some((element, after)) = element(&rest[start..]) else {
                return false;
            };
            if element.opaque == tag && !(element.weak && comparison == Comparison::Strong) {
                return true;
            }
            rest = after;
        }
    }
    false
}

struct Element<'a> {
    weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

/// An entity tag at the start of `text`, and what follows it; `None` if there is none, or something
/// other than a comma behind it.
fn element(text: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (weak, text) = text
        .strip_prefix(b"W/")
        .map_or((false, text), |text| (true, text));
    let inner = text
        .strip_prefix(b"\"")?
        .iter()
        .take_while(|byte| matches!(byte, 0x21 | 0x23..=0x7e | 0x80..))
        .count();
    let (opaque, after) = text.split_at_checked(inner + 2)?;
    let ends = after
        .trim_ascii_start()
        .first()
        .is_none_or(|byte| *byte == b',');
    (opaque.ends_with(b"\"") && ends).then_some((Element { weak, opaque }, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAG: &[u8] = b"\"zQ\"";
    const GO: Verdict = Verdict::Go { by_range: false };

    fn verdict(pairs: &[(HeaderName, &str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name, value.parse().unwrap());
        }
        judge(&headers, TAG)
    }

    #[test]
    fn lists_of_tags() {
        // The value, and whether it matches strongly and weakly.
        for (value, strong, weak) in [
            ("\"zQ\"", true, true),
            ("W/\"zQ\"", false, true),
            ("*", true, true),
            (" * ", true, true),
            ("\"a\", \"zQ\"", true, true),
            ("\"a\",W/\"zQ\"", false, true),
            ("\"a,b\" ,, \"\",\t\"zQ\"", true, true),
            (",\"zQ\",", true, true),
            ("W/\"zQ\", \"zQ\"", true, true),
            ("", false, false),
            (",", false, false),
            ("\"a\"", false, false),
            ("\"zq\"", false, false),
            ("\"zQ", false, false),
            ("zQ", false, false),
            ("zQ\"", false, false),
            ("w/\"zQ\"", false, false),
            ("W/ \"zQ\"", false, false),
            ("\"zQ\"x", false, false),
            ("\"a\" \"zQ\"", false, false),
            ("\"a\"\"zQ\"", false, false),
            ("x, \"zQ\"", false, false),
            ("\"a b\", \"zQ\"", false, false),
            ("*, \"zQ\"", false, false),
            ("\"a\", *", false, false),
            ("\"\\\"zQ\"", false, false),
            ("\"", false, false),
            ("W/", false, false),
        ] {
            assert_eq!(
                verdict(&[(IF_MATCH, value)]),
                if strong { GO } else { Verdict::Failed },
                "{value}"
            );
            assert_eq!(
                verdict(&[(IF_NONE_MATCH, value)]),
                if weak { Verdict::NotModified } else { GO },
                "{value}"
            );
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(verdict(&[(IF_MATCH, "\"a\""), (IF_MATCH, "\"zQ\"")]), GO);
        assert_eq!(
            verdict(&[(IF_MATCH, "\"a\""), (IF_MATCH, "\"b\"")]),
            Verdict::Failed
        );
        assert_eq!(
            verdict(&[(IF_MATCH, "*"), (IF_MATCH, "*")]),
            Verdict::Failed
        );
    }

    #[test]
    fn if_match_comes_first_and_if_range_last() {
        assert_eq!(
            verdict(&[(IF_MATCH, "\"a\""), (IF_NONE_MATCH, "\"zQ\"")]),
            Verdict::Failed
        );
        assert_eq!(
            verdict(&[(IF_MATCH, "\"zQ\""), (IF_NONE_MATCH, "\"zQ\"")]),
            Verdict::NotModified
        );
        let ranged =
            |pairs: &[(HeaderName, &str)]| verdict(&[&[(RANGE, "bytes=0-1")], pairs].concat());
        let go = |by_range| Verdict::Go { by_range };
        assert_eq!(ranged(&[]), go(true));
        assert_eq!(ranged(&[(IF_RANGE, "\"zQ\"")]), go(true));
        assert_eq!(
            ranged(&[
                (IF_MATCH, "*"),
                (IF_NONE_MATCH, "\"a\""),
                (IF_RANGE, "\"zQ\"")
            ]),
            go(true)
        );
        for other in [
            "\"a\"",
            "W/\"zQ\"",
            "*",
            "zQ",
            "",
            "\"zQ\", \"zQ\"",
            "Wed, 21 Oct 2015 07:28:00 GMT",
        ] {
            assert_eq!(ranged(&[(IF_RANGE, other)]), go(false), "{other}");
        }
        assert_eq!(
            ranged(&[(IF_RANGE, "\"zQ\""), (IF_RANGE, "\"zQ\"")]),
            go(false)
        );
        assert_eq!(
            ranged(&[(IF_NONE_MATCH, "\"zQ\""), (IF_RANGE, "\"a\"")]),
            Verdict::NotModified
        );
    }
}
