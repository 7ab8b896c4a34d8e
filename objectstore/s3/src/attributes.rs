//! Attributes as headers.
//!
//! | attribute | header |
//! |---|---|
//! | content type, encoding, language, disposition, cache control | the header of that name |
//! | a name of the user's own | `x-amz-meta-` and the name |
//! | what these cannot say | `x-amz-meta-storehouse-attributes` |
//!
//! The last one is a list, split by `;`, of: `expires=` and milliseconds since 1970;
//! `encoding=` and the content encoding, so that one which a server adds is told from it; `type`,
//! if the content type is the one that a put without any has; `list=` and a name of the user's own
//! whose header has values that are percent-encoded and split by `,`.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;

use storehouse_objectstore::{Attributes, HttpField};

/// The most that attributes of one object take, in bytes: S3 has 2 KiB for what is not its own, and
/// some of that goes for the encoding.
pub(crate) const MAX_ATTRIBUTES: u64 = 1536;

const PREFIX: &str = "x-amz-meta-";
const OURS: HeaderName = HeaderName::from_static("x-amz-meta-storehouse-attributes");

/// The content types of objects that were put without one, by this crate and by servers.
const UNTYPED: [&str; 2] = ["application/octet-stream", "binary/octet-stream"];

type Headers = Vec<(HeaderName, HeaderValue)>;

/// The headers of a put.
pub(crate) fn headers(attributes: &Attributes) -> Headers {
    let mut headers = Headers::new();
    let mut add = |name: HeaderName, value: &str| {
        // Attributes are printable ASCII.
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.push((name, value));
        }
    };
    let mut ours = Vec::new();
    for field in HttpField::ALL {
        if let Some(value) = attributes.http(field) {
            add(HeaderName::from_static(field.name()), value);
        }
    }
    match attributes.content_type() {
        None => add(CONTENT_TYPE, UNTYPED[0]),
        Some(kind) if UNTYPED.contains(&kind) => ours.push("type".to_owned()),
        Some(_) => {}
    }
    if let Some(coding) = attributes.http(HttpField::ContentEncoding) {
        ours.push(format!("encoding={}", encoded(coding)));
    }
    if let Some(expires) = attributes.expires() {
        let since = expires.duration_since(SystemTime::UNIX_EPOCH);
        ours.push(format!("expires={}", since.unwrap_or_default().as_millis()));
    }
    for (name, values) in attributes.all_user() {
        let Ok(header) = HeaderName::from_bytes(format!("{PREFIX}{name}").as_bytes()) else {
            continue;
        };
        match values {
            // Signatures see runs of spaces as one.
            [value] if !value.contains("  ") => add(header, value),
            values => {
                let values: Vec<String> = values.iter().map(|value| encoded(value)).collect();
                add(header, &values.join(","));
                ours.push(format!("list={name}"));
            }
        }
    }
    if !ours.is_empty() {
        add(OURS, &ours.join(";"));
    }
    headers
}

/// The attributes that an object's headers say. What others wrote and no attribute can hold is left
/// out.
pub(crate) fn attributes(headers: &HeaderMap) -> Attributes {
    let mut attributes = Attributes::default();
    let ours = Ours::parse(text(headers, &OURS).unwrap_or_default());
    for field in HttpField::ALL {
        let value = match field {
            HttpField::ContentEncoding => ours.encoding.as_deref(),
            HttpField::ContentType => text(headers, &CONTENT_TYPE)
                .filter(|kind| ours.typed || !UNTYPED.contains(&kind.trim())),
            field => text(headers, &HeaderName::from_static(field.name())),
        };
        if let Some(value) = value {
            attributes = keep(attributes, |all| all.with_http(field, value.trim()));
        }
    }
    for (header, value) in headers {
        let (Some(name), Ok(value)) = (header.as_str().strip_prefix(PREFIX), value.to_str()) else {
            continue;
        };
        if *header == OURS {
            continue;
        }
        let values = if ours.lists.iter().any(|list| list == name) {
            value.split(',').map(decoded).collect()
        } else {
            vec![value.trim().to_owned()]
        };
        attributes = keep(attributes, |all| all.with_user(name, values));
    }
    match ours.expires {
        Some(expires) => attributes.with_expires(expires),
        None => attributes,
    }
}

/// The content encoding that was put with the object: its bytes are as they were put.
pub(crate) fn own_encoding(headers: &HeaderMap) -> Option<String> {
    Ours::parse(text(headers, &OURS)?).encoding
}

/// The value of a header, if it is there and is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn keep(
    attributes: Attributes,
    add: impl FnOnce(Attributes) -> storehouse_objectstore::Result<Attributes>,
) -> Attributes {
    add(attributes.clone()).unwrap_or(attributes)
}

/// What [`OURS`] says.
#[derive(Default)]
struct Ours {
    expires: Option<SystemTime>,
    encoding: Option<String>,
    typed: bool,
    lists: Vec<String>,
}

impl Ours {
    fn parse(text: &str) -> Self {
        let mut ours = Self::default();
        for item in text.split(';') {
            match item.split_once('=') {
                Some(("expires", millis)) => {
                    let millis = millis.parse().ok().map(Duration::from_millis);
                    ours.expires = millis.and_then(|by| SystemTime::UNIX_EPOCH.checked_add(by));
                }
                Some(("encoding", coding)) => ours.encoding = Some(decoded(coding)),
                Some(("list", name)) => ours.lists.push(name.to_owned()),
                _ => ours.typed |= item == "type",
            }
        }
        ours
    }
}

/// With `%`, `,`, `;` and spaces percent-encoded.
fn encoded(value: &str) -> String {
    value
        .chars()
        .fold(String::with_capacity(value.len()), |mut text, c| {
            if "%,; ".contains(c) {
                // Writing to a string cannot fail.
                let _ = write!(text, "%{:02X}", u32::from(c));
            } else {
                text.push(c);
            }
            text
        })
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(attributes: &Attributes) -> Attributes {
        let headers: HeaderMap = headers(attributes).into_iter().collect();
        super::attributes(&headers)
    }

    #[test]
    fn all_come_back() {
        let expires = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let all = Attributes::default()
            .with_content_type(UNTYPED[1])
            .and_then(|all| all.with_http(HttpField::ContentEncoding, "gzip, br;x"))
            .and_then(|all| all.with_http(HttpField::CacheControl, "no-store, private"))
            .and_then(|all| all.with_user("a", ["1,2", "%; ", "3"].map(str::trim)))
            .and_then(|all| all.with_user("b", ["x, y; z=1"]))
            .and_then(|all| all.with_user("c", ["two  spaces"]))
            .unwrap()
            .with_expires(expires);
        assert_eq!(there_and_back(&all), all);
        assert_eq!(
            there_and_back(&Attributes::default()),
            Attributes::default()
        );
    }

    #[test]
    fn what_others_wrote_is_read_as_far_as_it_can_be() {
        let headers: HeaderMap = [
            ("content-type", "text/plain"),
            ("content-encoding", "gzip"),
            ("x-amz-meta-a", "1, 2"),
            ("x-amz-meta-storehouse-x", "3"),
            (
                "x-amz-meta-storehouse-attributes",
                ";expires=x;list;=;type=1",
            ),
        ]
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
        let expected = Attributes::default()
            .with_content_type("text/plain")
            .and_then(|all| all.with_user("a", ["1, 2"]))
            .unwrap();
        assert_eq!(attributes(&headers), expected);
        assert_eq!(own_encoding(&headers), None);
    }
}
