//! Where the server is, and how a bucket and a key become a URL.

use std::fmt::Write;

use hyper::Uri;
use url::Url;

use storehouse_objectstore::{Error, Result};

use crate::limits::is_region;
use crate::options::{Addressing, S3Options};

/// The domains of AWS, each of one partition.
const AWS: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// A server and a bucket on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// `http` or `https`.
    scheme: &'static str,
    /// `host` or `host:port`.
    authority: String,
    bucket: String,
    /// The host name names the bucket, not the path.
    virtual_host: bool,
}

impl Endpoint {
    pub(crate) fn new(options: &S3Options) -> Result<Self> {
        let bucket = options.bucket.clone();
        // Wider than S3's own rule, which servers enforce: this is about what a path can carry.
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if bucket.is_empty()
            || bucket.len() > 255
            || !bucket.bytes().all(plain)
            || bucket == "."
            || bucket == ".."
        {
            return Err(Error::config(
                "bucket",
                format!("{bucket:?} is not the name of a bucket"),
            ));
        }
        let (scheme, authority) = origin(&options.endpoint, options.insecure)?;
        let mut endpoint = Self {
            scheme,
            authority,
            bucket,
            virtual_host: false,
        };
        endpoint.virtual_host = match options.addressing {
            Addressing::Path => false,
            Addressing::Auto => endpoint.partition().is_some() && endpoint.has_label(),
            Addressing::Virtual => {
                if !endpoint.has_domain() {
                    return Err(Error::config(
                        "addressing",
                        "is virtual, but the endpoint's host is an IP address",
                    ));
                }
                if !endpoint.bucket_is_domain() {
                    return Err(Error::config(
                        "addressing",
                        "is virtual, but the bucket's name cannot be part of a host name",
                    ));
                }
                true
            }
        };
        Ok(endpoint)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }

    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// For messages.
    pub(crate) fn describe(&self) -> String {
        format!(
            "bucket {:?} at {}://{}",
            self.bucket, self.scheme, self.authority
        )
    }

    /// The URL of the bucket, or of the object under `key` in it, with `query`.
    ///
    /// Every byte of the key is percent-encoded once, except unreserved ones and `/`. A signature
    /// covers the path as it is sent, so the two cannot differ.
    pub(crate) fn uri(&self, key: Option<&str>, query: &[(&str, &str)]) -> String {
        let mut uri = if self.virtual_host {
            let (scheme, bucket, authority) = (self.scheme, &self.bucket, &self.authority);
            format!("{scheme}://{bucket}.{authority}/")
        } else {
            format!("{}://{}/{}", self.scheme, self.authority, self.bucket)
        };
        if let Some(key) = key {
            if !self.virtual_host {
                uri.push('/');
            }
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

    /// The region that AWS's host name says.
    pub(crate) fn region(&self) -> Option<&str> {
        region_of(self.host(), self.partition()?)
    }

    /// The same bucket in another region: on AWS the host name says it, elsewhere only the
    /// signature. `None` if the region belongs to another partition.
    pub(crate) fn in_region(&self, region: &str) -> Option<Self> {
        let Some(partition) = self.partition() else {
            return Some(self.clone());
        };
        if region.starts_with("cn-") != partition.ends_with(".cn") {
            return None;
        }
        let host = self.host();
        if region_of(host, partition).is_none() && host != format!("s3{partition}") {
            // A private endpoint, an accelerated one: it stays.
            return Some(self.clone());
        }
        let first = host.split('.').next().unwrap_or("s3");
        let service = if first.starts_with("s3-fips") {
            "s3-fips"
        } else {
            "s3"
        };
        let dualstack = if host.contains(".dualstack.") {
            "dualstack."
        } else {
            ""
        };
        Some(Self {
            authority: format!("{service}.{dualstack}{region}{partition}"),
            ..self.clone()
        })
    }

    /// The region and URL that a server's redirect leads to, if it may be followed: to the host
    /// that was asked, or within the S3 hosts of one partition of AWS, and never from https to
    /// http.
    pub(crate) fn redirect(&self, from: &Uri, location: &str) -> Option<(String, Option<String>)> {
        let base = Url::parse(&from.to_string()).ok()?;
        let to = base.join(location).ok()?;
        let (from_host, to_host) = (base.host_str()?, to.host_str()?);
        let secure = to.scheme() == base.scheme() || to.scheme() == "https";
        let plain = matches!(to.scheme(), "http" | "https")
            && to.username().is_empty()
            && to.password().is_none();
        let same = from_host == to_host
            && (base.port_or_known_default() == to.port_or_known_default()
                || base.scheme() != to.scheme() && base.port().is_none() && to.port().is_none());
        let partition = self.partition();
        let aws =
            partition.filter(|partition| is_s3_host(to_host, partition) && to.port().is_none());
        if !secure || !plain || !(same || aws.is_some()) {
            return None;
        }
        let region = aws.and_then(|partition| region_of(to_host, partition));
        let text = to.as_str().split('#').next()?.to_owned();
        Some((text, region.map(str::to_owned)))
    }

    fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// The domain of AWS that the host is in, if it is one of S3's there.
    fn partition(&self) -> Option<&'static str> {
        AWS.into_iter()
            .find(|partition| is_s3_host(self.host(), partition))
    }

    fn has_domain(&self) -> bool {
        let host = self.host();
        !host.starts_with('[') && host.parse::<std::net::Ipv4Addr>().is_err()
    }

    /// Whether the bucket's name is one label of a host name, so that AWS's certificates cover it.
    fn has_label(&self) -> bool {
        self.bucket_is_domain() && !self.bucket.contains('.')
    }

    fn bucket_is_domain(&self) -> bool {
        (3..=63).contains(&self.bucket.len())
            && self.bucket.split('.').all(|label| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
    }
}

/// Whether the host is one of S3's in this partition: a label of it is `s3` or starts with `s3-`.
fn is_s3_host(host: &str, partition: &str) -> bool {
    host.strip_suffix(partition).is_some_and(|rest| {
        rest.split('.')
            .any(|label| label == "s3" || label.starts_with("s3-"))
    })
}

/// The region in `s3.REGION.amazonaws.com`, `s3-REGION.amazonaws.com` and their kin.
fn region_of<'a>(host: &'a str, partition: &str) -> Option<&'a str> {
    let labels: Vec<&str> = host.strip_suffix(partition)?.split('.').collect();
    let service = labels
        .iter()
        .rposition(|label| *label == "s3" || label.starts_with("s3-"))?;
    let rest: Vec<&str> = labels[service + 1..]
        .iter()
        .copied()
        .filter(|label| *label != "dualstack")
        .collect();
    let region = match (rest.as_slice(), labels[service].strip_prefix("s3-")) {
        ([region], _) => region,
        ([], Some(region)) if region.contains('-') && !region.starts_with("fips") => region,
        _ => return None,
    };
    is_region(region).then_some(region)
}

/// A path with every byte percent-encoded but unreserved ones and `/`.
pub(crate) fn encoded_path(path: &str) -> String {
    let mut text = String::with_capacity(path.len() * 2);
    encode(&mut text, path, b"/");
    text
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

/// The scheme and `host:port` of an endpoint.
fn origin(endpoint: &str, insecure: Option<bool>) -> Result<(&'static str, String)> {
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
        let scheme = if insecure == Some(true) {
            "http"
        } else {
            "https"
        };
        format!("{scheme}://{endpoint}")
    };
    let Ok(url) = Url::parse(&text) else {
        return wrong("not a URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it may be a secret.
        return wrong("keys do not belong into it");
    }
    let scheme = match url.scheme() {
        "http" => "http",
        "https" => "https",
        _ => return wrong("neither http nor https"),
    };
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return wrong("it has a path, and buckets are named in the path");
    }
    match (scheme, insecure) {
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
        Ok(uri) if uri.host().is_some_and(|host| !host.is_empty()) => {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            Ok((scheme, authority.to_owned()))
        }
        _ => wrong("not a URL"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(endpoint: &str, insecure: Option<bool>) -> S3Options {
        S3Options {
            insecure,
            ..S3Options::new(endpoint, "bucket")
        }
    }

    fn at(endpoint: &str) -> Endpoint {
        Endpoint::new(&options(endpoint, None)).unwrap()
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
                Endpoint::new(&options(endpoint, insecure))
                    .unwrap()
                    .uri(None, &[]),
                format!("{expected}/bucket")
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
        let endpoint = at("http://h:1");
        assert_eq!(
            endpoint.uri(Some("a/did:web:x%3A1 +?&=é"), &[]),
            "http://h:1/bucket/a/did%3Aweb%3Ax%253A1%20%2B%3F%26%3D%C3%A9"
        );
        assert_eq!(
            endpoint.uri(None, &[("prefix", "a/b c"), ("delete", "")]),
            "http://h:1/bucket?prefix=a%2Fb%20c&delete="
        );
    }

    #[test]
    fn the_bucket_is_in_the_path_or_in_the_host() {
        let uri = |endpoint: &str, bucket: &str, addressing| {
            let options = S3Options {
                addressing,
                ..S3Options::new(endpoint, bucket)
            };
            Endpoint::new(&options).map(|endpoint| endpoint.uri(Some("k"), &[]))
        };
        for (endpoint, bucket, addressing, expected) in [
            (
                "http://h:1",
                "bucket",
                Addressing::Auto,
                "http://h:1/bucket/k",
            ),
            (
                "http://h:1",
                "bucket",
                Addressing::Virtual,
                "http://bucket.h:1/k",
            ),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "bucket",
                Addressing::Auto,
                "https://bucket.s3.eu-west-1.amazonaws.com/k",
            ),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "dotted.bucket",
                Addressing::Auto,
                "https://s3.eu-west-1.amazonaws.com/dotted.bucket/k",
            ),
            (
                "https://s3.eu-west-1.amazonaws.com",
                "bucket",
                Addressing::Path,
                "https://s3.eu-west-1.amazonaws.com/bucket/k",
            ),
        ] {
            assert_eq!(uri(endpoint, bucket, addressing).unwrap(), expected);
        }
        for (endpoint, bucket) in [
            ("http://127.0.0.1:1", "bucket"),
            ("http://[::1]:1", "bucket"),
            ("http://h", "Under_score"),
        ] {
            let error = uri(endpoint, bucket, Addressing::Virtual).unwrap_err();
            assert!(error.to_string().contains("addressing"), "{error}");
        }
    }

    #[test]
    fn regions_of_hosts() {
        for (host, region) in [
            ("s3.amazonaws.com", None),
            ("s3.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("s3-us-west-2.amazonaws.com", Some("us-west-2")),
            ("s3.dualstack.us-east-2.amazonaws.com", Some("us-east-2")),
            ("s3-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("s3.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("s3.eu-west-1.example.com", None),
            ("h", None),
        ] {
            assert_eq!(at(&format!("https://{host}")).region(), region, "{host}");
        }
        let moved = |host: &str, region: &str| {
            let moved = at(&format!("https://{host}")).in_region(region)?;
            Some(moved.authority)
        };
        for (host, region, expected) in [
            (
                "s3.amazonaws.com",
                "eu-west-1",
                Some("s3.eu-west-1.amazonaws.com"),
            ),
            (
                "s3.dualstack.us-east-1.amazonaws.com",
                "eu-west-1",
                Some("s3.dualstack.eu-west-1.amazonaws.com"),
            ),
            ("s3.us-east-1.amazonaws.com", "cn-north-1", None),
            ("minio:9000", "eu-west-1", Some("minio:9000")),
        ] {
            assert_eq!(moved(host, region).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn redirects_stay_where_the_keys_are_trusted() {
        let follows = |from: &str, to: &str| {
            let uri = format!("{from}/bucket/k").parse().unwrap();
            at(from).redirect(&uri, to).map(|(url, _)| url)
        };
        let minio = "http://127.0.0.1:9000";
        let aws = "https://s3.amazonaws.com";
        for (from, to, expected) in [
            (minio, "/other?x=1", Some("http://127.0.0.1:9000/other?x=1")),
            (
                minio,
                "http://127.0.0.1:9000/b",
                Some("http://127.0.0.1:9000/b"),
            ),
            ("http://host", "https://host/b", Some("https://host/b")),
            (
                aws,
                "https://bucket.s3-us-west-2.amazonaws.com/k?rk=1",
                Some("https://bucket.s3-us-west-2.amazonaws.com/k?rk=1"),
            ),
            (minio, "http://127.0.0.1:9001/b", None),
            (minio, "http://evil.example/b", None),
            (minio, "https://s3.amazonaws.com/b", None),
            (minio, "http://u:p@127.0.0.1:9000/b", None),
            (minio, "ftp://127.0.0.1:9000/b", None),
            (aws, "http://s3.amazonaws.com/b", None),
            (aws, "https://s3.amazonaws.com.evil.example/b", None),
            (aws, "https://evil-s3.amazonaws.com/b", None),
            (aws, "https://ec2.amazonaws.com/b", None),
            (aws, "https://s3.amazonaws.com:8443/b", None),
            (aws, "https://s3.cn-north-1.amazonaws.com.cn/b", None),
            (aws, "", Some("https://s3.amazonaws.com/bucket/k")),
        ] {
            assert_eq!(follows(from, to).as_deref(), expected, "{from} to {to}");
        }
    }
}
