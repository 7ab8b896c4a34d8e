//! `/allocations` and `/acceptances`: records of a blob in a space.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use storehouse::records::{Acceptance, Allocation, BlobRef, Did, Error};

use super::from_json::from_json;
use crate::answer::{Answer, json};
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::clock::now;
use crate::content_negotiation::{self, CBOR, JSON};
use crate::fair_share::Client;
use crate::parse::{self, Segment};
use crate::request_body::collect;

/// Of which space a record is wanted.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InSpace {
    space: Option<String>,
}

type SpaceQuery = Result<Query<InSpace>, QueryRejection>;

/// What the two kinds of record have in common.
trait Record: Serialize + DeserializeOwned + Send + 'static {
    const PATH: &'static str;
    fn encode(&self) -> Bytes;
    fn decode(bytes: &[u8]) -> Result<Self, Error>;
    fn blob(&self) -> &BlobRef;
    fn space(&self) -> &Did;
}

impl Record for Allocation {
    const PATH: &'static str = "/allocations";
    fn encode(&self) -> Bytes {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(bytes)
    }
    fn blob(&self) -> &BlobRef {
        &self.blob
    }
    fn space(&self) -> &Did {
        &self.space
    }
}

impl Record for Acceptance {
    const PATH: &'static str = "/acceptances";
    fn encode(&self) -> Bytes {
        self.encode()
    }
    fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::decode(bytes)
    }
    fn blob(&self) -> &BlobRef {
        self.blob()
    }
    fn space(&self) -> &Did {
        self.space()
    }
}

pub(crate) async fn post_allocation(
    State(node): State<Arc<AppState>>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let allocation: Allocation = take(&node, client, &headers, body).await?;
    node.records().allocations.put(&allocation).await?;
    node.forget_size(&allocation.blob.digest);
    created(&allocation)
}

pub(crate) async fn post_acceptance(
    State(node): State<Arc<AppState>>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let acceptance: Acceptance = take(&node, client, &headers, body).await?;
    node.records().acceptances.put(&acceptance).await?;
    created(&acceptance)
}

/// The allocation in the space asked for; without one, some allocation, a live one if there is one.
pub(crate) async fn get_allocation(
    State(node): State<Arc<AppState>>,
    digest: Segment,
    query: SpaceQuery,
    headers: HeaderMap,
) -> Answer {
    let (digest, allocations) = (parse::digest_segment(digest)?, &node.records().allocations);
    let found = match space(query)? {
        Some(space) => Some(allocations.get(&digest, &space).await?),
        None => match allocations.get_any_non_expired(&digest, now()).await? {
            Some(live) => Some(live),
            None => allocations.get_any(&digest).await?,
        },
    };
    give(&headers, found)
}

/// The acceptance in the space asked for; without one, some acceptance.
pub(crate) async fn get_acceptance(
    State(node): State<Arc<AppState>>,
    digest: Segment,
    query: SpaceQuery,
    headers: HeaderMap,
) -> Answer {
    let (digest, acceptances) = (parse::digest_segment(digest)?, &node.records().acceptances);
    let found = match space(query)? {
        Some(space) => Some(acceptances.get(&digest, &space).await?),
        None => acceptances.get_any(&digest).await?,
    };
    give(&headers, found)
}

fn space(query: SpaceQuery) -> Result<Option<Did>, ApiError> {
    let Query(InSpace { space }) =
        query.map_err(|e| ApiError::bad_request("invalid_query", e.body_text()))?;
    space
        .map(|space| {
            space.parse().map_err(|e: storehouse::formats::Error| {
                ApiError::bad_request("invalid_did", e.to_string())
            })
        })
        .transpose()
}

/// A record from a request's body.
async fn take<R: Record>(
    node: &AppState,
    client: Client,
    headers: &HeaderMap,
    body: Body,
) -> Result<R, ApiError> {
    let kind = content_negotiation::sent(headers, &[JSON, CBOR]).map_err(ApiError::closing)?;
    let (bytes, _room) = collect(node, client, headers, body).await?;
    let len = bytes.len();
    let decode = move || {
        if kind == CBOR {
            Ok(R::decode(&bytes)?)
        } else {
            from_json(&bytes)
        }
    };
    node.blocking.run(client, len, decode).await
}

fn created<R: Record>(record: &R) -> Answer {
    let mut response = as_json(StatusCode::CREATED, record)?;
    let space = escaped(&record.space().to_string());
    if let Ok(location) = HeaderValue::from_str(&format!(
        "{}/{}?space={space}",
        R::PATH,
        record.blob().digest
    )) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

/// A text as a value in a query. `&` and `+`, which a DID may have, mean something else there.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(byte.into()),
            b'-' | b'.' | b'_' | b'~' | b':' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn give<R: Record>(headers: &HeaderMap, record: Option<R>) -> Answer {
    let kind = content_negotiation::wanted(headers, &[JSON, CBOR])?;
    let record = record.ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is no such record",
        )
    })?;
    if kind == JSON {
        return as_json(StatusCode::OK, &record);
    }
    let mut response = Response::new(Body::from(record.encode()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(CBOR));
    Ok(response)
}

fn as_json(status: StatusCode, record: &impl Serialize) -> Answer {
    let text = serde_json::to_string(record)
        .map_err(|e| ApiError::bad_request("invalid_record", e.to_string()))?;
    Ok(json(status, text + "\n"))
}
