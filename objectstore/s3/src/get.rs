//! Reading: one request, whose answer is held against what was asked for.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use futures_util::stream;
use hyper::body::Incoming;
use hyper::header::{
    CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, LAST_MODIFIED, RANGE,
};
use hyper::{Method, StatusCode};

use storehouse_objectstore::{
    Body, ByteRange, ETag, Error, ErrorClass, GetOptions, Key, Metadata, Object, Operation, Result,
};

use super::client::{Call, Client};
use super::failure::Failure;
use super::put::MAX_OBJECT;
use super::transport::What;

/// The least that a piece of a body has, but the last: what comes in smaller ones is put together.
const MIN_PIECE: usize = 64 * 1024;

/// The most that it has.
const MAX_PIECE: usize = 1 << 20;

impl Client {
    pub(super) async fn get(self: &Arc<Self>, key: &Key, options: GetOptions) -> Result<Object> {
        let range = options.range.unwrap_or(ByteRange::WHOLE);
        let mut call = Call::new(Method::GET, Some(key));
        // What the largest object does not satisfy, none does: no header says some of it, and
        // servers take others for mistakes. The error lacks the object's size alone.
        if range.resolve(MAX_OBJECT).is_none() {
            return Err(self.unsatisfiable(key, &options, None).await);
        }
        // Servers take numbers past 2^63 for mistakes.
        if let Some(value) = range
            .within(MAX_OBJECT)
            .to_http()
            .and_then(|text| HeaderValue::from_str(&text).ok())
        {
            call.headers.push((RANGE, value));
        }
        if let Some(etag) = &options.if_match {
            match condition(etag) {
                Some(value) => call.headers.push((IF_MATCH, value)),
                None => return Err(self.unsatisfiable(key, &options, None).await),
            }
        }
        if let Some(value) = options.if_none_match.as_ref().and_then(condition) {
            call.headers.push((IF_NONE_MATCH, value));
        }
        let answer = match self.call(&call).await {
            // Some servers fail at a suffix longer than the object, which is all of it.
            Err(failure) if failure.is_breakdown() && self.is_whole(key, range).await => {
                call.headers.retain(|(name, _)| *name != RANGE);
                self.call(&call).await
            }
            answer => answer,
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return Err(self.get_error(key, &options, failure).await),
        };
        let (head, body) = answer.into_parts();
        let (metadata, given) = match described(head.status, &head.headers) {
            Some(described) => described,
            // An empty object's range, as some servers describe it, is none.
            None if options.range.is_some() => {
                return Err(self.unsatisfiable(key, &options, None).await);
            }
            None => {
                return Err(self.unexpected(
                    Operation::Get,
                    key,
                    "gave an object without its size, range or ETag",
                ));
            }
        };
        // Not every server looks at every condition, and servers clamp ranges.
        options.check_conditions(key, &metadata.etag)?;
        let asked = options.resolve_range(key, metadata.size)?;
        if asked != given {
            return Err(self.unexpected(
                Operation::Get,
                key,
                &format!("gave the bytes {given:?} for {asked:?}"),
            ));
        }
        let body = self.body(key.clone(), body, given.end - given.start);
        Ok(Object {
            metadata,
            range: given,
            body,
        })
    }

    pub(super) async fn head(&self, key: &Key) -> Result<Metadata> {
        let answer = match self.call(&Call::new(Method::HEAD, Some(key))).await {
            Ok(answer) => answer,
            Err(failure) => {
                // The answer to a HEAD does not say why: ask again in a way that is told.
                let untold = failure.refusal().is_some_and(|refusal| {
                    refusal.code.is_empty() && refusal.status == StatusCode::BAD_REQUEST
                });
                let told = if untold {
                    self.first_byte(key).await
                } else {
                    None
                };
                return Err(self.error(told.unwrap_or(failure), Operation::Head, Some(key)));
            }
        };
        match described(answer.status(), answer.headers()) {
            Some((metadata, _)) => Ok(metadata),
            None => Err(self.unexpected(
                Operation::Head,
                key,
                "described an object without its size or ETag",
            )),
        }
    }

    async fn first_byte(&self, key: &Key) -> Option<Failure> {
        let mut call = Call::new(Method::GET, Some(key));
        call.headers
            .push((RANGE, HeaderValue::from_static("bytes=0-0")));
        self.call(&call).await.err()
    }

    /// Whether the range is a suffix that the server should have cut to the whole object.
    async fn is_whole(&self, key: &Key, range: ByteRange) -> bool {
        range.is_clamped_suffix()
            && self
                .head(key)
                .await
                .is_ok_and(|metadata| range.resolve(metadata.size) == Some(0..metadata.size))
    }

    async fn get_error(&self, key: &Key, options: &GetOptions, failure: Failure) -> Error {
        match failure
            .refusal()
            .map(|refusal| (refusal.status, refusal.size))
        {
            Some((StatusCode::NOT_MODIFIED, _)) => Error::NotModified { key: key.clone() },
            Some((StatusCode::PRECONDITION_FAILED, _)) => Error::Precondition {
                operation: Operation::Get,
                key: key.clone(),
            },
            Some((StatusCode::RANGE_NOT_SATISFIABLE, size)) => {
                self.unsatisfiable(key, options, size).await
            }
            // Some servers fail at a range that the object does not have.
            _ if options.range.is_some() && failure.is_breakdown() => {
                match self.unsatisfiable(key, options, None).await {
                    Error::Backend { .. } => self.error(failure, Operation::Get, Some(key)),
                    error => error,
                }
            }
            _ => self.error(failure, Operation::Get, Some(key)),
        }
    }

    /// The error for a range or a condition that cannot be met, from the object's size if the
    /// server said it and conditions do not matter, else from a HEAD.
    async fn unsatisfiable(&self, key: &Key, options: &GetOptions, size: Option<u64>) -> Error {
        let unconditional = options.if_match.is_none() && options.if_none_match.is_none();
        let size = match size {
            Some(size) if unconditional => Ok(size),
            _ => self
                .head(key)
                .await
                .map_err(|e| of_get(e, key))
                .and_then(|metadata| {
                    options.check_conditions(key, &metadata.etag)?;
                    Ok(metadata.size)
                }),
        };
        match size {
            Err(error) => error,
            Ok(size) => match options.resolve_range(key, size) {
                Err(error) => error,
                Ok(_) => self.unexpected(
                    Operation::Get,
                    key,
                    "did not give a range that the object has",
                ),
            },
        }
    }

    pub(super) fn unexpected(&self, operation: Operation, key: &Key, what: &str) -> Error {
        Error::Backend {
            operation,
            key: Some(key.clone()),
            class: ErrorClass::Fatal,
            message: format!("{} {what}", self.endpoint().describe()),
            source: None,
        }
    }

    fn body(self: &Arc<Self>, key: Key, body: Incoming, len: u64) -> Body {
        let reading = Reading {
            client: Arc::clone(self),
            key,
            body,
            rest: Bytes::new(),
            expected: len,
            received: 0,
        };
        let pieces = stream::unfold(Some(reading), |reading| async move {
            let mut reading = reading?;
            match reading.next().await? {
                Ok(piece) => Some((Ok(piece), Some(reading))),
                Err(error) => Some((Err(error), None)),
            }
        });
        Body::from_stream(pieces).with_size(len)
    }
}

/// A body that is being read.
struct Reading {
    client: Arc<Client>,
    key: Key,
    body: Incoming,
    /// What came and was too much for the last piece.
    rest: Bytes,
    expected: u64,
    received: u64,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes>> {
        let mut piece = std::mem::take(&mut self.rest);
        let mut joined: Option<BytesMut> = None;
        while joined.as_ref().map_or(piece.len(), BytesMut::len) < MIN_PIECE
            && self.received < self.expected
        {
            match self.client.transport().piece(&mut self.body).await {
                Some(Ok(more)) => {
                    self.received += more.len() as u64;
                    if piece.is_empty() {
                        piece = more;
                    } else {
                        let joined = joined.get_or_insert_with(|| {
                            let mut joined = BytesMut::with_capacity(2 * MIN_PIECE);
                            joined.extend_from_slice(&piece);
                            joined
                        });
                        joined.extend_from_slice(&more);
                    }
                }
                None => return Some(Err(self.truncated())),
                Some(Err(broken)) if broken.what == What::Cut => {
                    return Some(Err(self.truncated()));
                }
                Some(Err(broken)) => {
                    return Some(Err(self.client.error(
                        broken.into(),
                        Operation::Get,
                        Some(&self.key),
                    )));
                }
            }
        }
        let mut piece = joined.map_or(piece, BytesMut::freeze);
        if piece.len() > MAX_PIECE {
            self.rest = piece.split_off(MAX_PIECE);
        }
        (!piece.is_empty()).then_some(Ok(piece))
    }

    fn truncated(&self) -> Error {
        Error::Truncated {
            key: self.key.clone(),
            expected: self.expected,
            received: self.received,
        }
    }
}

/// An error of a HEAD that was done for a get.
fn of_get(error: Error, key: &Key) -> Error {
    match error {
        Error::NotFound { .. } => Error::not_found(Operation::Get, key),
        Error::Backend {
            key,
            class,
            message,
            source,
            ..
        } => Error::Backend {
            operation: Operation::Get,
            key,
            class,
            message,
            source,
        },
        other => other,
    }
}

/// The whole object's metadata and which of its bytes the answer gives.
fn described(status: StatusCode, headers: &HeaderMap) -> Option<(Metadata, Range<u64>)> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let (size, range) = match status {
        StatusCode::PARTIAL_CONTENT => {
            let (range, size) = text(CONTENT_RANGE)?
                .strip_prefix("bytes ")?
                .split_once('/')?;
            let (first, last) = range.split_once('-')?;
            (
                size.parse().ok()?,
                first.parse().ok()?..last.parse::<u64>().ok()?.checked_add(1)?,
            )
        }
        _ => {
            let size = text(CONTENT_LENGTH)?.parse().ok()?;
            (size, 0..size)
        }
    };
    if range.start > range.end || range.end > size {
        return None;
    }
    let etag = etag(text(ETAG)?);
    let last_modified = text(LAST_MODIFIED)
        .and_then(|time| DateTime::parse_from_rfc2822(time).ok())
        .map(Into::into);
    Some((
        Metadata {
            size,
            etag,
            last_modified,
        },
        range,
    ))
}

/// A server's tag, with quotes even if it gave none.
pub(super) fn etag(text: &str) -> ETag {
    if text.ends_with('"') {
        ETag::new(text)
    } else {
        ETag::new(format!("\"{text}\""))
    }
}

/// A tag as the value of a condition; `None` if no object can have it, and it must not reach a
/// server as a pattern.
pub(super) fn condition(etag: &ETag) -> Option<HeaderValue> {
    let text = etag.as_str();
    let bare = text.strip_prefix("W/").unwrap_or(text);
    let inner = bare
        .strip_prefix('"')
        .and_then(|inner| inner.strip_suffix('"'))
        .unwrap_or(bare);
    let plain = !inner.is_empty()
        && inner != "*"
        && inner
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'"' && b != b',');
    let quoted = if bare.starts_with('"') {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    };
    plain.then(|| HeaderValue::from_str(&quoted).ok()).flatten()
}
