//! `GET /blobs`: what is there, a line of JSON each.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use serde::Deserialize;
use storehouse::blobstore::{BlobInfo, Digest, ListBlobs};
use storehouse::objectstore::Key;

use crate::answer::Answer;
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::error_chain::chain;
use crate::parse;

/// Lines that are sent together, if they are ready together.
const LINES: usize = 256;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Page {
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

/// The blobs in the store's order. The first is fetched before the answer begins, so that a store
/// that is down has a status of its own; an error after that breaks the connection.
pub(crate) async fn list(
    State(node): State<Arc<AppState>>,
    page: Result<Query<Page>, QueryRejection>,
) -> Answer {
    let Query(page) = page.map_err(|e| ApiError::bad_request("invalid_query", e.body_text()))?;
    let mut options = ListBlobs::default().prefix(page.prefix);
    options.limit = page.limit;
    if let Some(after) = page.after.as_deref().filter(|after| !after.is_empty()) {
        options.start_after = Some(place(&node, &parse::digest(after)?).await?);
    }
    let mut blobs = node.blobs().list(options).peekable();
    if let Some(Err(_)) = std::pin::Pin::new(&mut blobs).peek().await
        && let Some(Err(error)) = blobs.next().await
    {
        return Err(error.into());
    }
    let logged = blobs.inspect_err(|e| tracing::error!("a listing broke off: {}", chain(e)));
    let lines = logged.ready_chunks(LINES).map(|blobs| {
        blobs
            .into_iter()
            .try_fold(Vec::new(), line)
            .map(Bytes::from)
    });
    let mut response = Response::new(Body::from_stream(lines));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/x-ndjson"),
    );
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn line(
    mut lines: Vec<u8>,
    blob: Result<BlobInfo, storehouse::blobstore::Error>,
) -> Result<Vec<u8>, storehouse::blobstore::Error> {
    let BlobInfo {
        digest,
        size,
        damaged,
        ..
    } = blob?;
    let damaged = if damaged { ",\"damaged\":true" } else { "" };
    let line = format!("{{\"digest\":\"{digest}\",\"size\":{size}{damaged}}}\n");
    lines.extend_from_slice(line.as_bytes());
    Ok(lines)
}

/// Where the listing stood at this blob: it may be under a legacy key, and it may be gone by now.
async fn place(node: &AppState, digest: &Digest) -> Result<Key, ApiError> {
    match node.blobs().head(digest).await {
        Ok(blob) => Ok(blob.key),
        Err(e) if e.is_not_found() || e.is_damaged() => Ok(node.blobs().key(digest)?),
        Err(e) => Err(e.into()),
    }
}
