//! How long a body is.

use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};

use crate::api_error::ApiError;

/// The length that a request declares.
pub(crate) fn declared(headers: &HeaderMap, most: u64) -> Result<u64, ApiError> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if !headers.contains_key(TRANSFER_ENCODING) => match length > most {
            true => Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("at most {most} bytes are taken here"),
            )),
            false => Ok(length),
        },
        _ => Err(ApiError::new(
            StatusCode::LENGTH_REQUIRED,
            "length_required",
            "a Content-Length is needed, also instead of chunks",
        )),
    }
}
