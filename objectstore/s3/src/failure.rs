//! What can go wrong between a request and its answer, and the errors that it becomes.

use std::io;

use hyper::StatusCode;
use hyper::header::{CONTENT_TYPE, HeaderMap};

use storehouse_objectstore::{BoxError, Error, ErrorClass, Key, Operation};

use super::endpoint::Endpoint;
use super::transport::{Broken, What};
use super::xml::Element;

/// A request without a good answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// No answer came, or not all of it.
    Broken(Broken),
    /// The server said no.
    Refused(Box<Refusal>),
    /// It failed before it was sent: no keys could be had, or there was nothing to send.
    Early(Error),
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

/// An answer that says no.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// S3's code, like `NoSuchKey`; empty if the answer is none of S3's, or has no body.
    pub(super) code: String,
    /// S3's message, shortened.
    message: String,
    /// The region that the server is in, if it said so.
    pub(super) region: Option<String>,
    /// The object's size, if a range was refused and the server said it.
    pub(super) size: Option<u64>,
    content_type: String,
    has_body: bool,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let error = Element::parse(body)
            .filter(|root| root.name == "Error")
            .unwrap_or_default();
        let size = header("content-range")
            .and_then(|range| range.strip_prefix("bytes */"))
            .or(error.get("ActualObjectSize"));
        Self {
            status,
            code: clean(error.get("Code").unwrap_or(""), 64),
            message: clean(error.get("Message").unwrap_or(""), 200),
            region: header("x-amz-bucket-region")
                .or(error.get("Region"))
                .map(|region| clean(region, 64)),
            size: size.and_then(|size| size.parse().ok()),
            content_type: clean(
                headers
                    .get(CONTENT_TYPE)
                    .and_then(|value| value.to_str().ok())
                    .unwrap_or(""),
                64,
            ),
            has_body: !body.is_empty(),
        }
    }

    /// An answer that is no answer of S3's.
    pub(super) fn garbage(status: StatusCode, headers: &HeaderMap) -> Self {
        Self {
            has_body: true,
            ..Self::new(status, headers, b"")
        }
    }

    /// Whether the server did nothing because it is busy: the same request may be sent again,
    /// whatever it does.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self.status.as_u16(), 429 | 503)
            || matches!(
                self.code.as_str(),
                "SlowDown" | "RequestTimeout" | "OperationAborted" | "ConditionalRequestConflict"
            )
    }

    /// Whether the server failed in a way that may pass.
    pub(super) fn is_transient(&self) -> bool {
        self.is_busy() || matches!(self.status.as_u16(), 408 | 500 | 502 | 504)
    }

    /// Whether the server has no object of this kind of key.
    pub(super) fn is_key_refused(&self) -> bool {
        matches!(
            self.code.as_str(),
            "XMinioInvalidObjectName"
                | "XMinioInvalidResourceName"
                | "InvalidObjectName"
                | "KeyTooLong"
                | "KeyTooLongError"
                | "InvalidURI"
        )
    }

    pub(super) fn is_not_found(&self) -> bool {
        // The answer to a HEAD has no body, so no code.
        self.status == StatusCode::NOT_FOUND
            && (matches!(self.code.as_str(), "NoSuchKey" | "NotFound") || !self.has_body)
    }

    /// Whether the server has no room left, or not for this bucket.
    fn is_full(&self) -> bool {
        self.status == StatusCode::INSUFFICIENT_STORAGE
            || matches!(
                self.code.as_str(),
                "XMinioStorageFull" | "QuotaExceeded" | "XMinioAdminBucketQuotaExceeded"
            )
    }

    pub(super) fn is_bad_payload(&self) -> bool {
        matches!(
            self.code.as_str(),
            "XAmzContentSHA256Mismatch" | "InvalidDigest" | "BadDigest"
        )
    }

    fn describe(&self) -> String {
        let status = self.status.as_u16();
        match (self.code.as_str(), self.has_body) {
            ("", false) => format!("answered {status}"),
            ("", true) => format!(
                "answered {status} with a body ({}) that is no answer of S3's",
                self.content_type
            ),
            ("RequestTimeTooSkewed", _) => format!(
                "answered {status} RequestTimeTooSkewed: its clock and the one here differ too much"
            ),
            ("NoSuchBucket", _) => {
                format!("answered {status} NoSuchBucket: there is no such bucket")
            }
            (code, _) => match &self.region {
                Some(region) => format!(
                    "answered {status} {code}: {} (its region is {region:?})",
                    self.message
                ),
                None => format!("answered {status} {code}: {}", self.message),
            },
        }
    }
}

/// Text from a server, without control characters, cut after `max` characters.
pub(super) fn clean(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

impl Failure {
    /// Whether the request may be sent again. `harmless`: doing twice what it asks for is the same
    /// as doing it once.
    pub(super) fn may_retry(&self, harmless: bool) -> bool {
        match self {
            // Silence has cost enough time already.
            Self::Broken(broken) => {
                matches!(broken.what, What::Connect | What::Cut) && (harmless || !broken.sent)
            }
            Self::Refused(refusal) => refusal.is_busy() || harmless && refusal.is_transient(),
            Self::Early(_) => false,
        }
    }

    /// Whether the server failed at the request, by its answer or by breaking the connection.
    pub(super) fn is_breakdown(&self) -> bool {
        match self {
            Self::Broken(broken) => broken.what == What::Cut,
            Self::Refused(refusal) => refusal.status.is_server_error(),
            Self::Early(_) => false,
        }
    }

    pub(super) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    /// The error for `operation`, if it is none that the operation knows better.
    pub(super) fn into_error(
        self,
        operation: Operation,
        key: Option<&Key>,
        endpoint: &Endpoint,
    ) -> Error {
        let (class, message, source) = match self {
            Self::Early(error) => return error,
            Self::Broken(broken) => {
                let class = if broken.what == What::TooLong {
                    ErrorClass::Fatal
                } else {
                    ErrorClass::Transient
                };
                (
                    class,
                    format!("{}: {}", endpoint.describe(), broken.what),
                    broken.source,
                )
            }
            Self::Refused(refusal) => {
                if let (Operation::Put, Some(key), true) =
                    (operation, key, refusal.is_key_refused())
                {
                    return Error::invalid_key(
                        operation,
                        key.as_str(),
                        "the server does not accept it",
                    );
                }
                if let (Some(key), true) = (key, refusal.is_not_found() || refusal.is_key_refused())
                {
                    return Error::not_found(operation, key);
                }
                let class = if refusal.is_transient() {
                    ErrorClass::Transient
                } else {
                    ErrorClass::Fatal
                };
                let full = || -> BoxError { Box::new(io::Error::from(io::ErrorKind::StorageFull)) };
                (
                    class,
                    format!("{} {}", endpoint.describe(), refusal.describe()),
                    refusal.is_full().then(full),
                )
            }
        };
        Error::Backend {
            operation,
            key: key.cloned(),
            class,
            message,
            source,
        }
    }
}
