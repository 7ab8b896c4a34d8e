//! How long something was silent.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use tokio::time::{Instant, Sleep};

/// A poll that comes this long after its timer is of a caller who was away meanwhile.
const LATE: Duration = Duration::from_secs(1);

/// A timer for what is not ready, which starts at the first look.
#[derive(Debug)]
pub(super) struct Silence {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    pub(super) fn of(limit: Duration) -> Self {
        Self { limit, timer: None }
    }

    /// Ready once the limit has passed without a [`Silence::end`].
    pub(super) fn poll_limit(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let limit = self.limit;
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            ready!(timer.as_mut().poll(cx));
            // Who was not polled may have had its answer long since, or does its work only now.
            if timer.deadline().elapsed() < LATE {
                return Poll::Ready(());
            }
            self.timer = None;
        }
    }

    /// Something came.
    pub(super) fn end(&mut self) {
        self.timer = None;
    }

    fn start_at(&mut self, start: Instant) {
        let limit = self.limit;
        let end = start.checked_add(limit);
        self.timer = end.map(|end| Box::pin(tokio::time::sleep_until(end)));
    }
}

/// What the caller feeds into an operation, and when it last did.
#[derive(Clone, Debug)]
pub(super) struct Feed(Arc<Mutex<FeedState>>);

#[derive(Debug)]
struct FeedState {
    /// The operation waits on the caller.
    waits: bool,
    /// When it last did not.
    last: Instant,
}

impl Feed {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(FeedState {
            waits: false,
            last: Instant::now(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, FeedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready once the operation was silent for the limit, without what it waited on the caller.
    pub(super) fn poll_limit(&self, silence: &mut Silence, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(silence.poll_limit(cx));
            let state = self.state();
            let now = Instant::now();
            let since = if state.waits { now } else { state.last };
            if now.duration_since(since) >= silence.limit {
                return Poll::Ready(());
            }
            silence.start_at(since);
        }
    }

    /// `stream`, of which this feed knows when it is waited for.
    pub(super) fn watch<St: Stream + Unpin>(&self, stream: St) -> Watched<St> {
        Watched {
            stream,
            feed: self.clone(),
        }
    }
}

pub(super) struct Watched<St> {
    stream: St,
    feed: Feed,
}

impl<St: Stream + Unpin> Stream for Watched<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, feed } = self.get_mut();
        let polled = stream.poll_next_unpin(cx);
        let mut state = feed.state();
        state.waits = polled.is_pending();
        state.last = Instant::now();
        polled
    }
}
