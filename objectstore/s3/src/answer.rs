//! Reading the headers of an answer: which are required, and what it means if one is missing.
//!
//! | header | if it is missing or has another form |
//! |---|---|
//! | `Content-Length` of a 200 | the size is unknown; it is asked for in another way |
//! | `Content-Range` of a 206 | required; a total of `*` means that the size is unknown |
//! | `ETag` | the empty tag, which satisfies no condition |
//! | `Last-Modified` | unknown; all three date formats of RFC 9110, section 5.6.7, are read |
//! | `Content-Encoding` | `identity` and `aws-chunked` mean none; any other is an error |

use std::ops::Range;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED,
    RETRY_AFTER,
};

use storehouse_objectstore::{Attributes, ETag};

use crate::attributes::{attributes, own_encoding, text};

/// What the headers say about an object.
#[derive(Debug)]
pub(crate) struct Description {
    /// The size of the whole object.
    pub(crate) size: Option<u64>,
    /// The bytes that the body gives; `None` for the whole object.
    pub(crate) range: Option<Range<u64>>,
    /// Empty if the server gave none.
    pub(crate) etag: ETag,
    pub(crate) last_modified: Option<SystemTime>,
    pub(crate) attributes: Attributes,
}

/// Reads the headers of a successful GET or HEAD.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn describe(status: StatusCode, headers: &HeaderMap) -> Result<Description, String> {
    refuse_coding(headers, own_encoding(headers).as_deref())?;
    let (size, range) = if status == StatusCode::PARTIAL_CONTENT {
        let Some(value) = text(headers, &CONTENT_RANGE) else {
            return Err("gave a part of an object without Content-Range".into());
        };
        let Some((range, size)) = content_range(value) else {
            return Err("gave a part of an object with a wrong Content-Range".into());
        };
        (size, Some(range))
    } else {
        (text(headers, &CONTENT_LENGTH).and_then(decimal), None)
    };
    Ok(Description {
        size,
        range,
        etag: etag_of(headers),
        last_modified: text(headers, &LAST_MODIFIED).and_then(http_date),
        attributes: attributes(headers),
    })
}

/// Checks that the body is not in a coding that was not asked for, but for `own`, which it was put
/// with.
///
/// Some servers store `aws-chunked`, which is how a body was uploaded, and give it back.
///
/// # Errors
/// The coding's name in a sentence.
pub(crate) fn refuse_coding(headers: &HeaderMap, own: Option<&str>) -> Result<(), String> {
    let own: Vec<_> = own.iter().flat_map(|own| own.split(',')).collect();
    for value in headers.get_all(CONTENT_ENCODING) {
        let codings = value.to_str().unwrap_or("?").split(',').map(str::trim);
        for coding in codings.filter(|coding| !coding.is_empty()) {
            let plain = ["identity", "aws-chunked"];
            let known = plain.iter().chain(&own);
            if !known
                .map(|known| known.trim())
                .any(|known| coding.eq_ignore_ascii_case(known))
            {
                let coding: String = coding.chars().take(32).collect();
                return Err(format!(
                    "gave a body with Content-Encoding {coding:?}, which was not asked for"
                ));
            }
        }
    }
    Ok(())
}

/// The answer's tag; the empty one if it has none.
pub(crate) fn etag_of(headers: &HeaderMap) -> ETag {
    text(headers, &ETAG).map_or_else(|| ETag::new(""), etag)
}

/// A server's tag, with quotes even if the server gave none. An empty text stays the empty tag.
pub(crate) fn etag(text: &str) -> ETag {
    let text = text.trim();
    if text.is_empty() || text.ends_with('"') {
        ETag::new(text)
    } else {
        ETag::new(format!("\"{text}\""))
    }
}

/// Whether the tag identifies the exact bytes: `If-Match` compares strongly.
pub(crate) fn is_strong(etag: &ETag) -> bool {
    !etag.as_str().is_empty() && !etag.as_str().starts_with("W/")
}

/// A tag as the value of a condition; `None` if no object can have it. It must not reach a server
/// as a pattern.
pub(crate) fn condition(etag: &ETag) -> Option<HeaderValue> {
    let text = etag.as_str();
    let bare = text.strip_prefix("W/").unwrap_or(text);
    let inner = bare
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(bare);
    let plain = !inner.is_empty()
        && inner != "*"
        && inner
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b',');
    let quoted = if bare.starts_with('"') {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    };
    plain.then(|| HeaderValue::from_str(&quoted).ok()).flatten()
}

/// `bytes FIRST-LAST/SIZE`, where `SIZE` may be `*`.
fn content_range(value: &str) -> Option<(Range<u64>, Option<u64>)> {
    let (unit, rest) = value.trim().split_once(' ')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let range = decimal(first)?..decimal(last)?.checked_add(1)?;
    let size = match size.trim() {
        "*" => None,
        size => Some(decimal(size)?),
    };
    let fits = range.start < range.end && size.is_none_or(|size| range.end <= size);
    fits.then_some((range, size))
}

/// The size in `bytes */SIZE`, which a refused range comes with.
pub(crate) fn unsatisfied_size(value: &str) -> Option<u64> {
    decimal(value.trim().strip_prefix("bytes */")?)
}

/// A decimal number without a sign.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A date in one of HTTP's three formats.
pub(crate) fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// How long the server asks to wait: `Retry-After` in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = text(headers, &RETRY_AFTER)?;
    decimal(value)
        .map(Duration::from_secs)
        .or_else(|| Some(http_date(value)?.duration_since(now).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderName;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_str(value).unwrap(),
                )
            })
            .collect()
    }

    #[test]
    fn legal_content_ranges() {
        for (text, expected) in [
            ("bytes 0-4/10", Some((0..5, Some(10)))),
            ("Bytes 0-4/*", Some((0..5, None))),
            ("bytes  9-9/10", Some((9..10, Some(10)))),
            ("bytes 5-4/10", None),
            ("bytes 0-10/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("bytes +0-4/10", None),
            ("bytes */10", None),
            ("lines 0-4/10", None),
            ("bytes 0-4", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), expected, "{text:?}");
        }
    }

    #[test]
    fn codings() {
        for fine in ["", "identity", "aws-chunked", "aws-chunked, identity"] {
            refuse_coding(&headers(&[("content-encoding", fine)]), None).unwrap();
        }
        for wrong in ["gzip", "aws-chunked,br", "identity, zstd"] {
            let headers = headers(&[("content-encoding", wrong)]);
            refuse_coding(&headers, None).unwrap_err();
            refuse_coding(&headers, Some("gzip, br, zstd")).unwrap();
        }
    }

    #[test]
    fn tags() {
        for (text, expected) in [
            ("\"a\"", "\"a\""),
            ("a", "\"a\""),
            ("W/\"a\"", "W/\"a\""),
            ("", ""),
        ] {
            assert_eq!(etag(text).as_str(), expected);
        }
        assert!(condition(&ETag::new("")).is_none());
    }

    #[test]
    fn dates_in_every_format() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            let secs = http_date(text)
                .and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok())
                .map(|since| since.as_secs());
            assert_eq!(secs, Some(784_111_777), "{text}");
        }
        let soon = headers(&[("retry-after", "7")]);
        assert_eq!(
            retry_after(&soon, SystemTime::now()),
            Some(Duration::from_secs(7))
        );
    }
}
