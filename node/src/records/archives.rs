//! `/claims` and `/receipts`: archives, kept byte for byte, found by CID.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use storehouse::records::{Cid, Error};

use super::archived::{Archived, Claims, Receipts, stored_bytes};
use super::from_json::from_json;
use crate::answer::{Answer, json};
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::content_negotiation::{self, CAR, JSON};
use crate::fair_share::Client;
use crate::json as view;
use crate::parse::{self, Segment};
use crate::request_body::collect;

/// Which receipt is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ran {
    ran: String,
}

pub(crate) async fn put_claim(
    State(node): State<Arc<AppState>>,
    client: Client,
    cid: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    put::<Claims>(&node, client, cid, &headers, body).await
}

pub(crate) async fn put_receipt(
    State(node): State<Arc<AppState>>,
    client: Client,
    cid: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    put::<Receipts>(&node, client, cid, &headers, body).await
}

pub(crate) async fn get_claim(
    State(node): State<Arc<AppState>>,
    client: Client,
    cid: Segment,
    headers: HeaderMap,
) -> Answer {
    get::<Claims>(&node, client, cid, &headers).await
}

pub(crate) async fn get_receipt(
    State(node): State<Arc<AppState>>,
    client: Client,
    cid: Segment,
    headers: HeaderMap,
) -> Answer {
    get::<Receipts>(&node, client, cid, &headers).await
}

/// The receipt that the invocation leads to, if its signature holds. Puts see to it that one whose
/// signature holds is led to before one whose signature does not.
pub(crate) async fn find_receipt(
    State(node): State<Arc<AppState>>,
    client: Client,
    query: Result<Query<Ran>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let Query(Ran { ran }) =
        query.map_err(|e| ApiError::bad_request("invalid_query", e.body_text()))?;
    let kind = content_negotiation::wanted(&headers, &[CAR, JSON])?;
    let ran = parse::cid(&ran)?;
    let receipts = node.records().receipts.clone();
    // It decodes what it finds, of whatever size.
    let found = node
        .blocking
        .wait_for(async move { receipts.get_by_ran(&ran).await });
    let receipt = found.await??.ok_or_else(no_receipt)?;
    let signers = Arc::clone(&node.signers);
    let view = move || {
        if signers.check_receipt(&receipt).is_err() {
            return Err(no_receipt());
        }
        let archive = receipt.store_form();
        view_as::<Receipts>(kind, &receipt, archive)
    };
    node.blocking.run(client, usize::MAX, view).await
}

fn no_receipt() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no valid receipt of that invocation",
    )
}

async fn get<A: Archived>(
    node: &AppState,
    client: Client,
    cid: Segment,
    headers: &HeaderMap,
) -> Answer {
    let kind = content_negotiation::wanted(headers, &[CAR, JSON])?;
    let cid = parse::cid_segment(cid)?;
    let archive = stored_bytes::<A>(node, &cid).await?;
    let len = archive.len();
    let view = move || {
        let record = A::decode(archive.clone()).map_err(Error::from)?;
        view_as::<A>(kind, &record, archive)
    };
    node.blocking.run(client, len, view).await
}

/// JSON in place of an archive: what [`view`] writes, of which only this counts.
#[derive(Debug, Deserialize)]
struct InJson {
    archive: String,
}

/// Stores an archive, if it is of what the path says, and none of that CID is there. An archive is
/// not changed by one that came later: that may have fewer proofs.
async fn put<A: Archived>(
    node: &AppState,
    client: Client,
    cid: Segment,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let cid = parse::cid_segment(cid).map_err(ApiError::closing)?;
    let kind = content_negotiation::sent(headers, &[CAR, JSON]).map_err(ApiError::closing)?;
    let (bytes, _room) = collect(node, client, headers, body).await?;
    let len = bytes.len();
    let (wanted, signers) = (cid.clone(), Arc::clone(&node.signers));
    let check = move || {
        let archive = if kind == JSON {
            archive_of(&bytes)?
        } else {
            bytes
        };
        let record = A::decode(archive).map_err(Error::from)?;
        let actual = A::cid(&record);
        if actual != wanted {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cid_mismatch",
                format!("the archive is of {actual}"),
            ));
        }
        A::check_signature(&record, &signers)?;
        Ok(record)
    };
    let record = node.blocking.run(client, len, check).await?;
    let is_new = A::put(node, &record).await?;
    Ok(stored(is_new, A::PATH, &cid))
}

/// The archive in a view.
fn archive_of(json: &[u8]) -> Result<Bytes, ApiError> {
    let archive = from_json::<InJson>(json)?.archive;
    let archive = view::from_text(&archive).ok_or_else(|| {
        ApiError::bad_request("invalid_record", "`archive` is not 'm' and base64")
    })?;
    Ok(archive.into())
}

fn stored(is_new: bool, path: &str, cid: &Cid) -> Response<Body> {
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    let mut response = json(status, format!("{{\"cid\":\"{cid}\"}}\n"));
    if let Ok(location) = HeaderValue::from_str(&format!("{path}/{cid}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn view_as<A: Archived>(kind: &'static str, record: &A::Record, archive: Bytes) -> Answer {
    let body = if kind == CAR {
        Body::from(archive)
    } else {
        // A view may be longer than is worth its making; the archive as it is never is.
        Body::from(A::to_json(record).map_err(|e| {
            let message = format!("{e}: ask for {CAR}");
            ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
        })?)
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
