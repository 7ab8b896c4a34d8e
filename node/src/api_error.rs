//! Errors as clients see them: a status, a code that stays, and a sentence that may change. The
//! codes are listed in `docs/guide/node.md`.

use std::error::Error;
use std::time::Instant;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use storehouse::objectstore::ErrorClass;
use storehouse::objectstore::observe::FULL;
use storehouse::{blobstore, objectstore, records};

use crate::error_chain::chain;
use crate::request_body::Stalled;

/// A request that was refused, or failed.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    close: bool,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            close: false,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// The same, and the connection ends after it: the request's body was not read.
    pub(crate) fn closing(mut self) -> Self {
        self.close = true;
        self
    }

    /// Not the client's fault. It learns that it failed; the log, why: causes name paths and
    /// servers.
    pub(crate) fn internal(error: &(dyn Error + 'static), class: ErrorClass, full: bool) -> Self {
        let causes = chain(error);
        let answer = match class {
            _ if full => Self::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "no_space",
                "there is no space left; nothing was stored",
            ),
            ErrorClass::Transient => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "a store cannot be reached; try again later",
            ),
            _ => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "a store failed; the node's log says how",
            ),
        };
        if !full {
            tracing::error!(code = answer.code, "{causes}");
        } else if let Some(more) = FULL.pass(Instant::now()) {
            // Where the store says so itself, this is silent.
            tracing::error!(code = answer.code, more, "{causes}");
        }
        answer
    }
}

impl From<blobstore::Error> for ApiError {
    fn from(error: blobstore::Error) -> Self {
        use blobstore::Error as E;
        let (status, code) = match &error {
            E::InvalidDigest { .. } | E::HashLength { .. } => {
                (StatusCode::BAD_REQUEST, "invalid_digest")
            }
            E::UnknownHash { .. } => (StatusCode::BAD_REQUEST, "unknown_hash_function"),
            E::NotFound { .. } => (StatusCode::NOT_FOUND, "not_found"),
            E::TooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            E::TooSmall { .. } => (StatusCode::BAD_REQUEST, "incomplete_body"),
            E::DataInconsistent { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "hash_mismatch"),
            E::Damaged { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "damaged"),
            E::Store {
                source: objectstore::Error::Body { source, .. },
                ..
            } => return Self::of_body(source.as_ref()),
            _ => return Self::internal(&error, error.class(), error.is_full()),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<records::Error> for ApiError {
    fn from(error: records::Error) -> Self {
        if error.is_not_found() {
            return Self::new(
                StatusCode::NOT_FOUND,
                "not_found",
                "there is no such record",
            );
        }
        match &error {
            records::Error::Store(e)
                if matches!(e.class(), ErrorClass::InvalidInput | ErrorClass::Conflict) =>
            {
                Self::bad_request("invalid_record", chain(&error))
            }
            records::Error::Store(_) | records::Error::Compare { .. } => {
                Self::internal(&error, error.class(), error.is_full())
            }
            // What the client sent is no such record. Its causes say where.
            _ => Self::bad_request("invalid_record", chain(&error)),
        }
    }
}

impl ApiError {
    /// The body of the request failed.
    pub(crate) fn of_body(error: &(dyn Error + 'static)) -> Self {
        let mut causes = std::iter::successors(Some(error), |&cause| cause.source());
        match causes.find_map(|cause| cause.downcast_ref::<Stalled>()) {
            Some(stalled) => Self::new(
                StatusCode::REQUEST_TIMEOUT,
                "body_timeout",
                stalled.to_string(),
            )
            .closing(),
            None => Self::bad_request(
                "incomplete_body",
                "the body ended before the length declared",
            )
            .closing(),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response<Body> {
        let json = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
        let mut response = Response::new(Body::from(format!("{json}\n")));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.close {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
