//! The body of a request on its way out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep, sleep};

/// How long a body is held back for the server's word that it wants it. Servers that never say it
/// get the body then.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest piece that a body in memory is handed to the connection in, so that progress shows.
/// Larger bodies are held back: a refusal then comes before the body goes out, and not as a broken
/// connection in the middle of it.
const PIECE: usize = 256 * 1024;

pub(super) struct Outgoing {
    source: Source,
    left: u64,
    held: Held,
    progress: Arc<Progress>,
}

enum Source {
    Memory(Bytes),
    Channel(mpsc::Receiver<Bytes>),
}

enum Held {
    /// Until the server wants the body; the time runs from the first poll, when the request's head
    /// goes out.
    Unsent,
    Waiting(Pin<Box<Sleep>>),
    No,
}

/// The sender of a body went away before all of it was there: the connection must not end as if it
/// were whole.
#[derive(Debug, thiserror::Error)]
#[error("the body was given up")]
pub(super) struct GivenUp;

impl Outgoing {
    /// A body in memory, held back if it is large.
    pub(super) fn memory(bytes: Bytes) -> Self {
        let held = if bytes.len() > PIECE {
            Held::Unsent
        } else {
            Held::No
        };
        Self::new(bytes.len() as u64, Source::Memory(bytes), held)
    }

    /// A body of `len` bytes that come through a channel, held back. If the sender goes before that
    /// many came, the connection is cut.
    pub(super) fn channel(len: u64) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        (
            sender,
            Self::new(len, Source::Channel(receiver), Held::Unsent),
        )
    }

    fn new(left: u64, source: Source, held: Held) -> Self {
        let progress = Progress {
            start: Instant::now(),
            last: AtomicU64::new(0),
            on_caller: AtomicBool::new(false),
            // Without a body to hold back the request is out as soon as there is a connection.
            begun: watch::Sender::new(matches!(held, Held::No)),
            released: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        Self {
            source,
            left,
            held,
            progress: Arc::new(progress),
        }
    }

    pub(super) fn is_held(&self) -> bool {
        !matches!(self.held, Held::No)
    }

    pub(super) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn poll_released(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.held, Held::Unsent) {
            self.held = Held::Waiting(Box::pin(sleep(CONTINUE_TIMEOUT)));
        }
        if let Held::Waiting(timer) = &mut self.held {
            self.progress.waker.register(cx.waker());
            if !self.progress.released.load(Ordering::Acquire) {
                ready!(timer.as_mut().poll(cx));
            }
            self.held = Held::No;
            self.progress.begun.send_replace(true);
        }
        Poll::Ready(())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut self.source {
            Source::Memory(bytes) => Poll::Ready(Some(bytes.split_to(bytes.len().min(PIECE)))),
            Source::Channel(receiver) => {
                let piece = receiver.poll_recv(cx);
                self.progress
                    .on_caller
                    .store(piece.is_pending(), Ordering::Release);
                piece
            }
        }
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = GivenUp;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, GivenUp>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        ready!(this.poll_released(cx));
        this.progress.touch();
        Poll::Ready(Some(match ready!(this.poll_piece(cx)) {
            Some(piece) => {
                this.left = this.left.saturating_sub(piece.len() as u64);
                this.progress.touch();
                Ok(Frame::data(piece))
            }
            None => Err(GivenUp),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What a body on its way tells the one who waits for the answer.
pub(super) struct Progress {
    start: Instant,
    /// When the server last took something, in milliseconds since the start.
    last: AtomicU64,
    /// The next piece is the caller's to give: silence is not the server's fault.
    on_caller: AtomicBool,
    /// Something that the server may act on was sent.
    begun: watch::Sender<bool>,
    released: AtomicBool,
    waker: AtomicWaker,
}

impl Progress {
    /// The server wants the body.
    pub(super) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.waker.wake();
        self.touch();
    }

    pub(super) fn has_begun(&self) -> bool {
        *self.begun.borrow()
    }

    /// Until the body begins to go out.
    pub(super) async fn begun(&self) {
        // The sender lives as long as this does.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// For how long the server has taken nothing.
    pub(super) fn silence(&self) -> Duration {
        if self.on_caller.load(Ordering::Acquire) {
            return Duration::ZERO;
        }
        self.start
            .elapsed()
            .saturating_sub(Duration::from_millis(self.last.load(Ordering::Acquire)))
    }

    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Release);
    }
}
