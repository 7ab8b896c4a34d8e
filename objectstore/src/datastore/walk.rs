//! Going through many records a page at a time and one ahead: while nobody asks for more, nothing is held but these.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use tokio::task::JoinHandle;

use super::memory::{Range, Walked};
use super::page::Page;
use super::store::cut_off;
use super::table::Wait;
use super::{Core, Fault};
use crate::{ListOptions, Operation, Result};

/// Records in the first page, which is read on the spot if that needs no waiting: enough for "the first one with this prefix".
const FIRST: usize = 8;

/// Records in a page at most.
const MOST: usize = 1024;

/// The pages of a listing.
pub(super) struct Walk {
    core: Arc<Core>,
    prefix: Bytes,
    values_up_to: Option<u64>,
    /// Where the next page starts, unless it is being read or there is none.
    start: Option<Bytes>,
    /// How many records are still asked for.
    left: usize,
    size: usize,
    /// The next page, read while this one is being used.
    ahead: Option<JoinHandle<Result<(Page, Walked)>>>,
}

impl Walk {
    pub(super) fn new(core: Arc<Core>, options: ListOptions) -> Self {
        let prefix = Bytes::from(options.prefix);
        // The least text behind the key to start after.
        let after = options.start_after.map(|key| Bytes::from([key.as_str().as_bytes(), b"\0"].concat()));
        let start = after.map_or(prefix.clone(), |after| after.max(prefix.clone()));
        let left = options.limit.unwrap_or(usize::MAX);
        Self { core, prefix, values_up_to: options.values_up_to, start: Some(start), left, size: FIRST, ahead: None }
    }

    /// What reads the next page, if there may be one.
    fn next(&mut self) -> Option<impl Fn(Wait) -> std::result::Result<(Page, Walked), Fault> + Send + 'static> {
        let start = self.start.take().filter(|_| self.left > 0)?;
        let (core, prefix, values_up_to) = (Arc::clone(&self.core), self.prefix.clone(), self.values_up_to);
        let limit = self.size.min(self.left);
        Some(move |wait| core.page(Range { prefix: &prefix, start: &start, limit }, values_up_to, wait))
    }
}

impl Stream for Walk {
    type Item = Result<Page>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Page>>> {
        let is_first = self.size == FIRST;
        let page = loop {
            if let Some(ahead) = &mut self.ahead {
                let Poll::Ready(page) = Pin::new(ahead).poll(context) else { return Poll::Pending };
                self.ahead = None;
                break page.unwrap_or_else(|e| Err(cut_off(Operation::List, e)));
            }
            let Some(read) = self.next() else { return Poll::Ready(None) };
            match is_first.then(|| read(Wait::Refused)) {
                None | Some(Err(Fault::WouldWait)) => self.ahead = Some(spawn(read)),
                Some(page) => break page.map_err(|fault| fault.into_error(Operation::List, None)),
            }
        };
        let (page, walked) = match page {
            Ok(page) => page,
            Err(error) => return Poll::Ready(Some(Err(error))),
        };
        self.start = walked.next;
        self.left -= walked.records;
        self.size = (self.size * 8).min(MOST);
        // Not behind the first one: who wants but that is to cost no more.
        if !is_first && let Some(read) = self.next() {
            self.ahead = Some(spawn(read));
        }
        Poll::Ready(Some(Ok(page)))
    }
}

fn spawn(read: impl Fn(Wait) -> std::result::Result<(Page, Walked), Fault> + Send + 'static) -> JoinHandle<Result<(Page, Walked)>> {
    tokio::task::spawn_blocking(move || read(Wait::Allowed).map_err(|fault| fault.into_error(Operation::List, None)))
}
