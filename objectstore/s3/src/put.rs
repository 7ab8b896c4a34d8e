//! Putting: which way a body goes up.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, Response, StatusCode};

use storehouse_objectstore::{
    Body, Error, Key, Operation, PutMode, PutOptions, PutResult, Result, SizedBody,
};

use super::client::{Call, Client};
use super::failure::Failure;
use super::get::{condition, etag};
use super::sign::Payload;
use super::store::{Shared, flaw};
use super::streamed::Pieces;

/// The largest object that one PUT stores, in bytes (inclusive).
pub(super) const MAX_PUT: u64 = 5 << 30;

/// The largest object, in bytes (inclusive).
pub(super) const MAX_OBJECT: u64 = 5 << 40;

/// A stream of at most this many bytes is gathered even if its digest is known: its put can then be
/// tried again, and need not ask first.
const GATHER: u64 = 64 * 1024;

impl Shared {
    pub(super) async fn put(
        self: &Arc<Self>,
        key: &Key,
        body: Body,
        options: PutOptions,
    ) -> Result<PutResult> {
        if let Some(reason) = flaw(key.as_str()) {
            return Err(Error::invalid_key(Operation::Put, key.as_str(), reason));
        }
        let mut body = SizedBody::new(key, body, &options, self.capabilities.max_size)?;
        let headers = self.condition(key, &options.mode, body.declared())?;
        let put = Put {
            client: &self.client,
            key,
            options: &options,
            headers,
        };
        let size = body.declared();
        if let Some(bytes) = body.as_bytes().filter(|_| size <= MAX_PUT) {
            return put.memory(bytes.clone()).await;
        }
        let gathered = if options.sha256.is_some() {
            GATHER.min(self.part_size)
        } else {
            self.part_size
        };
        match options.sha256 {
            _ if size <= gathered => put.memory(gather(&mut body).await?).await,
            Some(sha256) if size <= MAX_PUT => put.stream(&mut body, Payload::Sha256(sha256)).await,
            // The condition goes with the one request that was tried when the store was opened.
            None if options.mode != PutMode::Overwrite => {
                put.stream(&mut body, Payload::Chunked(size)).await
            }
            _ => self.put_in_parts(key, &mut body, &options).await,
        }
    }

    /// The headers for a mode, if the server honours it.
    fn condition(
        &self,
        key: &Key,
        mode: &PutMode,
        size: u64,
    ) -> Result<Vec<(HeaderName, HeaderValue)>> {
        let unsupported = |feature| {
            Err(Error::Unsupported {
                operation: Operation::Put,
                key: key.clone(),
                feature,
            })
        };
        match mode {
            PutMode::Overwrite => Ok(Vec::new()),
            PutMode::Create if !self.capabilities.create => {
                unsupported("creating only what is not there (the server ignores If-None-Match)")
            }
            PutMode::Replace(_) if !self.capabilities.replace => {
                unsupported("replacing by ETag (the server ignores If-Match)")
            }
            _ if size > MAX_PUT => unsupported("conditional puts of more than 5 GiB"),
            PutMode::Create => Ok(vec![(IF_NONE_MATCH, HeaderValue::from_static("*"))]),
            PutMode::Replace(etag) => match condition(etag) {
                Some(value) => Ok(vec![(IF_MATCH, value)]),
                None => Err(Error::Precondition {
                    operation: Operation::Put,
                    key: key.clone(),
                }),
            },
        }
    }
}

/// One PUT request.
struct Put<'a> {
    client: &'a Arc<Client>,
    key: &'a Key,
    options: &'a PutOptions,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Put<'_> {
    fn call(&self) -> Call<'_> {
        let mut call = Call::new(Method::PUT, Some(self.key));
        call.headers = self.headers.clone();
        call.headers.push((
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        ));
        call.sha256 = self.options.sha256;
        // Sent again after an answer that was lost, a condition would be judged against what the
        // first try wrote.
        call.once = self.options.mode != PutMode::Overwrite;
        call
    }

    async fn memory(&self, bytes: Bytes) -> Result<PutResult> {
        let call = Call {
            body: bytes,
            ..self.call()
        };
        self.finish(self.client.call(&call).await).await
    }

    async fn stream(&self, body: &mut SizedBody, payload: Payload) -> Result<PutResult> {
        let pieces = Pieces::whole(body);
        self.finish(self.client.stream(&self.call(), payload, pieces).await?)
            .await
    }

    async fn finish(&self, answer: Result<Response<Incoming>, Failure>) -> Result<PutResult> {
        match answer {
            Ok(answer) => {
                let tag = answer
                    .headers()
                    .get(ETAG)
                    .and_then(|value| value.to_str().ok())
                    .map(etag);
                self.client.drain(answer).await;
                match tag {
                    Some(etag) => Ok(PutResult { etag }),
                    None => Err(self.client.unexpected(
                        Operation::Put,
                        self.key,
                        "took an object and gave no ETag",
                    )),
                }
            }
            Err(failure) => Err(self.error(failure)),
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let key = || self.key.clone();
        let Some(refusal) = failure.refusal() else {
            return self.client.error(failure, Operation::Put, Some(self.key));
        };
        match (&self.options.mode, refusal.status) {
            (PutMode::Create, StatusCode::PRECONDITION_FAILED) => {
                Error::AlreadyExists { key: key() }
            }
            (PutMode::Replace(_), StatusCode::PRECONDITION_FAILED) => Error::Precondition {
                operation: Operation::Put,
                key: key(),
            },
            // Some servers answer so if there is nothing to replace.
            (PutMode::Replace(_), _) if refusal.is_not_found() => Error::Precondition {
                operation: Operation::Put,
                key: key(),
            },
            _ if refusal.is_bad_payload() && self.options.sha256.is_some() => {
                Error::ChecksumMismatch { key: key() }
            }
            _ => self.client.error(failure, Operation::Put, Some(self.key)),
        }
    }
}

/// The whole of a small body; the declared size is not trusted with an allocation.
async fn gather(body: &mut SizedBody) -> Result<Bytes> {
    let mut first = Bytes::new();
    let mut all: Option<BytesMut> = None;
    while let Some(piece) = body.next().await.transpose()? {
        if first.is_empty() {
            first = piece;
        } else {
            all.get_or_insert_with(|| BytesMut::from(first.as_ref()))
                .extend_from_slice(&piece);
        }
    }
    Ok(all.map_or(first, BytesMut::freeze))
}
