//! Sources of bodies: in pieces, failing, waiting, and telling what was taken from them.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use storehouse_objectstore::Body;

/// What a source does next.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Gives a piece.
    Piece(Bytes),
    /// Is not ready once: an await in whatever reads it.
    Wait,
    /// Fails, as a connection does. What follows is never given by a [`Body`].
    Fail,
    /// Is never ready again.
    Hang,
    /// Gives this piece over and over.
    Endless(Bytes),
}

/// What was taken from a source.
#[derive(Debug, Default)]
pub(super) struct Taken(AtomicU64);

impl Taken {
    /// The bytes given so far.
    pub(super) fn bytes(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct Script {
    steps: VecDeque<Step>,
    taken: Arc<Taken>,
}

impl Stream for Script {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let piece = match self.steps.pop_front() {
            None => return Poll::Ready(None),
            Some(Step::Piece(piece)) => piece,
            Some(Step::Wait) => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Step::Fail) => {
                return Poll::Ready(Some(Err(std::io::Error::other(
                    "the source was told to fail",
                ))));
            }
            Some(Step::Hang) => {
                self.steps.push_front(Step::Hang);
                return Poll::Pending;
            }
            Some(Step::Endless(piece)) => {
                self.steps.push_front(Step::Endless(piece.clone()));
                piece
            }
        };
        self.taken.0.fetch_add(piece.len() as u64, Ordering::SeqCst);
        Poll::Ready(Some(Ok(piece)))
    }
}

/// A body that does these steps, and a record of what was taken from it.
pub(super) fn script(steps: impl IntoIterator<Item = Step>) -> (Body, Arc<Taken>) {
    let taken = Arc::new(Taken::default());
    let body = Body::from_stream(Script {
        steps: steps.into_iter().collect(),
        taken: Arc::clone(&taken),
    });
    (body, taken)
}

/// `bytes` in pieces of at most `piece` bytes.
pub(super) fn pieces(bytes: &Bytes, piece: usize) -> impl Iterator<Item = Step> {
    let bytes = bytes.clone();
    (0..bytes.len())
        .step_by(piece)
        .map(move |at| Step::Piece(bytes.slice(at..bytes.len().min(at + piece))))
}

/// `bytes` in pieces, with a wait before each and empty ones between: a source at its most
/// tiresome.
pub(super) fn halting(bytes: &Bytes, piece: usize) -> impl Iterator<Item = Step> {
    pieces(bytes, piece)
        .flat_map(|piece| [Step::Wait, Step::Piece(Bytes::new()), piece])
        .chain([Step::Wait, Step::Piece(Bytes::new())])
}
