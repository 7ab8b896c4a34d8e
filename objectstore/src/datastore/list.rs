//! Listing, a page at a time and one ahead: while a listing is not read on, nothing is held but these.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use tokio::task::JoinHandle;

use super::page::Page;
use super::store::cut_off;
use super::table::Wait;
use super::{Core, Fault};
use crate::{Entry as Listed, Error, ListOptions, Operation, Result};

/// Records in the first page, which is read on the spot if that needs no waiting: enough for "the first one with this prefix".
const FIRST: usize = 8;

/// Records in a page at most.
const MOST: usize = 1024;

/// Where a listing stands.
struct Listing {
    core: Arc<Core>,
    prefix: Bytes,
    values_up_to: Option<u64>,
    /// What is being given out.
    page: Page,
    /// Where the next page starts, unless it is being read or there is none.
    start: Option<Bytes>,
    /// How many records are still asked for, those of the page that is being given out not among them.
    left: usize,
    size: usize,
    /// The next page, read while this one is being used.
    ahead: Option<JoinHandle<Result<Page>>>,
}

pub(super) fn list(core: Arc<Core>, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
    let prefix = Bytes::from(options.prefix);
    // The least text behind the key to start after.
    let after = options.start_after.map(|key| Bytes::from([key.as_str().as_bytes(), b"\0"].concat()));
    let start = after.map_or(prefix.clone(), |after| after.max(prefix.clone()));
    let left = options.limit.unwrap_or(usize::MAX);
    let values_up_to = options.values_up_to;
    Box::pin(Listing { core, prefix, values_up_to, page: Page::default(), start: Some(start), left, size: FIRST, ahead: None })
}

impl Stream for Listing {
    type Item = Result<Listed>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Listed>>> {
        loop {
            if let Some(entry) = self.page.next() {
                return Poll::Ready(Some(entry));
            }
            let page = if let Some(ahead) = &mut self.ahead {
                let Poll::Ready(page) = Pin::new(ahead).poll(context) else { return Poll::Pending };
                self.ahead = None;
                page.unwrap_or_else(|e| Err(cut_off(Operation::List, e)))
            } else {
                let is_first = self.size == FIRST;
                let Some(read) = self.read() else { return Poll::Ready(None) };
                match is_first.then(|| read(Wait::Refused)) {
                    None | Some(Err(Fault::WouldWait)) => {
                        self.ahead = Some(spawn(read));
                        continue;
                    }
                    Some(page) => page.map_err(failed),
                }
            };
            let is_first = self.size == FIRST;
            self.page = match page {
                Ok(page) => page,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            self.start = self.page.next.take();
            self.left -= self.page.len();
            self.size = (self.size * 8).min(MOST);
            // Not behind the first one: who wants but that is to cost no more.
            if !is_first && let Some(read) = self.read() {
                self.ahead = Some(spawn(read));
            }
        }
    }
}

impl Listing {
    /// What reads the next page, if there may be one.
    fn read(&mut self) -> Option<impl Fn(Wait) -> std::result::Result<Page, Fault> + Send + 'static> {
        let start = self.start.take().filter(|_| self.left > 0)?;
        let (core, prefix, values_up_to) = (Arc::clone(&self.core), self.prefix.clone(), self.values_up_to);
        let limit = self.size.min(self.left);
        Some(move |wait| core.page(&prefix, &start, limit, values_up_to, wait))
    }
}

fn spawn(read: impl Fn(Wait) -> std::result::Result<Page, Fault> + Send + 'static) -> JoinHandle<Result<Page>> {
    tokio::task::spawn_blocking(move || read(Wait::Allowed).map_err(failed))
}

fn failed(fault: Fault) -> Error {
    fault.into_error(Operation::List, None)
}
