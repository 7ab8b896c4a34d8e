//! Signature version 4 of AWS, for requests and for the chunks of a streamed body.
//!
//! Source: the S3 API reference, "Authenticating Requests: Using the Authorization Header" and
//! "Transferring Payload in Multiple Chunks". The tests replay the examples given there. Every
//! header of a request is signed but those that the transport may change.

use std::fmt::Write;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use hyper::header::{AUTHORIZATION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Uri};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use secrecy::ExposeSecret;

use crate::checksum;
use crate::credentials::Keys;

const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const DECODED_LENGTH: HeaderName = HeaderName::from_static("x-amz-decoded-content-length");
const TRAILER: HeaderName = HeaderName::from_static("x-amz-trailer");

/// The size of a chunk of a streamed body, in bytes. S3 wants 8 KiB at least.
pub(crate) const CHUNK: usize = 256 * 1024;

/// What stands for the body in a request's signature.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload {
    /// The body's SHA-256: the server checks it.
    Sha256([u8; 32]),
    /// A body of `len` bytes, in chunks of [`CHUNK`] bytes that are each signed.
    Chunked {
        /// The bytes of the body itself.
        len: u64,
        /// Its CRC32C follows it, signed as well.
        trailer: bool,
    },
}

/// The SHA-256 of `bytes`.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
    sum
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Signs the request and adds the headers that carry the signature. `None` if the keys cannot be a
/// header's value.
pub(crate) fn sign(
    keys: &Keys,
    region: &str,
    now: DateTime<Utc>,
    method: &Method,
    uri: &Uri,
    headers: &mut HeaderMap,
    payload: Payload,
) -> Option<ChunkSigner> {
    let date = now.format("%Y%m%dT%H%M%SZ").to_string();
    let scope = format!("{}/{region}/s3/aws4_request", now.format("%Y%m%d"));
    let payload_text = match payload {
        Payload::Sha256(sum) => hex(&sum),
        Payload::Chunked { len, trailer } => {
            headers.insert(DECODED_LENGTH, len.into());
            if trailer {
                headers.insert(TRAILER, HeaderValue::from_static(checksum::CRC32C));
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER".to_owned()
            } else {
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD".to_owned()
            }
        }
    };
    headers.insert(DATE, HeaderValue::from_str(&date).ok()?);
    headers.insert(CONTENT_SHA256, HeaderValue::from_str(&payload_text).ok()?);
    if let Some(token) = &keys.token {
        let mut token = HeaderValue::from_str(token.expose_secret()).ok()?;
        token.set_sensitive(true);
        headers.insert(TOKEN, token);
    }

    let unsigned = [AUTHORIZATION, CONTENT_LENGTH, EXPECT];
    let (names, lines) = canonical_headers(uri, headers, &unsigned)?;
    let request = format!(
        "{method}\n{}\n{}\n{lines}\n{names}\n{payload_text}",
        uri.path(),
        canonical_query(uri)
    );
    let signer = Signer {
        key: signing_key(keys, region, &date[..8]),
        date,
        scope,
    };
    let signature = signer.sign("AWS4-HMAC-SHA256", &hex(&sha256(request.as_bytes())));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{},SignedHeaders={names},Signature={signature}",
        keys.id, signer.scope
    );
    let mut authorization = HeaderValue::from_str(&authorization).ok()?;
    authorization.set_sensitive(true);
    headers.insert(AUTHORIZATION, authorization);
    Some(ChunkSigner {
        signer,
        last: signature,
    })
}

/// The query parameters of a presigned URL, without the signature.
pub(crate) fn presign_query(
    keys: &Keys,
    region: &str,
    now: DateTime<Utc>,
    expires: Duration,
    headers: &HeaderMap,
) -> Vec<(&'static str, String)> {
    let day = now.format("%Y%m%d");
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.push("host");
    names.sort_unstable();
    let mut query = vec![
        ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
        (
            "X-Amz-Credential",
            format!("{}/{day}/{region}/s3/aws4_request", keys.id),
        ),
        ("X-Amz-Date", now.format("%Y%m%dT%H%M%SZ").to_string()),
        ("X-Amz-Expires", expires.as_secs().to_string()),
        ("X-Amz-SignedHeaders", names.join(";")),
    ];
    if let Some(token) = &keys.token {
        query.push(("X-Amz-Security-Token", token.expose_secret().to_owned()));
    }
    query
}

/// The signature of a presigned URL, which has the parameters of [`presign_query`]. The body is not
/// signed. Source: the S3 API reference, "Authenticating Requests: Using Query Parameters".
pub(crate) fn presign(
    keys: &Keys,
    region: &str,
    now: DateTime<Utc>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
) -> Option<String> {
    let (names, lines) = canonical_headers(uri, headers, &[])?;
    let request = format!(
        "{method}\n{}\n{}\n{lines}\n{names}\nUNSIGNED-PAYLOAD",
        uri.path(),
        canonical_query(uri)
    );
    let date = now.format("%Y%m%dT%H%M%SZ").to_string();
    let signer = Signer {
        key: signing_key(keys, region, &date[..8]),
        scope: format!("{}/{region}/s3/aws4_request", now.format("%Y%m%d")),
        date,
    };
    Some(signer.sign("AWS4-HMAC-SHA256", &hex(&sha256(request.as_bytes()))))
}

/// The names signed and the lines that say them. The host is signed as the client will send it.
fn canonical_headers(
    uri: &Uri,
    headers: &HeaderMap,
    unsigned: &[HeaderName],
) -> Option<(String, String)> {
    let mut lines = vec![("host", host(uri)?)];
    for (name, value) in headers {
        if !unsigned.contains(name) {
            lines.push((name.as_str(), value.to_str().ok()?.trim().to_owned()));
        }
    }
    lines.sort_unstable();
    let names: Vec<_> = lines.iter().map(|(name, _)| *name).collect();
    Some((
        names.join(";"),
        lines
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect(),
    ))
}

fn host(uri: &Uri) -> Option<String> {
    let host = uri.host()?;
    let default = if uri.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    Some(match uri.port_u16() {
        Some(port) if port != default => format!("{host}:{port}"),
        _ => host.to_owned(),
    })
}

/// The query's parameters in order. They are encoded canonically when the URL is made.
fn canonical_query(uri: &Uri) -> String {
    let mut pairs: Vec<_> = uri
        .query()
        .unwrap_or("")
        .split('&')
        .filter(|pair| !pair.is_empty())
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

fn signing_key(keys: &Keys, region: &str, day: &str) -> hmac::Key {
    let first = hmac::Key::new(
        HMAC_SHA256,
        format!("AWS4{}", keys.secret.expose_secret()).as_bytes(),
    );
    [day, region, "s3", "aws4_request"]
        .iter()
        .fold(first, |key, text| {
            hmac::Key::new(HMAC_SHA256, hmac::sign(&key, text.as_bytes()).as_ref())
        })
}

struct Signer {
    key: hmac::Key,
    date: String,
    scope: String,
}

impl Signer {
    fn sign(&self, algorithm: &str, text: &str) -> String {
        let text = format!("{algorithm}\n{}\n{}\n{text}", self.date, self.scope);
        hex(hmac::sign(&self.key, text.as_bytes()).as_ref())
    }
}

/// Signs the chunks of one body, each in a chain with those before it, so that none can be left
/// out, not even the last.
pub(crate) struct ChunkSigner {
    signer: Signer,
    last: String,
}

impl ChunkSigner {
    /// What stands before a chunk on the wire; the chunk itself and a line end follow. An empty
    /// chunk ends the body.
    pub(crate) fn header(&mut self, chunk: &[u8]) -> Bytes {
        let text = format!(
            "{}\n{}\n{}",
            self.last,
            hex(&sha256(b"")),
            hex(&sha256(chunk))
        );
        self.last = self.signer.sign("AWS4-HMAC-SHA256-PAYLOAD", &text);
        format!("{:x};chunk-signature={}\r\n", chunk.len(), self.last).into()
    }

    /// What follows the header of the empty chunk, if the body has a trailer: its CRC32C and the
    /// signature of that.
    pub(crate) fn trailer(self, crc32c: &str) -> Bytes {
        let name = checksum::CRC32C;
        let text = format!(
            "{}\n{}",
            self.last,
            hex(&sha256(format!("{name}:{crc32c}\n").as_bytes()))
        );
        let signature = self.signer.sign("AWS4-HMAC-SHA256-TRAILER", &text);
        format!("{name}:{crc32c}\r\nx-amz-trailer-signature:{signature}\r\n\r\n").into()
    }
}

/// How many bytes a body of `len` bytes has on the wire, in chunks of [`CHUNK`] bytes and with or
/// without a trailer; `None` if that is more than 2^64 - 1.
pub(crate) fn chunked_len(len: u64, trailer: bool) -> Option<u64> {
    let chunk = CHUNK as u64;
    let framed = |len: u64| {
        format!("{len:x}").len() as u64 + ";chunk-signature=".len() as u64 + 64 + 4 + len
    };
    let mut wire = (len / chunk).checked_mul(framed(chunk))?;
    if !len.is_multiple_of(chunk) {
        wire = wire.checked_add(framed(len % chunk))?;
    }
    let trailer_len = if trailer {
        let lines = checksum::CRC32C.len() + "x-amz-trailer-signature".len();
        lines as u64 + 8 + 64 + 2 * ":\r\n".len() as u64
    } else {
        0
    };
    wire.checked_add(framed(0) + trailer_len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::{Credentials, keys};

    fn credential() -> Keys {
        let pair = Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        );
        keys(&pair, ["", ""]).unwrap().unwrap()
    }

    fn now() -> DateTime<Utc> {
        "2013-05-24T00:00:00Z".parse().unwrap()
    }

    fn signature(headers: &HeaderMap) -> &str {
        headers[AUTHORIZATION]
            .to_str()
            .unwrap()
            .rsplit_once('=')
            .unwrap()
            .1
    }

    #[test]
    fn the_reference_example_of_a_get() {
        let mut headers = HeaderMap::new();
        headers.insert("range", HeaderValue::from_static("bytes=0-9"));
        let uri = Uri::from_static("http://examplebucket.s3.amazonaws.com/test.txt");
        sign(
            &credential(),
            "us-east-1",
            now(),
            &Method::GET,
            &uri,
            &mut headers,
            Payload::Sha256(sha256(b"")),
        )
        .unwrap();
        assert_eq!(
            signature(&headers),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        );
    }

    #[test]
    fn the_reference_example_of_a_presigned_get() {
        let (keys, headers) = (credential(), HeaderMap::new());
        let day = Duration::from_secs(86_400);
        let query = presign_query(&keys, "us-east-1", now(), day, &headers);
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| format!("{name}={}", value.replace('/', "%2F")))
            .collect();
        let url = format!(
            "https://examplebucket.s3.amazonaws.com/test.txt?{}",
            query.join("&")
        );
        let uri: Uri = url.parse().unwrap();
        assert_eq!(
            presign(&keys, "us-east-1", now(), &Method::GET, &uri, &headers).unwrap(),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    #[test]
    fn the_reference_example_of_a_listing() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("http://examplebucket.s3.amazonaws.com/?prefix=J&max-keys=2");
        sign(
            &credential(),
            "us-east-1",
            now(),
            &Method::GET,
            &uri,
            &mut headers,
            Payload::Sha256(sha256(b"")),
        )
        .unwrap();
        assert_eq!(
            signature(&headers),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn the_reference_example_of_chunks() {
        let mut headers = HeaderMap::new();
        headers.insert("content-encoding", HeaderValue::from_static("aws-chunked"));
        headers.insert("content-length", HeaderValue::from_static("66824"));
        headers.insert(
            "x-amz-storage-class",
            HeaderValue::from_static("REDUCED_REDUNDANCY"),
        );
        let uri = Uri::from_static("http://s3.amazonaws.com/examplebucket/chunkObject.txt");
        let mut chunks = sign(
            &credential(),
            "us-east-1",
            now(),
            &Method::PUT,
            &uri,
            &mut headers,
            Payload::Chunked {
                len: 66_560,
                trailer: false,
            },
        )
        .unwrap();
        // The reference signs the content length as well, which is left to the transport here, so
        // its chain starts from its own seed.
        chunks.last = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9".into();
        for (len, expected) in [
            (
                65_536,
                "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n",
            ),
            (
                1024,
                "400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n",
            ),
            (
                0,
                "0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n",
            ),
        ] {
            assert_eq!(chunks.header(&vec![b'a'; len]), expected);
        }
    }

    #[test]
    fn the_reference_example_of_a_trailer() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("http://s3.amazonaws.com/examplebucket/chunkObject.txt");
        let payload = Payload::Chunked {
            len: 66_560,
            trailer: true,
        };
        let mut chunks = sign(
            &credential(),
            "us-east-1",
            now(),
            &Method::PUT,
            &uri,
            &mut headers,
            payload,
        )
        .unwrap();
        assert_eq!(headers[TRAILER], "x-amz-checksum-crc32c");
        chunks.last = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e".into();
        let body = [b'a'; 66_560];
        for (chunk, expected) in [
            (
                &body[..65_536],
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
            ),
            (
                &body[65_536..],
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
            ),
            (
                &[],
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ),
        ] {
            let header = chunks.header(chunk);
            let text = std::str::from_utf8(&header).unwrap();
            assert!(text.ends_with(&format!("={expected}\r\n")), "{text}");
        }
        let crc32c = checksum::crc32c_text(crc32c::crc32c(&body));
        assert_eq!(crc32c, "sOO8/Q==");
        assert_eq!(
            chunks.trailer(&crc32c),
            "x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
        );
    }

    #[test]
    fn lengths_on_the_wire() {
        let frame =
            |len: usize| format!("{len:x};chunk-signature={}\r\n", "0".repeat(64)).len() + len + 2;
        for len in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let mut expected = frame(0) + len / CHUNK * frame(CHUNK);
            if len % CHUNK > 0 {
                expected += frame(len % CHUNK);
            }
            assert_eq!(chunked_len(len as u64, false), Some(expected as u64));
            let trailer =
                "x-amz-checksum-crc32c:AAAAAA==\r\nx-amz-trailer-signature:\r\n".len() + 64;
            let with = (expected + trailer) as u64;
            assert_eq!(chunked_len(len as u64, true), Some(with));
        }
        assert_eq!(chunked_len(u64::MAX, true), None);
    }
}
