//! The body of a request on its way to a store.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use storehouse::objectstore::{self, BoxError};
use tokio::time::{Instant, Sleep, sleep};

use super::stalled::{FLOW, Pace, Stalled};

/// The body of a request of known length, which fails if it comes too slowly. What one reader
/// leaves unread, the next one goes on with.
#[derive(Clone)]
pub(crate) struct Upload {
    pieces: Arc<Mutex<Pieces>>,
    left: Arc<AtomicU64>,
    size: u64,
}

impl Upload {
    pub(crate) fn new(body: Body, size: u64, pace: Pace) -> Self {
        let left = Arc::new(AtomicU64::new(size));
        let pieces = Pieces {
            pieces: body.into_data_stream(),
            pace,
            waiting: None,
            waited: Duration::ZERO,
            waited_in_all: Duration::ZERO,
            came: 0,
            size,
            left: Arc::clone(&left),
        };
        Self {
            pieces: Arc::new(Mutex::new(pieces)),
            left,
            size,
        }
    }

    /// The bytes that have not been read.
    pub(crate) fn unread(&self) -> u64 {
        self.left.load(Ordering::Relaxed)
    }

    /// What is unread of it, as what a store takes.
    pub(crate) fn body(&self) -> objectstore::Body {
        objectstore::Body::from_stream(self.clone()).with_size(self.unread())
    }

    /// The bytes that were declared.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }
}

impl Stream for Upload {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        pieces.poll_next_unpin(cx)
    }
}

struct Pieces {
    pieces: BodyDataStream,
    pace: Pace,
    /// Set while a piece is waited for.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
    /// How long pieces were waited for since the last [`FLOW`] bytes. The time that the store takes
    /// is not the client's.
    waited: Duration,
    /// The same since the start.
    waited_in_all: Duration,
    /// Bytes since the last [`FLOW`] bytes.
    came: u64,
    size: u64,
    left: Arc<AtomicU64>,
}

impl Pieces {
    fn came_in_all(&self) -> u64 {
        self.size.saturating_sub(self.left.load(Ordering::Relaxed))
    }

    /// How long the next piece may take.
    fn patience(&self) -> Duration {
        let flow = self.pace.timeout.saturating_sub(self.waited);
        let whole = self.pace.allowance(self.came_in_all());
        flow.min(whole.saturating_sub(self.waited_in_all))
    }

    fn stalled(&self) -> Stalled {
        if self.pace.allowance(self.came_in_all()) <= self.waited_in_all {
            Stalled::Slow(self.pace.rate)
        } else {
            Stalled::Stopped(self.pace.timeout)
        }
    }

    /// Ends waiting for a piece.
    fn stop_waiting(&mut self) {
        if let Some((since, _)) = self.waiting.take() {
            self.waited += since.elapsed();
            self.waited_in_all += since.elapsed();
        }
    }
}

impl Stream for Pieces {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(piece) = this.pieces.poll_next_unpin(cx) {
            this.stop_waiting();
            if let Some(Ok(piece)) = &piece {
                let len = piece.len() as u64;
                let left = this.left.load(Ordering::Relaxed);
                this.left.store(left.saturating_sub(len), Ordering::Relaxed);
                this.came += len;
                if this.came >= FLOW {
                    (this.came, this.waited) = (0, Duration::ZERO);
                }
            }
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        let patience = this.patience();
        let (_, timer) = this
            .waiting
            .get_or_insert_with(|| (Instant::now(), Box::pin(sleep(patience))));
        if timer.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        this.stop_waiting();
        Poll::Ready(Some(Err(this.stalled().into())))
    }
}
