//! Bodies that are held in memory.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;

use super::length::declared;
use super::upload::Upload;
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::fair_share::{Client, SharePermit};

/// A body that is to be held in memory, and the room in memory that it has until both are dropped.
pub(crate) async fn collect(
    node: &AppState,
    Client(client): Client,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, SharePermit), ApiError> {
    let size = declared(headers, node.limits.record_size).map_err(ApiError::closing)?;
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let room = node.record_memory.acquire(client, kib);
    let room = tokio::time::timeout(node.limits.queue_timeout, room).await;
    let room = room.map_err(|_| busy())?;
    let bytes = Upload::new(body, size, node.limits.pace())
        .body()
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
        "too many requests are under way; try again later",
    )
    .closing()
}
