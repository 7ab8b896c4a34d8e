//! Writes from pages of other sites.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri};

use super::host::has_sound_port;

/// Why a request is a write that a page of another site may have made; `None` if it is none.
/// Browsers name the page's origin in every write. They send some `POST`s without asking first:
/// those with a content type of forms, or with none.
pub(super) fn foreign_write(
    method: &Method,
    headers: &HeaderMap,
    host: &Authority,
    allowed: &[String],
) -> Option<&'static str> {
    if method.is_safe() {
        return None;
    }
    let mut origins = headers.get_all(ORIGIN).iter().peekable();
    let mut is_allowed = origins.peek().is_some();
    for origin in origins {
        let origin = origin.to_str().unwrap_or_default();
        let listed = allowed.iter().any(|allowed| allowed == origin);
        is_allowed &= listed;
        if !listed && !is_same(origin, host) {
            return Some("Origin is another site");
        }
    }
    if is_allowed {
        return None;
    }
    for site in headers.get_all("sec-fetch-site") {
        if !["same-origin", "none"].contains(&site.to_str().unwrap_or_default()) {
            return Some("Sec-Fetch-Site is another site");
        }
    }
    (method == Method::POST && has_body(headers) && !headers.contains_key(CONTENT_TYPE))
        .then_some("a POST needs a Content-Type")
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING)
        || headers
            .get(CONTENT_LENGTH)
            .is_some_and(|length| length != "0")
}

/// Whether the origin is this host's, whatever its scheme: what speaks https before a node does not
/// tell.
fn is_same(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let default = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    origin.authority().is_some_and(|authority| {
        has_sound_port(authority)
            && authority.host().eq_ignore_ascii_case(host.host())
            && port(authority) == port(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_of_pages() {
        let json = ("content-type", "application/json");
        for (method, headers, refused) in [
            ("GET", &[("origin", "http://evil.example")][..], false),
            ("HEAD", &[("sec-fetch-site", "cross-site")], false),
            ("OPTIONS", &[("origin", "http://evil.example")], false),
            ("PUT", &[], false), // curl -T
            ("DELETE", &[], false),
            ("POST", &[json, ("content-length", "5")], false),
            ("POST", &[("content-length", "5")], true),
            ("POST", &[("transfer-encoding", "chunked")], true),
            ("POST", &[("content-length", "0")], false),
            ("POST", &[], false),
            ("PUT", &[("origin", "http://evil.example")], true),
            ("DELETE", &[("origin", "http://evil.example")], true),
            ("BREW", &[("origin", "http://evil.example")], true),
            ("PUT", &[("origin", "null")], true),
            ("PUT", &[("origin", "")], true),
            ("PUT", &[("origin", "file://")], true),
            ("PUT", &[("origin", "http://node.example:7450")], false),
            ("PUT", &[("origin", "https://node.example:7450")], false),
            ("PUT", &[("origin", "http://NODE.example:7450")], false),
            ("PUT", &[("origin", "http://node.example")], true),
            ("PUT", &[("origin", "http://node.example:7451")], true),
            (
                "PUT",
                &[("origin", "http://node.example:7450.evil.example")],
                true,
            ),
            (
                "PUT",
                &[
                    ("origin", "http://node.example:7450"),
                    ("origin", "http://evil.example"),
                ],
                true,
            ),
            ("PUT", &[("sec-fetch-site", "cross-site")], true),
            ("PUT", &[("sec-fetch-site", "same-site")], true),
            ("PUT", &[("sec-fetch-site", "what-comes-next")], true),
            ("PUT", &[("sec-fetch-site", "same-origin")], false),
            ("PUT", &[("sec-fetch-site", "none")], false),
            (
                "PUT",
                &[
                    ("origin", "http://node.example:7450"),
                    ("sec-fetch-site", "cross-site"),
                ],
                true,
            ),
            ("PUT", &[("origin", "https://app.example")], false),
            (
                "PUT",
                &[
                    ("origin", "https://app.example"),
                    ("sec-fetch-site", "cross-site"),
                ],
                false,
            ),
            (
                "PUT",
                &[
                    ("origin", "https://app.example"),
                    ("origin", "http://evil.example"),
                ],
                true,
            ),
            (
                "PUT",
                &[("origin", "https://app.example.evil.example")],
                true,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            let host = Authority::from_static("node.example:7450");
            let allowed = ["https://app.example".to_owned()];
            let method: Method = method.parse().unwrap();
            let found = foreign_write(&method, &map, &host, &allowed);
            assert_eq!(found.is_some(), refused, "{method} {headers:?}: {found:?}");
        }
        for (origin, host) in [("http://a:99999", "a:80"), ("http://a:b", "a")] {
            assert!(!is_same(origin, &host.parse().unwrap()), "{origin} {host}");
        }
        // A port that is the scheme's may be said or not.
        for (origin, host) in [
            ("http://a", "a:80"),
            ("https://a", "a:443"),
            ("http://a:80", "a"),
        ] {
            assert!(is_same(origin, &host.parse().unwrap()), "{origin} {host}");
        }
    }
}
