//! The body of a request while it is sent.

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

/// How long a body is held back for the server's `100 Continue`. Servers that never send it get the
/// body then.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// The largest piece of a body in memory that is handed to the connection, so that progress shows.
/// Larger bodies are held back: a refusal then comes before the body is sent, and not as a broken
/// connection in the middle of it.
const PIECE: usize = 256 * 1024;

/// A body that may be held back until the server asks for it.
pub(crate) struct RequestBody {
    source: BodySource,
    left: u64,
    hold: Hold,
    patience: Duration,
    progress: Arc<Progress>,
}

enum BodySource {
    Memory(Bytes),
    Channel(mpsc::Receiver<Bytes>),
}

enum Hold {
    /// Until the server wants the body; the time runs from the first poll, when the request's head
    /// is sent.
    Unsent,
    Waiting(Pin<Box<Sleep>>),
    No,
}

/// The sender of a body went away before all of it was there: the connection must not end as if the
/// body were whole.
#[derive(Debug, thiserror::Error)]
#[error("the body was abandoned")]
pub(crate) struct Abandoned;

impl RequestBody {
    /// A body in memory. It is held back if it is large and `may_hold`.
    pub(crate) fn memory(bytes: Bytes, may_hold: bool) -> Self {
        let hold = if bytes.len() > PIECE && may_hold {
            Hold::Unsent
        } else {
            Hold::No
        };
        Self::new(bytes.len() as u64, BodySource::Memory(bytes), hold)
    }

    /// A body of `len` bytes that come through a channel, held back if it `may_hold`. If the sender
    /// is dropped earlier, the connection is cut.
    pub(crate) fn channel(len: u64, may_hold: bool) -> (mpsc::Sender<Bytes>, Self) {
        let (sender, receiver) = mpsc::channel(1);
        let hold = if may_hold { Hold::Unsent } else { Hold::No };
        (sender, Self::new(len, BodySource::Channel(receiver), hold))
    }

    fn new(left: u64, source: BodySource, hold: Hold) -> Self {
        let progress = Progress {
            start: Instant::now(),
            last: AtomicU64::new(0),
            on_caller: AtomicBool::new(false),
            // Without a body to hold back the request is sent as soon as there is a connection.
            begun: watch::Sender::new(matches!(hold, Hold::No)),
            whole: AtomicBool::new(left == 0),
            released: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        Self {
            source,
            left,
            hold,
            patience: Duration::ZERO,
            progress: Arc::new(progress),
        }
    }

    /// The server may be silent for so much longer than usual: it has work of its own to do.
    pub(crate) fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    pub(crate) fn is_held(&self) -> bool {
        !matches!(self.hold, Hold::No)
    }

    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    fn poll_released(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.hold, Hold::Unsent) {
            self.hold = Hold::Waiting(Box::pin(sleep(CONTINUE_TIMEOUT)));
        }
        if let Hold::Waiting(timer) = &mut self.hold {
            self.progress.waker.register(cx.waker());
            if !self.progress.released.load(Ordering::Acquire) {
                ready!(timer.as_mut().poll(cx));
            }
            self.hold = Hold::No;
            self.progress.begun.send_replace(true);
        }
        Poll::Ready(())
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match &mut self.source {
            BodySource::Memory(bytes) => Poll::Ready(Some(bytes.split_to(bytes.len().min(PIECE)))),
            BodySource::Channel(receiver) => {
                let piece = receiver.poll_recv(cx);
                self.progress
                    .on_caller
                    .store(piece.is_pending(), Ordering::Release);
                piece
            }
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        let this = self.get_mut();
        if this.left == 0 {
            return Poll::Ready(None);
        }
        ready!(this.poll_released(cx));
        this.progress.touch();
        Poll::Ready(Some(match ready!(this.poll_piece(cx)) {
            Some(piece) => {
                this.left = this.left.saturating_sub(piece.len() as u64);
                this.progress.whole.store(this.left == 0, Ordering::Release);
                this.progress.touch();
                Ok(Frame::data(piece))
            }
            None => Err(Abandoned),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What a body that is being sent tells the task that waits for the answer.
pub(crate) struct Progress {
    start: Instant,
    /// When the server last took something, in milliseconds since the start.
    last: AtomicU64,
    /// The next piece has to come from the caller: silence is not the server's fault.
    on_caller: AtomicBool,
    /// The body began to be sent.
    begun: watch::Sender<bool>,
    /// The last of the body was handed to the connection.
    whole: AtomicBool,
    released: AtomicBool,
    waker: AtomicWaker,
}

impl Progress {
    /// The server wants the body.
    pub(crate) fn release(&self) {
        self.released.store(true, Ordering::Release);
        self.waker.wake();
        self.touch();
    }

    /// Whether the server may have all that it needs to act: without the end of a body it has not.
    pub(crate) fn may_be_acted_on(&self) -> bool {
        *self.begun.borrow() && self.whole.load(Ordering::Acquire)
    }

    /// Waits until the first piece of the body is sent.
    pub(crate) async fn begun(&self) {
        // The sender lives as long as this does.
        let _ = self.begun.subscribe().wait_for(|begun| *begun).await;
    }

    /// For how long the server has taken nothing.
    pub(crate) fn silence(&self) -> Duration {
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
