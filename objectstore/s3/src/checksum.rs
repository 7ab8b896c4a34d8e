//! Checksums that go with a body, and the headers that carry them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{HeaderName, HeaderValue};

/// The header, or trailer, of a CRC32C.
pub(crate) const CRC32C: &str = "x-amz-checksum-crc32c";

const SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// Which checksum the parts of an upload carry: one kind for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Sha256,
    Crc32c,
}

impl Algorithm {
    /// S3's name for it, in `x-amz-checksum-algorithm`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA256",
            Self::Crc32c => "CRC32C",
        }
    }

    /// The element that repeats a part's checksum when an upload is completed.
    pub(crate) fn element(self) -> &'static str {
        match self {
            Self::Sha256 => "ChecksumSHA256",
            Self::Crc32c => "ChecksumCRC32C",
        }
    }

    pub(crate) fn header(self) -> HeaderName {
        match self {
            Self::Sha256 => SHA256,
            Self::Crc32c => HeaderName::from_static(CRC32C),
        }
    }
}

/// The header for a body whose SHA-256 this is.
pub(crate) fn sha256_header(sum: &[u8; 32]) -> (HeaderName, HeaderValue) {
    (SHA256, value(&STANDARD.encode(sum)))
}

/// A CRC32C as S3 writes it.
pub(crate) fn crc32c_text(crc: u32) -> String {
    STANDARD.encode(crc.to_be_bytes())
}

/// A SHA-256 as S3 writes it.
pub(crate) fn sha256_text(sum: &[u8; 32]) -> String {
    STANDARD.encode(sum)
}

/// Base64 is always a header's value.
pub(crate) fn value(base64: &str) -> HeaderValue {
    HeaderValue::from_str(base64).unwrap_or(HeaderValue::from_static(""))
}
