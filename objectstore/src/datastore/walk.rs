//! Going through many records a page at a time, some pages ahead of who uses them: while nobody
//! asks for more, nothing is held but these.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::coop;

use super::memory::{Range, Walked};
use super::page::Page;
use super::table::Wait;
use super::{Core, Fault};
use crate::{Error, ListOptions, Operation, Result};

/// Records in the first page, which is read on the spot if that needs no waiting: enough for "the
/// first one with this prefix".
const FIRST: usize = 8;

/// Records in a page at most.
const MOST: usize = 1024;

/// The most pages that are read and not used yet. With more than one, who reads is woken but once
/// in some pages, and may be late with one of them.
const AHEAD: usize = 4;

/// With so many bytes of records in them, there are enough of them in any case.
const AHEAD_BYTES: usize = 2 * 1024 * 1024;

/// What a page counts for among the 128 steps that a task may take before it lets others go on:
/// with 16 it does so after some milliseconds.
const STEPS: usize = 16;

/// The pages of a listing.
pub(super) struct Walk(Arc<Shared>);

struct Shared {
    core: Arc<Core>,
    prefix: Bytes,
    inline_values: Option<u64>,
    state: Mutex<State>,
}

struct State {
    /// What was read, in order, and how many bytes of records each has.
    pages: VecDeque<(Result<Page>, usize)>,
    /// Where to go on; `None` while somebody reads, at the end, and after an error.
    place: Option<Place>,
    reading: bool,
    /// Whether nobody asks any more.
    over: bool,
    /// Whoever waits for a page.
    waker: Option<Waker>,
}

/// The next page's place.
struct Place {
    start: Bytes,
    /// How many records are still asked for; at least one.
    left: usize,
    /// How many the page is to have.
    size: usize,
}

impl State {
    fn bytes_ahead(&self) -> usize {
        self.pages.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Whether whoever reads ahead is to go on.
    fn wants_more(&self) -> bool {
        !self.over && self.pages.len() < AHEAD && self.bytes_ahead() < AHEAD_BYTES
    }
}

impl Walk {
    pub(super) fn new(core: Arc<Core>, options: ListOptions) -> Self {
        let prefix = Bytes::from(options.prefix);
        // The least text behind the key to start after.
        let after = options
            .start_after
            .map(|key| Bytes::from([key.as_str().as_bytes(), b"\0"].concat()));
        let start = after.map_or(prefix.clone(), |after| after.max(prefix.clone()));
        let place = Place {
            start,
            left: options.limit.unwrap_or(usize::MAX),
            size: FIRST,
        };
        let state = State {
            pages: VecDeque::new(),
            place: Some(place).filter(|place| place.left > 0),
            reading: false,
            over: false,
            waker: None,
        };
        Self(Arc::new(Shared {
            core,
            prefix,
            inline_values: options.inline_values,
            state: Mutex::new(state),
        }))
    }

    /// How many pages are read and not used.
    #[cfg(test)]
    pub(super) fn ahead(&self) -> usize {
        self.0.state().pages.len()
    }

    /// Has another thread read on, until it is far enough ahead.
    fn read_ahead(&self) {
        let mut state = self.0.state();
        // One of these is about to be used.
        if state.pages.len() > AHEAD / 2 + 1 || state.bytes_ahead() >= AHEAD_BYTES {
            return;
        }
        let Some(place) = state.place.take() else {
            return;
        };
        state.reading = true;
        // A runtime that shuts down drops the reader on the spot, and that takes the lock.
        drop(state);
        let reader = Reader {
            shared: Arc::clone(&self.0),
            done: false,
        };
        tokio::task::spawn_blocking(move || reader.read(place));
    }
}

impl Stream for Walk {
    type Item = Result<Page>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Page>>> {
        let mut state = self.0.state();
        if let Some(place) = state.place.take_if(|place| place.size == FIRST) {
            match self.0.page(&place, Wait::Refused) {
                Err(Fault::WouldWait) => state.place = Some(place),
                Err(fault) => {
                    return Poll::Ready(Some(Err(fault.into_error(Operation::List, None))));
                }
                Ok((page, _, next)) => {
                    // Nothing is read behind it yet: who wants but the first ones is to cost no
                    // more.
                    state.place = next;
                    return Poll::Ready(Some(Ok(page)));
                }
            }
        }
        drop(state);
        self.read_ahead();
        // Pages that were read ahead are always ready: without this a long listing would keep its
        // thread from other tasks.
        for _ in 0..STEPS {
            ready!(coop::poll_proceed(context)).made_progress();
        }
        let mut state = self.0.state();
        match state.pages.pop_front() {
            Some((page, _)) => Poll::Ready(Some(page)),
            None if state.reading => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }
}

impl Drop for Walk {
    fn drop(&mut self) {
        self.0.state().over = true;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page, how many bytes of records it has, and the place of the next one if there may be one.
    fn page(
        &self,
        place: &Place,
        wait: Wait,
    ) -> std::result::Result<(Page, usize, Option<Place>), Fault> {
        let Place { start, left, size } = place;
        let (
            page,
            Walked {
                records,
                bytes,
                next,
            },
        ) = self.core.page(
            Range {
                prefix: &self.prefix,
                start,
                limit: *size.min(left),
            },
            self.inline_values,
            wait,
        )?;
        let (left, size) = (left - records, (size * 8).min(MOST));
        Ok((
            page,
            bytes,
            next.filter(|_| left > 0)
                .map(|start| Place { start, left, size }),
        ))
    }
}

/// Whoever reads ahead. However that ends, the one who waits hears of it.
struct Reader {
    shared: Arc<Shared>,
    done: bool,
}

impl Reader {
    fn read(mut self, mut place: Place) {
        while !self.done {
            let (page, bytes, next) = match self.shared.page(&place, Wait::Allowed) {
                Ok((page, bytes, next)) => (Ok(page), bytes, next),
                Err(fault) => (Err(fault.into_error(Operation::List, None)), 0, None),
            };
            let mut state = self.shared.state();
            state.pages.push_back((page, bytes));
            let waker = state.waker.take();
            match next {
                // Who wants but the first ones is to cost no more.
                Some(next) if place.size > FIRST && state.wants_more() => place = next,
                next => {
                    state.place = next;
                    state.reading = false;
                    self.done = true;
                }
            }
            drop(state);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.shared.state();
        // The runtime shuts down, or the reading panicked.
        state.reading = false;
        let error = Error::io(
            Operation::List,
            None,
            "the work was cut off",
            io::ErrorKind::Interrupted.into(),
        );
        state.pages.push_back((Err(error), 0));
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
