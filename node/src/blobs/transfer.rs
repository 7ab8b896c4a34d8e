//! `/blobs/{digest}`: blobs, in and out.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONNECTION, EXPECT, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use storehouse::blobstore::http::respond;
use storehouse::blobstore::{Digest, PutBlob, PutOutcome};

use crate::answer::{Answer, json};
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::clock::now;
use crate::fair_share::Client;
use crate::parse::{self, Segment};
use crate::receipts::retrieval;
use crate::request_body::{self, Upload};

/// `GET` and `HEAD`: all that a response to them can be is the library's business.
pub(crate) async fn get(
    State(node): State<Arc<AppState>>,
    digest: Segment,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let digest = parse::digest_segment(digest)?;
    let response = respond(node.blobs(), &digest, &method, &headers).await?;
    Ok(match node.retrievals.get() {
        Some(retrievals) => retrieval::watch(response, &method, &digest, retrievals).await,
        None => response.map(Body::new),
    })
}

/// `PUT`: everything that can be refused is refused before a byte of the body is asked for.
pub(crate) async fn put(
    State(node): State<Arc<AppState>>,
    Client(client): Client,
    digest: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let checked = async {
        let digest = parse::digest_segment(digest)?;
        digest.function()?;
        let size = request_body::declared(&headers, node.limits.blob_size)?;
        if node.require_allocation {
            check_allocation(&node, &digest, size).await?;
        }
        Ok((digest, size))
    };
    let (digest, size) = checked.await.map_err(ApiError::closing)?;
    let turn = node.uploads.acquire(client, 1);
    let Ok(_turn) = tokio::time::timeout(node.limits.queue_timeout, turn).await else {
        return Err(request_body::busy());
    };
    let upload = Upload::new(body, size, node.limits.pace());
    let mut outcome = node
        .blobs()
        .put_opts(&digest, upload.body(), PutBlob::default().size(size))
        .await
        .map_err(ApiError::from);
    if let Ok(PutOutcome::AlreadyExists) = outcome
        && !headers.contains_key(EXPECT)
    {
        // The client sends its body in any case, and takes the answer for a judgement of it.
        outcome = verify(&digest, &upload)
            .await
            .map(|()| PutOutcome::AlreadyExists);
    }
    let unread = upload.unread() > 0;
    match outcome {
        Ok(outcome) => {
            node.forget_size(&digest);
            let status = if outcome == PutOutcome::Stored {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            };
            let mut response = json(
                status,
                format!("{{\"digest\":\"{digest}\",\"size\":{size}}}\n"),
            );
            if let Ok(location) = HeaderValue::from_str(&format!("/blobs/{digest}")) {
                response.headers_mut().insert(LOCATION, location);
            }
            if unread {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }
        Err(error) if unread => Err(error.closing()),
        Err(error) => Err(error),
    }
}

/// Whether an upload is the blob, which is there already.
async fn verify(digest: &Digest, upload: &Upload) -> Result<(), ApiError> {
    if upload.unread() == upload.size() {
        let actual = Digest::of_body(digest.function()?, upload.body()).await?;
        return if actual == *digest {
            Ok(())
        } else {
            Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "hash_mismatch",
                format!("the bytes have the digest {actual}"),
            ))
        };
    }
    // A store that read all of it has had it verified.
    if upload.unread() == 0 {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "the blob was stored by another request meanwhile; try again",
    ))
}

/// `DELETE`: a missing blob is gone already.
pub(crate) async fn delete(
    State(node): State<Arc<AppState>>,
    digest: Segment,
) -> Result<StatusCode, ApiError> {
    node.blobs().delete(&parse::digest_segment(digest)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn check_allocation(node: &AppState, digest: &Digest, size: u64) -> Result<(), ApiError> {
    use futures_util::TryStreamExt;
    let now = now();
    // In any space: one that another space was promised too little for does not hide it.
    let mut allocations = node.records().allocations.list(Some(digest));
    loop {
        match allocations.try_next().await {
            Ok(Some(allocation)) if allocation.is_valid_at(now) && allocation.blob.size == size => {
                return Ok(());
            }
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(e) if e.is_record() => {}
            Err(e) => return Err(e.into()),
        }
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        "no_allocation",
        "no live allocation covers this digest and size",
    ))
}
