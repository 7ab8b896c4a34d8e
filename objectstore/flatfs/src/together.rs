//! A cached body copied by two threads: the one that asks for its pieces, and one of the blocking
//! pool, which goes ahead.
//!
//! One thread copies from the kernel's cache as fast as a processor's memory comes, some 12 GB/s,
//! and whoever hashes or sends the pieces needs that thread, too. Both threads take the next piece
//! that nobody has taken, so neither waits for the other but at the end, and a wake-up comes once
//! in many pieces.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::available_parallelism;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::buffers::PIECE;
use super::pieces::Source;

/// The most pieces that are taken and not given yet.
const AHEAD: usize = 8;

/// The most pieces that are copied before one is given or waited for: the thread has other tasks.
const AT_A_TIME: usize = 2;

/// With less left than this, in bytes, nobody is asked to help.
const WORTH_IT: u64 = 4 * PIECE as u64;

/// How many bodies are being read. Only while two processors for each are there does a second
/// thread help one: it would take its time from others.
#[derive(Debug)]
pub(super) struct Streams {
    open: AtomicUsize,
    processors: usize,
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            open: AtomicUsize::new(0),
            processors: available_parallelism().map_or(1, NonZero::get),
        }
    }
}

impl Streams {
    pub(super) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    fn leave_processors(&self) -> bool {
        self.count() * 2 <= self.processors
    }
}

/// A body's pieces from somewhere on, each of them [`PIECE`] bytes long but the last.
pub(super) struct Together(Arc<Shared>);

struct Shared {
    source: Arc<Source>,
    end: u64,
    state: Mutex<State>,
}

struct State {
    /// The pieces that are taken and not given, in order.
    pieces: VecDeque<Piece>,
    /// How many were given.
    given: usize,
    /// Where the next one starts that nobody has taken.
    next: u64,
    /// Whether another thread copies.
    helped: bool,
    /// Whether nobody asks any more.
    over: bool,
    /// Whoever waits for the first piece.
    waker: Option<Waker>,
}

enum Piece {
    /// Somebody copies it.
    Taken,
    Copied(Bytes),
    /// Not all of it was there to be copied at once.
    Missed,
}

/// A piece to be copied. However this ends, the one who waits for it hears of it.
struct Claim<'a> {
    shared: &'a Shared,
    number: usize,
    at: u64,
    piece: Piece,
}

impl Together {
    /// The pieces from `at` to `end`, if that is worth it now.
    pub(super) fn new(source: &Arc<Source>, at: u64, end: u64) -> Option<Self> {
        if end - at < WORTH_IT || !source.leaves_room() {
            return None;
        }
        let state = State {
            pieces: VecDeque::with_capacity(AHEAD),
            given: 0,
            next: at,
            helped: false,
            over: false,
            waker: None,
        };
        Some(Self(Arc::new(Shared {
            source: Arc::clone(source),
            end,
            state: Mutex::new(state),
        })))
    }

    /// The next piece; `None` if there is none, or if it is not cached.
    pub(super) fn poll_piece(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut copied = 0;
        loop {
            let mut state = self.0.state();
            self.ask_for_help(&mut state);
            match state.pieces.front() {
                Some(Piece::Copied(_)) => {
                    state.given += 1;
                    let Some(Piece::Copied(bytes)) = state.pieces.pop_front() else {
                        return Poll::Ready(None);
                    };
                    return Poll::Ready(Some(bytes));
                }
                Some(Piece::Missed) => return Poll::Ready(None),
                // The other one has it; there may be more to do meanwhile.
                Some(Piece::Taken) => {
                    let claim = if copied < AT_A_TIME {
                        self.0.take(&mut state)
                    } else {
                        None
                    };
                    let Some(claim) = claim else {
                        state.waker = Some(cx.waker().clone());
                        return Poll::Pending;
                    };
                    drop(state);
                    claim.copy();
                }
                None => {
                    let Some(claim) = self.0.take(&mut state) else {
                        return Poll::Ready(None);
                    };
                    drop(state);
                    claim.copy();
                }
            }
            copied += 1;
        }
    }

    /// Has another thread go ahead, until it is far enough.
    fn ask_for_help(&self, state: &mut State) {
        let left = self.0.end - state.next;
        if !state.helped
            && state.pieces.len() <= AHEAD / 2
            && left >= WORTH_IT
            && self.0.source.leaves_room()
        {
            let Ok(runtime) = Handle::try_current() else {
                return;
            };
            state.helped = true;
            let shared = Arc::clone(&self.0);
            runtime.spawn_blocking(move || {
                while let Some(claim) = shared.take_ahead() {
                    claim.copy();
                }
            });
        }
    }
}

impl Source {
    /// Whether there are processors and buffers for a second thread.
    fn leaves_room(&self) -> bool {
        self.files.streams.leave_processors() && !self.files.buffers.are_scarce()
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.0.state().over = true;
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, state: &mut State) -> Option<Claim<'_>> {
        if state.pieces.len() >= AHEAD || state.next >= self.end {
            return None;
        }
        let (number, at) = (state.given + state.pieces.len(), state.next);
        state.pieces.push_back(Piece::Taken);
        state.next = self.end.min(at + PIECE as u64);
        Some(Claim {
            shared: self,
            number,
            at,
            piece: Piece::Missed,
        })
    }

    /// For the one who helps: `None` when that is to end.
    fn take_ahead(&self) -> Option<Claim<'_>> {
        let mut state = self.state();
        let claim = if state.over || self.source.files.buffers.are_scarce() {
            None
        } else {
            self.take(&mut state)
        };
        state.helped = claim.is_some();
        claim
    }
}

impl Claim<'_> {
    fn copy(mut self) {
        let (source, want) = (
            &self.shared.source,
            (self.shared.end - self.at).min(PIECE as u64) as usize,
        );
        let mut buffer = source.files.buffers.take(want);
        let bytes = buffer.bytes(want);
        if bytes.len() == want
            && matches!(source.files.sys.read_cached(&source.file, bytes, self.at), Some(Ok(n)) if n == want)
        {
            self.piece = Piece::Copied(buffer.into_bytes(want));
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        let place = self.number - state.given;
        state.pieces[place] = std::mem::replace(&mut self.piece, Piece::Missed);
        let waker = if place == 0 { state.waker.take() } else { None };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
