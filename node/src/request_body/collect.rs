//! Bodies that are held in memory.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use tokio::sync::SemaphorePermit;

use super::length::declared;
use super::upload::Upload;
use crate::api_error::ApiError;
use crate::app_state::AppState;

/// A body that is to be held in memory, and the room in memory that it has until both are dropped.
pub(crate) async fn collect<'n>(
    node: &'n AppState,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, SemaphorePermit<'n>), ApiError> {
    let size = declared(headers, node.limits.record_size).map_err(ApiError::closing)?;
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let Ok(Ok(room)) = tokio::time::timeout(
        node.limits.queue_timeout,
        node.record_memory.acquire_many(kib),
    )
    .await
    else {
        return Err(busy());
    };
    let bytes = Upload::new(body, size, node.limits.body_timeout)
        .into_body()
        .collect(size)
        .await;
    match bytes {
        Ok(bytes) if bytes.len() as u64 == size => Ok((bytes, room)),
        Ok(_) => Err(ApiError::bad_request(
            "incomplete_body",
            "the body ended before the length declared",
        )
        .closing()),
        Err(error) => Err(ApiError::of_body(&error)),
    }
}

/// Too much is under way, and waiting for its end took too long.
pub(crate) fn busy() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "too many uploads are under way; try again later",
    )
    .closing()
}
