//! Where the server is, and how a bucket and a key become a URL.

use std::fmt::Write;

use hyper::Uri;
use url::Url;

use storehouse_objectstore::{Error, Result};

use super::options::S3Options;

/// A server and a bucket on it.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    /// `http://host:port` or `https://host:port`, without a path or a slash at its end.
    origin: String,
    bucket: String,
}

impl Endpoint {
    pub(super) fn new(options: &S3Options) -> Result<Self> {
        let bucket = options.bucket.clone();
        // Wider than S3's own rule, which servers enforce: this is about what a path can carry.
        if bucket.is_empty()
            || bucket.len() > 255
            || !bucket
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        {
            return Err(Error::config(
                "bucket",
                format!("{bucket:?} is not the name of a bucket"),
            ));
        }
        if bucket == "." || bucket == ".." {
            return Err(Error::config(
                "bucket",
                format!("{bucket:?} is not the name of a bucket"),
            ));
        }
        Ok(Self {
            origin: origin(&options.endpoint, options.insecure)?,
            bucket,
        })
    }

    pub(super) fn is_https(&self) -> bool {
        self.origin.starts_with("https:")
    }

    /// For messages.
    pub(super) fn describe(&self) -> String {
        format!("bucket {:?} at {}", self.bucket, self.origin)
    }

    /// The URL of the bucket, or of the object under `key` in it, with `query`.
    ///
    /// Every byte of the key is percent-encoded once, except unreserved ones and `/`. A signature
    /// covers the path as it is sent, so the two cannot differ.
    pub(super) fn uri(&self, key: Option<&str>, query: &[(&str, &str)]) -> String {
        let mut uri = format!("{}/{}", self.origin, self.bucket);
        if let Some(key) = key {
            uri.push('/');
            encode(&mut uri, key, b"/");
        }
        for (i, (name, value)) in query.iter().enumerate() {
            uri.push(if i == 0 { '?' } else { '&' });
            encode(&mut uri, name, b"");
            uri.push('=');
            encode(&mut uri, value, b"");
        }
        uri
    }
}

fn encode(to: &mut String, text: &str, plain: &[u8]) {
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || plain.contains(&byte) {
            to.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(to, "%{byte:02X}");
        }
    }
}

fn origin(endpoint: &str, insecure: Option<bool>) -> Result<String> {
    let wrong = |reason: &str| {
        Err(Error::config(
            "endpoint",
            format!("{reason} (host:port or a URL is expected)"),
        ))
    };
    if endpoint.is_empty() {
        return wrong("not set");
    }
    let text = if endpoint.contains("://") {
        endpoint.to_owned()
    } else {
        format!(
            "{}://{endpoint}",
            if insecure == Some(true) {
                "http"
            } else {
                "https"
            }
        )
    };
    let Ok(url) = Url::parse(&text) else {
        return wrong("not a URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it may be a secret.
        return wrong("keys do not belong into it");
    }
    if !matches!(url.scheme(), "http" | "https") {
        return wrong("neither http nor https");
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("it has a path, and buckets are named in the path");
    }
    match (url.scheme(), insecure) {
        ("https", Some(true)) => {
            return Err(Error::config(
                "insecure",
                "is true, but the endpoint is an https URL",
            ));
        }
        ("http", Some(false)) => {
            return Err(Error::config(
                "insecure",
                "is false, but the endpoint is an http URL",
            ));
        }
        _ => {}
    }
    let origin = url.as_str().trim_end_matches('/').to_owned();
    // Two parsers of URLs are in play, one for signing and one for sending: both must accept it.
    match origin.parse::<Uri>() {
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => Ok(origin),
        _ => wrong("not a URL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(endpoint: &str, insecure: Option<bool>) -> S3Options {
        S3Options {
            endpoint: endpoint.into(),
            insecure,
            bucket: "b".into(),
            ..S3Options::default()
        }
    }

    #[test]
    fn an_endpoint_in_every_form() {
        for (endpoint, insecure, expected) in [
            ("s3.example.com", None, "https://s3.example.com"),
            ("127.0.0.1:9000", Some(true), "http://127.0.0.1:9000"),
            ("127.0.0.1:9000", Some(false), "https://127.0.0.1:9000"),
            ("http://127.0.0.1:9000", None, "http://127.0.0.1:9000"),
            (
                "http://127.0.0.1:9000/",
                Some(true),
                "http://127.0.0.1:9000",
            ),
            (
                "https://s3.example.com:443",
                Some(false),
                "https://s3.example.com",
            ),
            ("http://[::1]:9000", None, "http://[::1]:9000"),
        ] {
            assert_eq!(
                Endpoint::new(&options(endpoint, insecure)).unwrap().origin,
                expected
            );
        }
    }

    #[test]
    fn a_wrong_endpoint_names_the_setting() {
        for (endpoint, insecure, setting) in [
            ("", None, "endpoint"),
            ("http://", None, "endpoint"),
            ("ftp://a", None, "endpoint"),
            ("http://a b", None, "endpoint"),
            ("http://1.2.3.4.5", None, "endpoint"),
            ("http://user:mArKoFaSeCrEt@host", None, "endpoint"),
            ("http://host/bucket", None, "endpoint"),
            ("host:port", Some(true), "endpoint"),
            ("\0", None, "endpoint"),
            ("http://host", Some(false), "insecure"),
            ("https://host", Some(true), "insecure"),
        ] {
            let error = Endpoint::new(&options(endpoint, insecure)).unwrap_err();
            assert!(
                matches!(error, Error::Config { setting: s, .. } if s == setting),
                "{endpoint:?}: {error}"
            );
            assert!(!error.to_string().contains("mArKoFaSeCrEt"), "{error}");
        }
    }

    #[test]
    fn keys_are_encoded_once() {
        let endpoint = Endpoint::new(&options("h:1", Some(true))).unwrap();
        assert_eq!(
            endpoint.uri(Some("a/did:web:x%3A1 +?&=é"), &[]),
            "http://h:1/b/a/did%3Aweb%3Ax%253A1%20%2B%3F%26%3D%C3%A9"
        );
        assert_eq!(
            endpoint.uri(None, &[("prefix", "a/b c"), ("delete", "")]),
            "http://h:1/b?prefix=a%2Fb%20c&delete="
        );
    }
}
