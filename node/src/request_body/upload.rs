//! The body of a request on its way to a store.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use storehouse::objectstore::{self, BoxError};
use tokio::time::{Instant, Sleep, sleep};

use super::stalled::{FLOW, Stalled};

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
