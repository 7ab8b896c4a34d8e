//! Putting: which way a body goes up.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hyper::header::{HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use hyper::{Method, StatusCode};

use storehouse_objectstore::{
    Body, Error, Key, Operation, PutMode, PutOptions, PutResult, Result, SizedBody,
};

use crate::answer::{condition, etag_of};
use crate::attributes;
use crate::checksum::sha256_header;
use crate::chunked_upload::{self, Stretch};
use crate::client::{Call, hash};
use crate::error::Failure;
use crate::get::head;
use crate::limits::{MAX_PUT, flaw};
use crate::multipart::put_in_parts;
use crate::probe::takes_trailers;
use crate::retry::Repeat;
use crate::shared::Shared;
use crate::sign::Payload;

/// A stream of at most this many bytes is gathered even if its digest is known: its put can then be
/// sent again, and need not ask first.
const GATHER: u64 = 64 * 1024;

/// Puts an object.
pub(crate) async fn put(
    shared: &Arc<Shared>,
    key: &Key,
    body: Body,
    options: PutOptions,
) -> Result<PutResult> {
    if let Some(reason) = flaw(key.as_str()) {
        return Err(Error::invalid_key(Operation::Put, key.as_str(), reason));
    }
    shared
        .capabilities
        .check_attributes(key, &options.attributes)?;
    let mut body = SizedBody::new(key, body, &options, shared.capabilities.max_size)?;
    let condition = mode_header(shared, key, &options.mode, body.declared())?;
    let put = Put {
        shared,
        key,
        options: &options,
        condition,
    };
    let size = body.declared();
    if let Some(bytes) = body.as_bytes().filter(|_| size <= MAX_PUT) {
        return put.memory(bytes.clone()).await;
    }
    let gathered = if options.sha256.is_some() {
        GATHER.min(shared.part_size)
    } else {
        shared.part_size
    };
    match options.sha256 {
        _ if size <= gathered => put.memory(gather(&mut body).await?).await,
        Some(sha256) if size <= MAX_PUT => put.stream(&mut body, Payload::Sha256(sha256)).await,
        // The condition goes with the one request that was tried when the store was opened.
        None if options.mode != PutMode::Overwrite => {
            let trailer = takes_trailers(shared).await?;
            let payload = Payload::Chunked { len: size, trailer };
            put.stream(&mut body, payload).await
        }
        _ => put_in_parts(shared, key, &mut body, &options).await,
    }
}

/// The header for a mode, if the server honours it.
fn mode_header(
    shared: &Shared,
    key: &Key,
    mode: &PutMode,
    size: u64,
) -> Result<Option<(HeaderName, HeaderValue)>> {
    let unsupported = |feature| {
        Err(Error::Unsupported {
            operation: Operation::Put,
            key: key.clone(),
            feature,
        })
    };
    match mode {
        PutMode::Overwrite => Ok(None),
        PutMode::Create if !shared.capabilities.create => {
            unsupported("creating only what is not there (the server ignores If-None-Match)")
        }
        PutMode::Replace(_) if !shared.capabilities.replace => {
            unsupported("replacing by ETag (the server ignores If-Match)")
        }
        _ if size > MAX_PUT => unsupported("conditional puts of more than 5 GiB"),
        PutMode::Create => Ok(Some((IF_NONE_MATCH, HeaderValue::from_static("*")))),
        PutMode::Replace(etag) => match condition(etag) {
            Some(value) => Ok(Some((IF_MATCH, value))),
            None => Err(Error::Precondition {
                operation: Operation::Put,
                key: key.clone(),
            }),
        },
    }
}

/// One PUT request.
struct Put<'a> {
    shared: &'a Arc<Shared>,
    key: &'a Key,
    options: &'a PutOptions,
    condition: Option<(HeaderName, HeaderValue)>,
}

impl Put<'_> {
    /// The request, for a body with this SHA-256.
    fn call(&self, sha256: Option<[u8; 32]>) -> Call<'_> {
        let mut call = Call::new(Method::PUT, Some(self.key));
        call.headers = attributes::headers(&self.options.attributes);
        call.headers.extend(self.condition.clone());
        call.headers.extend(self.shared.put_headers.all());
        if let Some(sum) = sha256.filter(|_| self.shared.capabilities.checksums) {
            call.headers.push(sha256_header(&sum));
        }
        call.sha256 = sha256;
        // Sent again after an answer that was lost, a condition would be judged against what the
        // first attempt wrote. That does no harm where the key names the content.
        let harmless = self.options.mode == PutMode::Overwrite
            || self.options.mode == PutMode::Create && self.options.content_addressed;
        if !harmless {
            call.repeat = Repeat::IfUntouched;
        }
        call
    }

    async fn memory(&self, bytes: Bytes) -> Result<PutResult> {
        let sha256 = match self.options.sha256 {
            Some(sum) => sum,
            None => hash(&bytes).await,
        };
        let call = self.call(Some(sha256)).body(bytes);
        self.finish(self.shared.client.call_discarding(&call).await)
            .await
    }

    async fn stream(&self, body: &mut SizedBody, payload: Payload) -> Result<PutResult> {
        let mut stretch = Stretch::whole(body);
        let call = self.call(self.options.sha256);
        let sent = chunked_upload::send(&self.shared.client, &call, payload, &mut stretch).await?;
        self.finish(sent.map(|sent| sent.headers)).await
    }

    async fn finish(&self, answer: Result<HeaderMap, Failure>) -> Result<PutResult> {
        match answer {
            Ok(headers) => Ok(PutResult {
                etag: etag_of(&headers),
            }),
            Err(Failure::Broken(broken)) if !broken.sent && self.condition.is_some() => {
                let refuted = self.refuted().await;
                Err(refuted.unwrap_or_else(|| self.error(broken.into())))
            }
            Err(failure) => Err(self.error(failure)),
        }
    }

    /// Whether the condition does not hold. Some servers refuse in the middle of a body and reset
    /// the connection, and their answer is lost with it.
    async fn refuted(&self) -> Option<Error> {
        let key = self.key.clone();
        let there = match head(&self.shared.client, self.key).await {
            Ok(metadata) => Some(metadata.etag),
            Err(e) if e.is_not_found() => None,
            Err(_) => return None,
        };
        match (&self.options.mode, there) {
            (PutMode::Create, Some(_)) => Some(Error::AlreadyExists { key }),
            (PutMode::Replace(wanted), there) if there.as_ref() != Some(wanted) => {
                let operation = Operation::Put;
                Some(Error::Precondition { operation, key })
            }
            _ => None,
        }
    }

    fn error(&self, failure: Failure) -> Error {
        let key = || self.key.clone();
        let client = &self.shared.client;
        let Some(refusal) = failure.refusal() else {
            return client.error(failure, Operation::Put, Some(self.key));
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
            _ => client.error(failure, Operation::Put, Some(self.key)),
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
