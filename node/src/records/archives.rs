//! `/claims` and `/receipts`: archives, kept byte for byte, found by CID.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::Deserialize;
use storehouse::formats::dag_json::JsonError;
use storehouse::records::{Cid, Delegation, Receipt};

use super::placed::from_json;
use crate::answer::{Answer, json};
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::content_negotiation::{self, CAR, JSON};
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
    cid: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (cid, claim) = take(
        &node,
        cid,
        &headers,
        body,
        Delegation::decode,
        Delegation::cid,
    )
    .await?;
    let there = node.records().delegations.exists(&cid).await?;
    node.records().delegations.put(&claim).await?;
    Ok(stored(there, "/claims", &cid))
}

pub(crate) async fn get_claim(
    State(node): State<Arc<AppState>>,
    cid: Segment,
    headers: HeaderMap,
) -> Answer {
    let kind = content_negotiation::wanted(&headers, &[CAR, JSON])?;
    let claim = node
        .records()
        .delegations
        .get(&parse::cid_segment(cid)?)
        .await?;
    give(kind, claim.as_bytes().clone(), || view::claim(&claim))
}

pub(crate) async fn put_receipt(
    State(node): State<Arc<AppState>>,
    cid: Segment,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let (cid, receipt) = take(&node, cid, &headers, body, Receipt::decode, Receipt::cid).await?;
    let there = node.records().receipts.exists(&cid).await?;
    node.records().receipts.put(&receipt).await?;
    Ok(stored(there, "/receipts", &cid))
}

pub(crate) async fn get_receipt(
    State(node): State<Arc<AppState>>,
    cid: Segment,
    headers: HeaderMap,
) -> Answer {
    let kind = content_negotiation::wanted(&headers, &[CAR, JSON])?;
    let receipt = node
        .records()
        .receipts
        .get(&parse::cid_segment(cid)?)
        .await?;
    give(kind, receipt.store_form(), || view::receipt(&receipt))
}

/// The receipt of the invocation that ran.
pub(crate) async fn find_receipt(
    State(node): State<Arc<AppState>>,
    query: Result<Query<Ran>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let Query(Ran { ran }) =
        query.map_err(|e| ApiError::bad_request("invalid_query", e.body_text()))?;
    let kind = content_negotiation::wanted(&headers, &[CAR, JSON])?;
    let found = node
        .records()
        .receipts
        .get_by_ran(&parse::cid(&ran)?)
        .await?;
    let receipt = found.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no receipt of that invocation",
        )
    })?;
    give(kind, receipt.store_form(), || view::receipt(&receipt))
}

/// JSON in place of an archive: what [`view`] makes, of which only this counts.
#[derive(Debug, Deserialize)]
struct InJson {
    archive: String,
}

/// An archive from a request's body, if it is of what the path says.
async fn take<T>(
    node: &AppState,
    cid: Segment,
    headers: &HeaderMap,
    body: Body,
    decode: impl FnOnce(Bytes) -> Result<T, storehouse::formats::Error>,
    cid_of: impl FnOnce(&T) -> Cid,
) -> Result<(Cid, T), ApiError> {
    let cid = parse::cid_segment(cid).map_err(ApiError::closing)?;
    let kind = content_negotiation::sent(headers, &[CAR, JSON]).map_err(ApiError::closing)?;
    let (mut bytes, _room) = collect(node, headers, body).await?;
    if kind == JSON {
        let archive = from_json::<InJson>(&bytes)?.archive;
        bytes = view::from_text(&archive)
            .ok_or_else(|| {
                ApiError::bad_request("invalid_record", "`archive` is not 'm' and base64")
            })?
            .into();
    }
    let record = decode(bytes).map_err(storehouse::records::Error::from)?;
    let actual = cid_of(&record);
    if actual != cid {
        let message = format!("the archive is of {actual}");
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "cid_mismatch",
            message,
        ));
    }
    Ok((cid, record))
}

fn stored(there: bool, path: &str, cid: &Cid) -> Response<Body> {
    let mut response = json(
        if there {
            StatusCode::OK
        } else {
            StatusCode::CREATED
        },
        format!("{{\"cid\":\"{cid}\"}}\n"),
    );
    if let Ok(location) = HeaderValue::from_str(&format!("{path}/{cid}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn give(
    kind: &'static str,
    archive: Bytes,
    view: impl FnOnce() -> Result<Vec<u8>, JsonError>,
) -> Answer {
    let body = if kind == CAR {
        Body::from(archive)
    } else {
        view()
            .map_err(|e| {
                let message = format!("{e}: ask for {CAR}");
                ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message)
            })?
            .into()
    };
    let mut response = Response::new(body);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}
