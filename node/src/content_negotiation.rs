//! Which representation a client sends, and which it wants.

use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};

use crate::api_error::ApiError;

/// Records as JSON.
pub(crate) const JSON: &str = "application/json";
/// Allocations and acceptances as they are stored: dag-cbor.
pub(crate) const CBOR: &str = "application/cbor";
/// Claims and receipts as they are stored: a CAR.
pub(crate) const CAR: &str = "application/vnd.ipld.car";

/// The type of the body, of those that are known; the first of them if the client does not say.
pub(crate) fn sent(headers: &HeaderMap, known: &[&'static str]) -> Result<&'static str, ApiError> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(known[0]);
    };
    let essence = given
        .to_str()
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let found = known
        .iter()
        .find(|known| known.eq_ignore_ascii_case(essence));
    found.copied().ok_or_else(|| {
        let message = format!("the Content-Type must be one of {}", known.join(", "));
        ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            message,
        )
    })
}

/// The type that the client wants most of those that there are (RFC 9110, section 12.5.1); the
/// first of them if it does not care.
pub(crate) fn wanted(
    headers: &HeaderMap,
    offered: &[&'static str],
) -> Result<&'static str, ApiError> {
    let ranges: Vec<(String, f32)> = headers
        .get_all(ACCEPT)
        .iter()
        .flat_map(|value| value.to_str().unwrap_or_default().split(','))
        .filter_map(range)
        .collect();
    if ranges.is_empty() {
        return Ok(offered[0]);
    }
    let quality = |offered: &str| {
        let all_of_kind = format!("{}/*", offered.split('/').next().unwrap_or_default());
        // The most specific range that matches decides.
        let of = |range: &str| {
            ranges
                .iter()
                .find(|(name, _)| name == range)
                .map(|(_, quality)| *quality)
        };
        of(offered)
            .or_else(|| of(&all_of_kind))
            .or_else(|| of("*/*"))
            .unwrap_or(0.0)
    };
    let best = offered
        .iter()
        .copied()
        .rev()
        .max_by(|a, b| quality(a).total_cmp(&quality(b)));
    best.filter(|best| quality(best) > 0.0).ok_or_else(|| {
        let message = format!("there is {} only", offered.join(" and "));
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
    })
}

/// A range of media types and its quality; `None` if the text is empty.
fn range(text: &str) -> Option<(String, f32)> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts
        .next()
        .filter(|name| !name.is_empty())?
        .to_ascii_lowercase();
    let quality =
        parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    Some((
        name,
        quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)),
    ))
}
