//! What can go wrong between a request and its answer, and the errors that it becomes.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::StatusCode;
use hyper::header::{CONTENT_RANGE, CONTENT_TYPE, DATE, HeaderMap, HeaderName, LOCATION};

use storehouse_objectstore::{BoxError, Error, ErrorClass, Key, Operation};

use crate::answer::{decimal, http_date, retry_after, unsatisfied_size};
use crate::attributes::text;
use crate::endpoint::Endpoint;
use crate::limits::is_region;
use crate::xml::Element;

const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amz-request-id");

/// The longest `Location` that is looked at, in bytes.
const MAX_LOCATION: usize = 8 * 1024;

/// A request without a good answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No answer came, or only the beginning of one.
    Broken(Broken),
    /// The server refused.
    Refused(Box<Refusal>),
    /// The answer contradicts itself or lacks something: what, in a sentence.
    Wrong(String),
    /// The request failed before it was sent: there were no keys, or it cannot be sent at all.
    Unsent(Error),
}

/// What kept a request from getting an answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) cause: Cause,
    /// Whether the server may have acted on the request: all of it may have arrived.
    pub(crate) sent: bool,
    pub(crate) source: Option<BoxError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Connect,
    /// The server's certificate was refused, which another attempt will not change.
    Certificate,
    Stalled,
    Cut,
    TooLong,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.cause {
            Cause::Connect | Cause::Certificate => "no connection could be made",
            Cause::Stalled => "the server fell silent",
            Cause::Cut => "the connection broke before the answer was whole",
            Cause::TooLong => "the answer is longer than any of S3's",
        })?;
        match self.source.as_deref().and_then(|e| tls_reason(e)) {
            Some(reason) => write!(f, ": {reason}"),
            None => Ok(()),
        }
    }
}

/// What TLS says about a failed connection.
pub(crate) fn tls_reason(error: &(dyn StdError + 'static)) -> Option<String> {
    use rustls::CertificateError as Certificate;

    let reason = match tls_error(error)? {
        rustls::Error::InvalidCertificate(problem) => match problem {
            Certificate::UnknownIssuer => {
                "its certificate is from an unknown issuer (set ca_file to trust it)".into()
            }
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name".into()
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => {
                "its certificate has expired".into()
            }
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet".into()
            }
            Certificate::Revoked => "its certificate was revoked".into(),
            other => format!(
                "its certificate is refused ({})",
                clean(&other.to_string(), 200)
            ),
        },
        other => format!("TLS: {}", clean(&other.to_string(), 200)),
    };
    Some(reason)
}

/// The error of TLS among the causes of `error`. An [`io::Error`] hides its own from `source`.
pub(crate) fn tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// An answer that refuses.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// S3's code, like `NoSuchKey`; empty if the answer is not from S3, or has no body.
    pub(crate) code: String,
    /// S3's message, shortened.
    message: String,
    /// The region of the bucket, if the server named one that can be one.
    pub(crate) region: Option<String>,
    /// The object's size, if a range was refused and the server told it.
    pub(crate) size: Option<u64>,
    /// How long the server asks to wait.
    pub(crate) retry_after: Option<Duration>,
    /// The server's clock.
    pub(crate) date: Option<SystemTime>,
    /// Where else the request belongs: a URL.
    pub(crate) location: Option<String>,
    /// The same as a host, in S3's own document.
    pub(crate) endpoint: Option<String>,
    content_type: String,
    request_id: String,
    pub(crate) has_body: bool,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let error = Element::parse(body)
            .filter(|root| root.name == "Error")
            .unwrap_or_default();
        Self::with_document(status, headers, &error, !body.is_empty())
    }

    /// An `<Error>` in an answer whose status was sent before the server knew: it means what its
    /// code says.
    pub(crate) fn late(status: StatusCode, headers: &HeaderMap, error: &Element) -> Self {
        let status = match error.get("Code") {
            Some("PreconditionFailed") => StatusCode::PRECONDITION_FAILED,
            Some("NoSuchUpload" | "NoSuchKey" | "NoSuchBucket") => StatusCode::NOT_FOUND,
            Some("AccessDenied" | "ExpiredToken" | "RequestTimeTooSkewed") => StatusCode::FORBIDDEN,
            Some("SlowDown" | "ServiceUnavailable" | "Busy") => StatusCode::SERVICE_UNAVAILABLE,
            Some("InternalError" | "InternalServerError") => StatusCode::INTERNAL_SERVER_ERROR,
            _ => status,
        };
        Self::with_document(status, headers, error, true)
    }

    /// An answer that is not S3's.
    pub(crate) fn garbage(status: StatusCode, headers: &HeaderMap) -> Self {
        Self::with_document(status, headers, &Element::default(), true)
    }

    fn with_document(
        status: StatusCode,
        headers: &HeaderMap,
        error: &Element,
        has_body: bool,
    ) -> Self {
        let header = |name: &HeaderName| text(headers, name);
        let date = header(&DATE).and_then(http_date);
        let size = header(&CONTENT_RANGE).and_then(unsatisfied_size);
        Self {
            status,
            code: clean(error.get("Code").unwrap_or(""), 64),
            message: clean(error.get("Message").unwrap_or(""), 200),
            region: header(&BUCKET_REGION)
                .or(error.get("Region"))
                .filter(|region| is_region(region))
                .map(str::to_owned),
            size: size.or_else(|| error.get("ActualObjectSize").and_then(decimal)),
            retry_after: retry_after(headers, date.unwrap_or_else(SystemTime::now)),
            date,
            location: header(&LOCATION)
                .filter(|location| location.len() <= MAX_LOCATION)
                .map(str::to_owned),
            endpoint: error
                .get("Endpoint")
                .filter(|endpoint| endpoint.len() <= 255)
                .map(str::to_owned),
            content_type: clean(header(&CONTENT_TYPE).unwrap_or(""), 64),
            request_id: clean(
                header(&REQUEST_ID).or(error.get("RequestId")).unwrap_or(""),
                64,
            ),
            has_body,
        }
    }

    /// Whether the server says that it did nothing, for a reason that passes: any request may be
    /// sent again.
    pub(crate) fn did_nothing(&self) -> bool {
        matches!(self.status.as_u16(), 408 | 421 | 425 | 429)
            || matches!(
                self.code.as_str(),
                "SlowDown"
                    | "Busy"
                    | "RequestTimeout"
                    | "RequestThrottled"
                    | "Throttling"
                    | "ThrottlingException"
                    | "TooManyRequests"
                    | "OperationAborted"
                    | "ConditionalRequestConflict"
            )
    }

    /// Whether the server failed in a way that may pass.
    pub(crate) fn is_transient(&self) -> bool {
        self.did_nothing()
            || matches!(self.status.as_u16(), 500 | 502 | 503 | 504)
            || self.code == "XMinioServerNotInitialized"
    }

    /// Whether the refusal is about the time, the place or the way that the request was sent, not
    /// about what it asks for.
    pub(crate) fn may_pass(&self) -> bool {
        self.is_transient()
            || self.status.is_redirection()
            || matches!(
                self.status,
                StatusCode::LENGTH_REQUIRED | StatusCode::EXPECTATION_FAILED
            )
            || matches!(self.code.as_str(), "ExpiredToken" | "RequestTimeTooSkewed")
    }

    /// Whether the server cannot have an object of this key.
    pub(crate) fn is_key_refused(&self) -> bool {
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

    pub(crate) fn is_not_found(&self) -> bool {
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

    pub(crate) fn is_bad_payload(&self) -> bool {
        matches!(
            self.code.as_str(),
            "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch"
                | "InvalidDigest"
                | "BadDigest"
        )
    }

    /// Whether the server does not have what was asked for: a header or an operation.
    pub(crate) fn is_unknown_feature(&self) -> bool {
        matches!(self.status.as_u16(), 400 | 405 | 415 | 501) && !self.is_bad_payload()
    }

    fn describe(&self) -> String {
        let status = self.status.as_u16();
        let mut said = match (self.code.as_str(), self.has_body) {
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
            (code, _) => format!("answered {status} {code}: {}", self.message),
        };
        if let Some(region) = &self.region {
            said.push_str(&format!(" (its region is {region:?})"));
        }
        if self.status.is_redirection()
            && let Some(to) = self.location.as_deref().or(self.endpoint.as_deref())
        {
            let to = clean(to.split('?').next().unwrap_or(""), 100);
            said.push_str(&format!(" (it points to {to:?}, which is not followed)"));
        }
        if !self.request_id.is_empty() {
            said.push_str(&format!(" (request {})", self.request_id));
        }
        said
    }
}

/// Text from a server: without control characters, cut after `max` characters.
pub(crate) fn clean(text: &str, max: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max).collect()
}

impl Failure {
    /// Whether the server failed at the request, by its answer or by breaking the connection.
    pub(crate) fn is_breakdown(&self) -> bool {
        match self {
            Self::Broken(broken) => broken.cause == Cause::Cut,
            Self::Refused(refusal) => refusal.status.is_server_error(),
            Self::Wrong(_) | Self::Unsent(_) => false,
        }
    }

    /// Whether the server may have done what was asked for all the same.
    pub(crate) fn may_have_acted(&self) -> bool {
        match self {
            Self::Broken(broken) => broken.sent,
            Self::Refused(refusal) => refusal.is_transient() && !refusal.did_nothing(),
            Self::Wrong(_) | Self::Unsent(_) => false,
        }
    }

    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Refused(refusal) => Some(refusal),
            _ => None,
        }
    }

    pub(crate) fn has_code(&self, code: &str) -> bool {
        self.refusal().is_some_and(|refusal| refusal.code == code)
    }

    /// The error for `operation`, unless the operation has a better one.
    pub(crate) fn into_error(
        self,
        operation: Operation,
        key: Option<&Key>,
        endpoint: &Endpoint,
    ) -> Error {
        let (class, message, source) = match self {
            Self::Unsent(error) => return error,
            Self::Wrong(what) => (
                ErrorClass::Fatal,
                format!("{} {what}", endpoint.describe()),
                None,
            ),
            Self::Broken(broken) => {
                let class = match broken.cause {
                    Cause::TooLong | Cause::Certificate => ErrorClass::Fatal,
                    Cause::Connect | Cause::Cut | Cause::Stalled => ErrorClass::Transient,
                };
                (
                    class,
                    format!("{}: {broken}", endpoint.describe()),
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

/// One cause that several errors share.
#[derive(Clone, Debug)]
pub(crate) struct SharedCause(Arc<Error>);

impl SharedCause {
    pub(crate) fn new(error: Error) -> Self {
        Self(Arc::new(error))
    }
}

impl fmt::Display for SharedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for SharedCause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}
