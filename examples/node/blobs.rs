//! `/blobs/{digest}`: blobs, in and out.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use storehouse::blobstore::http::respond;
use storehouse::blobstore::{Digest, HashFunction, PutBlob, PutOutcome};

use crate::failure::Failure;
use crate::state::Node;
use crate::{retrieval, upload};

pub(crate) type Answer = Result<Response<Body>, Failure>;
/// A segment of the path, its percent signs resolved.
pub(crate) type Segment = Result<Path<String>, PathRejection>;

/// `GET` and `HEAD`: all that a response to them can be is the library's business.
pub(crate) async fn get(
    State(node): State<Arc<Node>>,
    digest: Segment,
    method: Method,
    headers: HeaderMap,
) -> Answer {
    let digest = parse(digest)?;
    let response = respond(node.blobs(), &digest, &method, &headers).await?;
    Ok(match node.retrievals.get() {
        Some(retrievals) => retrieval::watch(response, &method, &digest, retrievals).await,
        None => response.map(Body::new),
    })
}

/// `PUT`: everything that can be refused is refused before a byte of the body is asked for.
pub(crate) async fn put(
    State(node): State<Arc<Node>>,
    digest: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let checked = async {
        let digest = parse(digest)?;
        digest.function()?;
        let size = upload::declared(&headers, node.limits.blob_size)?;
        if node.require_allocation {
            check_allocation(&node, &digest, size).await?;
        }
        Ok((digest, size))
    };
    let (digest, size) = checked.await.map_err(Failure::closing)?;
    let Ok(Ok(_turn)) = tokio::time::timeout(upload::TURN, node.uploads.acquire()).await else {
        return Err(upload::busy());
    };
    let body = upload::Upload::new(body, size, node.limits.body_timeout);
    let unread = body.unread();
    let outcome = node
        .blobs()
        .put_opts(&digest, body.into_body(), PutBlob::default().size(size))
        .await;
    let unread = unread.is_unread();
    match outcome {
        Ok(outcome) => {
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
        Err(error) if unread => Err(Failure::from(error).closing()),
        Err(error) => Err(error.into()),
    }
}

/// `DELETE`: a missing blob is gone already.
pub(crate) async fn delete(
    State(node): State<Arc<Node>>,
    digest: Segment,
) -> Result<StatusCode, Failure> {
    node.blobs().delete(&parse(digest)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A digest from the path: a multihash in any multibase, or `{function}:{hash}` in hexadecimal, as
/// `sha256sum` and its like print it.
pub(crate) fn parse(segment: Segment) -> Result<Digest, Failure> {
    let Ok(Path(text)) = segment else {
        return Err(Failure::bad_request(
            "invalid_digest",
            "the digest in the path is not UTF-8",
        ));
    };
    parse_text(&text)
}

/// The same for a digest that does not come from the path.
pub(crate) fn parse_text(text: &str) -> Result<Digest, Failure> {
    let Some((name, hex)) = text.split_once(':') else {
        return Ok(text.parse()?);
    };
    let invalid = |reason| Failure::bad_request("invalid_digest", reason);
    let function = HashFunction::ALL
        .into_iter()
        .find(|function| function.to_string() == name);
    let function = function.ok_or_else(|| {
        Failure::bad_request(
            "unknown_hash_function",
            "before the ':' stands no hash function that is known",
        )
    })?;
    let digits: Option<Vec<u8>> = hex
        .chars()
        .map(|digit| digit.to_digit(16).map(|digit| digit as u8))
        .collect();
    let digits = digits.filter(|digits| digits.len() == 2 * function.hash_len());
    let digits = digits.ok_or_else(|| {
        invalid("after the ':' a hash of the function's length in hexadecimal is needed")
    })?;
    let hash: Vec<u8> = digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    Ok(Digest::new(function, &hash)?)
}

/// A response of JSON.
pub(crate) fn json(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn check_allocation(node: &Node, digest: &Digest, size: u64) -> Result<(), Failure> {
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
    Err(Failure::new(
        StatusCode::FORBIDDEN,
        "no_allocation",
        "no live allocation covers this digest and size",
    ))
}

/// Seconds since the start of 1970, UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
