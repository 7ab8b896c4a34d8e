//! Bodies of requests: how long they are, and that they keep coming.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use storehouse::objectstore::{self, BoxError};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, Sleep, sleep};

use crate::failure::Failure;
use crate::state::Node;

/// How long an upload waits for its turn.
pub(crate) const TURN: Duration = Duration::from_secs(60);

/// So many bytes of a body must come in
/// [`Limits::body_timeout`](crate::state::Limits::body_timeout), or its rest. Less than that a
/// minute is no upload, but somebody who holds a connection open.
pub(crate) const FLOW: u64 = 16 * 1024;

/// The length that a request declares.
pub(crate) fn declared(headers: &HeaderMap, most: u64) -> Result<u64, Failure> {
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    match length {
        Some(length) if !headers.contains_key(TRANSFER_ENCODING) => match length > most {
            true => Err(Failure::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("at most {most} bytes are taken here"),
            )),
            false => Ok(length),
        },
        _ => Err(Failure::new(
            StatusCode::LENGTH_REQUIRED,
            "length_required",
            "a Content-Length is needed, also instead of chunks",
        )),
    }
}

/// A body that is to be held in memory, and the room in memory that it has until both are dropped.
pub(crate) async fn collect<'n>(
    node: &'n Node,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, SemaphorePermit<'n>), Failure> {
    let size = declared(headers, node.limits.record_size).map_err(Failure::closing)?;
    let kib = u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX);
    let Ok(Ok(room)) = tokio::time::timeout(TURN, node.record_memory.acquire_many(kib)).await
    else {
        return Err(busy());
    };
    let bytes = Upload::new(body, size, node.limits.body_timeout)
        .into_body()
        .collect(size)
        .await;
    match bytes {
        Ok(bytes) if bytes.len() as u64 == size => Ok((bytes, room)),
        Ok(_) => Err(Failure::bad_request(
            "incomplete_body",
            "the body ended before the length declared",
        )
        .closing()),
        Err(error) => Err(Failure::of_body(&error)),
    }
}

/// Too much is under way, and waiting for its end took too long.
pub(crate) fn busy() -> Failure {
    Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "busy",
        "too many uploads are under way; try again later",
    )
    .closing()
}

/// The body of a request of known length, which fails if it stops coming.
pub(crate) struct Upload {
    pieces: BodyDataStream,
    timeout: Duration,
    /// Set while a piece is waited for.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// How long pieces were waited for since the last [`FLOW`] bytes: the time that the store takes
    /// is not the client's.
    waited: Duration,
    /// Bytes since then.
    came: u64,
    left: Unread,
    size: u64,
}

/// How much of a body has not been read.
#[derive(Clone)]
pub(crate) struct Unread(Arc<AtomicU64>);

impl Unread {
    pub(crate) fn is_unread(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// Too little of a body came for too long.
#[derive(Debug)]
pub(crate) struct Stalled(Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fewer than {FLOW} bytes of the body came in {} seconds",
            self.0.as_secs()
        )
    }
}

impl std::error::Error for Stalled {}

impl Upload {
    pub(crate) fn new(body: Body, size: u64, timeout: Duration) -> Self {
        let left = Unread(Arc::new(AtomicU64::new(size)));
        Self {
            pieces: body.into_data_stream(),
            timeout,
            waiting: None,
            waited: Duration::ZERO,
            came: 0,
            left,
            size,
        }
    }

    pub(crate) fn unread(&self) -> Unread {
        self.left.clone()
    }

    /// As what a store takes.
    pub(crate) fn into_body(self) -> objectstore::Body {
        let size = self.size;
        objectstore::Body::from_stream(self).with_size(size)
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Poll::Ready(piece) = this.pieces.poll_next_unpin(cx) {
            if let Some((since, _)) = this.waiting.take() {
                this.waited += since.elapsed();
            }
            if let Some(Ok(piece)) = &piece {
                this.left.0.fetch_sub(piece.len() as u64, Ordering::Relaxed);
                this.came += piece.len() as u64;
                if this.came >= FLOW {
                    (this.came, this.waited) = (0, Duration::ZERO);
                }
            }
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        let left = this.timeout.saturating_sub(this.waited);
        let (_, timer) = this
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Some(Err(Stalled(this.timeout).into())))
    }
}
