//! An object on its way from the slow tier to the fast one, and to its readers.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use storehouse_objectstore::{Body, ETag, Metadata, Object, Result};
use tokio::sync::Notify;

/// How a fill ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FillEnd {
    /// The copy is in the fast tier.
    Copied,
    /// There is no such object in the slow tier.
    NotFound,
    /// There is no copy: the readers have to ask the slow tier.
    Failed,
}

/// What a reader of a fill gets next.
#[derive(Debug)]
pub(super) enum Next {
    Piece(Bytes),
    /// All of the range was given, and the object's source ended well.
    End,
    /// The fill is over; this body has the rest, if it could be opened.
    Rest(Option<Body>),
}

#[derive(Debug)]
pub(super) struct Fill {
    state: Mutex<FillState>,
    changed: Notify,
    cancelled: Notify,
    window: u64,
}

#[derive(Debug, Default)]
struct FillState {
    metadata: Option<Metadata>,
    /// Opened, but not to be copied: for the first reader who takes it.
    handed_over: Option<Object>,
    pieces: VecDeque<Bytes>,
    /// The offset of the first piece, and of the end of the last one.
    start: u64,
    end: u64,
    source_ended: bool,
    readers: Vec<Slot>,
    /// The readers stand still, so that a body can be opened for each where it stands.
    settles: bool,
    ended: Option<FillEnd>,
}

/// A reader's place.
#[derive(Debug)]
struct Slot {
    left: Range<u64>,
    gone: bool,
    rest: Option<Body>,
}

impl FillState {
    /// Whether a reader gets the rest from the window.
    fn has_rest(&self, slot: &Slot) -> bool {
        slot.left.start >= self.start && (self.source_ended || self.end > slot.left.end)
    }
}

impl Fill {
    pub(super) fn new(window: u64) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            cancelled: Notify::new(),
            window,
        }
    }

    fn state(&self) -> MutexGuard<'_, FillState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut FillState)) {
        change(&mut self.state());
        self.changed.notify_waiters();
    }

    pub(super) fn opened(&self, metadata: Metadata) {
        self.change(|state| state.metadata = Some(metadata));
    }

    /// Leaves the object that was opened to one of the readers, once the fill has ended.
    pub(super) fn hand_over(&self, object: Object) {
        self.state().handed_over = Some(object);
    }

    /// The next piece of the object, not an empty one.
    pub(super) fn push(&self, piece: Bytes) {
        let window = self.window;
        self.change(|state| {
            state.end += piece.len() as u64;
            state.pieces.push_back(piece);
            while state.end - state.start > window && state.pieces.len() > 1 {
                if let Some(first) = state.pieces.pop_front() {
                    state.start += first.len() as u64;
                }
            }
        });
    }

    pub(super) fn source_ended(&self) {
        self.change(|state| state.source_ended = true);
    }

    /// Opens the rest for each reader that has it not in the window. A writer of the key waits
    /// for this, so that no reader is disturbed.
    pub(super) async fn settle<F>(&self, open: impl Fn(Range<u64>) -> F)
    where
        F: Future<Output = Option<Body>>,
    {
        let places: Vec<_> = {
            let mut state = self.state();
            state.settles = true;
            let places = state.readers.iter().enumerate();
            places
                .filter(|(_, slot)| !slot.gone && !state.has_rest(slot))
                .map(|(place, slot)| (place, slot.left.clone()))
                .collect()
        };
        for (place, left) in places {
            let rest = open(left).await;
            self.state().readers[place].rest = rest;
        }
    }

    /// The first end counts.
    pub(super) fn end(&self, end: FillEnd) {
        self.change(|state| {
            state.settles = false;
            state.ended.get_or_insert(end);
        });
    }

    pub(super) fn cancel(&self) {
        self.cancelled.notify_one();
    }

    /// Returns once the fill is to be given up.
    pub(super) async fn cancellation(&self) {
        self.cancelled.notified().await;
    }

    /// Waits until `look` gives something.
    async fn wait<T>(&self, mut look: impl FnMut(&mut FillState) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Before looking, so that a change between the look and the wait is not missed.
            changed.as_mut().enable();
            let found = look(&mut self.state());
            if let Some(found) = found {
                return found;
            }
            changed.await;
        }
    }

    /// The tag of the object, once that is open.
    pub(super) fn etag(&self) -> Option<ETag> {
        let state = self.state();
        state
            .metadata
            .as_ref()
            .map(|metadata| metadata.etag.clone())
    }

    /// Waits until the fill has ended.
    pub(super) async fn ended(&self) -> FillEnd {
        self.wait(|state| state.ended).await
    }

    /// Waits for what is known of the object, and opens a range of it; how the fill ended, if that
    /// was before.
    ///
    /// # Errors
    /// What `range` makes of the metadata.
    pub(super) async fn open(
        self: &Arc<Self>,
        range: impl Fn(&Metadata) -> Result<Range<u64>>,
    ) -> Result<Result<(Metadata, Range<u64>, Reader), FillEnd>> {
        self.wait(|state| {
            if let Some(end) = state.ended {
                return Some(Ok(Err(end)));
            }
            let metadata = state.metadata.clone().filter(|_| !state.settles)?;
            let range = match range(&metadata) {
                Ok(range) => range,
                Err(error) => return Some(Err(error)),
            };
            state.readers.push(Slot {
                left: range.clone(),
                gone: false,
                rest: None,
            });
            let reader = Reader {
                fill: Arc::clone(self),
                place: state.readers.len() - 1,
            };
            Some(Ok(Ok((metadata, range, reader))))
        })
        .await
    }

    /// The object that was opened and not copied, for the first who asks.
    pub(super) fn take_object(&self) -> Option<Object> {
        self.state().handed_over.take()
    }
}

/// A reader of a fill.
#[derive(Debug)]
pub(super) struct Reader {
    fill: Arc<Fill>,
    place: usize,
}

impl Reader {
    pub(super) async fn next(&self) -> Next {
        let place = self.place;
        self.fill.wait(|state| state.next(place)).await
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.fill.state().readers[self.place].gone = true;
    }
}

impl FillState {
    fn next(&mut self, place: usize) -> Option<Next> {
        let slot = &mut self.readers[place];
        if self.settles {
            return None;
        }
        // It begins where the reader stands, window or not.
        if slot.rest.is_some() {
            return Some(Next::Rest(slot.rest.take()));
        }
        let mut start = self.start;
        if slot.left.start >= start {
            if slot.left.is_empty() && self.source_ended {
                return Some(Next::End);
            }
            for piece in &self.pieces {
                let end = start + piece.len() as u64;
                if slot.left.start < end && !slot.left.is_empty() {
                    // Both at most the length of the piece.
                    let from = (slot.left.start - start) as usize;
                    let to = (slot.left.end.min(end) - start) as usize;
                    slot.left.start = slot.left.end.min(end);
                    return Some(Next::Piece(piece.slice(from..to)));
                }
                start = end;
            }
            // The end of a range within the object.
            if slot.left.is_empty() && self.end > slot.left.end {
                return Some(Next::End);
            }
        }
        self.ended.map(|_| Next::Rest(None))
    }
}
