//! The body of a get: pieces of a useful size, and a new request where a connection breaks.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use hyper::Method;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header::{HeaderValue, IF_MATCH, RANGE};

use storehouse_objectstore::{Body, ETag, Error, ErrorClass, Key, Metadata, Operation, Result};

use crate::answer::{condition, describe, is_strong};
use crate::client::{Call, Client};
use crate::error::{Broken, Cause, Failure};
use crate::retry::{Repeat, Retries};

/// The least that a piece of a body has, but the last: smaller ones are joined.
const MIN_PIECE: usize = 64 * 1024;

/// The most that it has.
const MAX_PIECE: usize = 1 << 20;

/// A body that is being read.
///
/// If the connection breaks, the rest is asked for with `If-Match`, so that all bytes are of one
/// version. That needs a strong tag. The attempts and the budget are those of one request; they
/// start anew once a piece was given.
pub(crate) struct Reading {
    client: Arc<Client>,
    key: Key,
    body: Incoming,
    etag: ETag,
    size: u64,
    range: Range<u64>,
    /// What came and was too much for the last piece.
    rest: Bytes,
    received: u64,
    /// The attempts of getting the body to flow again.
    retries: Option<Retries>,
}

/// The pieces of `reading` as a body.
pub(crate) fn body(reading: Reading) -> Body {
    let len = reading.range.end - reading.range.start;
    let pieces = stream::unfold(Some(reading), |reading| async move {
        let mut reading = reading?;
        match reading.next().await? {
            Ok(piece) => Some((Ok(piece), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Body::from_stream(pieces).with_size(len)
}

/// The error if an object is not the one any more whose beginning was read.
pub(crate) fn replaced(client: &Client, key: &Key) -> Error {
    Error::Backend {
        operation: Operation::Get,
        key: Some(key.clone()),
        class: ErrorClass::Transient,
        message: format!(
            "{}: the object was replaced while it was read, and the connection had broken",
            client.describe()
        ),
        source: None,
    }
}

impl Reading {
    /// The body of an answer that gives `range` of the object.
    pub(crate) fn new(
        client: &Arc<Client>,
        key: &Key,
        body: Incoming,
        range: Range<u64>,
        metadata: &Metadata,
    ) -> Self {
        Self {
            client: Arc::clone(client),
            key: key.clone(),
            body,
            etag: metadata.etag.clone(),
            size: metadata.size,
            range,
            rest: Bytes::new(),
            received: 0,
            retries: None,
        }
    }

    fn expected(&self) -> u64 {
        self.range.end - self.range.start
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        let mut piece = std::mem::take(&mut self.rest);
        let mut joined: Option<BytesMut> = None;
        while joined.as_ref().map_or(piece.len(), BytesMut::len) < MIN_PIECE
            && self.received < self.expected()
        {
            let more = match self.more().await {
                Ok(more) => more,
                Err(error) => return Some(Err(error)),
            };
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
        self.retries = None;
        let mut piece = joined.map_or(piece, BytesMut::freeze);
        if piece.len() > MAX_PIECE {
            self.rest = piece.split_off(MAX_PIECE);
        }
        (!piece.is_empty()).then_some(Ok(piece))
    }

    /// The next bytes, of this connection or of the one that follows it.
    async fn more(&mut self) -> Result<Bytes> {
        loop {
            let broken = match self.client.transport().piece(&mut self.body).await {
                Some(Ok(more)) => {
                    self.received += more.len() as u64;
                    if self.received > self.expected() {
                        return Err(self.client.unexpected(
                            Operation::Get,
                            Some(&self.key),
                            "gave more bytes than it said",
                        ));
                    }
                    return Ok(more);
                }
                Some(Err(broken)) => broken,
                None => Broken {
                    cause: Cause::Cut,
                    sent: true,
                    source: None,
                },
            };
            self.resume(broken).await?;
        }
    }

    /// Asks for the rest, as often as the retry policy allows.
    async fn resume(&mut self, broken: Broken) -> Result<()> {
        let mut failure = Failure::Broken(broken);
        let Some(etag) = condition(&self.etag).filter(|_| is_strong(&self.etag)) else {
            return Err(self.ended(failure));
        };
        loop {
            let retries = self.retries.get_or_insert_with(|| self.client.retries());
            let Some(pause) = retries.next(&failure, Repeat::Always) else {
                return Err(self.ended(failure));
            };
            tokio::time::sleep(pause).await;
            match self.rest_of_it(&etag).await {
                Ok(body) => {
                    self.body = body;
                    return Ok(());
                }
                Err(Resumed::Changed) => return Err(replaced(&self.client, &self.key)),
                // It cannot give the rest alone: the break is what there is to tell.
                Err(Resumed::Failed(Failure::Wrong(_))) => return Err(self.ended(failure)),
                Err(Resumed::Failed(again)) => failure = again,
            }
        }
    }

    async fn rest_of_it(&self, etag: &HeaderValue) -> Result<Incoming, Resumed> {
        let start = self.range.start + self.received;
        let last = self.range.end - 1;
        let value = HeaderValue::from_str(&format!("bytes={start}-{last}"))
            .map_err(|_| Resumed::Failed(Failure::Wrong("gave a range without end".into())))?;
        let mut call = Call::new(Method::GET, Some(&self.key))
            .header(RANGE, value)
            .header(IF_MATCH, etag.clone());
        // The attempts are counted here.
        call.attempts = Some(1);
        let answer = match self.client.call(&call).await {
            Ok(answer) => answer,
            Err(failure) => {
                let gone = failure.refusal().is_some_and(|refusal| {
                    matches!(
                        refusal.status,
                        StatusCode::PRECONDITION_FAILED | StatusCode::RANGE_NOT_SATISFIABLE
                    ) || refusal.is_not_found()
                });
                return Err(if gone {
                    Resumed::Changed
                } else {
                    Resumed::Failed(failure)
                });
            }
        };
        let (head, body) = answer.into_parts();
        let wrong = |what: String| Resumed::Failed(Failure::Wrong(what));
        let found = describe(head.status, &head.headers).map_err(wrong)?;
        let same_size = found.size.is_none_or(|size| size == self.size);
        if found.etag != self.etag || !same_size {
            return Err(Resumed::Changed);
        }
        if found.range != Some(start..self.range.end) {
            return Err(wrong("did not give the rest of the object".into()));
        }
        Ok(body)
    }

    /// The error once nothing more can be had.
    fn ended(&self, failure: Failure) -> Error {
        match failure {
            Failure::Broken(Broken {
                cause: Cause::Cut,
                source,
                ..
            }) => Error::Truncated {
                key: self.key.clone(),
                expected: self.expected(),
                received: self.received,
                source,
            },
            failure => self.client.error(failure, Operation::Get, Some(&self.key)),
        }
    }
}

/// Why the rest of a body is not there.
enum Resumed {
    /// The object is another one now, or gone.
    Changed,
    Failed(Failure),
}
