//! Turning entries of a listing into records: at once where they carry their bytes, else a
//! bounded number at a time, and in order in either case.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream::{Fuse, FuturesOrdered};
use storehouse_objectstore::{Entry, Result as StoreResult};

use crate::{Error, Result};

/// A record that has to be fetched; `None` once it is gone.
pub(crate) type Fetch<'a, R, E> = BoxFuture<'a, Option<Result<R, E>>>;

/// Gives what `made` makes of entries that bring their records along, and `fetched` of others;
/// either may pass over an entry.
pub(crate) struct ReadAhead<'a, R, E, M, F> {
    entries: Fuse<BoxStream<'static, StoreResult<Entry>>>,
    made: M,
    fetched: F,
    /// How many may be under way.
    most: usize,
    under_way: FuturesOrdered<Fetch<'a, R, E>>,
    /// How many these are.
    waiting: usize,
}

impl<'a, R, E, M, F> ReadAhead<'a, R, E, M, F> {
    pub(crate) fn new(
        entries: BoxStream<'static, StoreResult<Entry>>,
        made: M,
        fetched: F,
        most: usize,
    ) -> Self {
        Self {
            entries: entries.fuse(),
            made,
            fetched,
            most,
            under_way: FuturesOrdered::new(),
            waiting: 0,
        }
    }

    fn push(&mut self, record: Fetch<'a, R, E>) {
        self.under_way.push_back(record);
        self.waiting += 1;
    }
}

// Nothing in it is pinned but behind boxes.
impl<R, E, M, F> Unpin for ReadAhead<'_, R, E, M, F> {}

impl<'a, R, E, M, F> Stream for ReadAhead<'a, R, E, M, F>
where
    R: Send + 'a,
    E: From<Error> + Send + 'a,
    M: FnMut(&Entry, &Bytes) -> Option<Result<R, E>>,
    F: FnMut(Entry) -> Option<Fetch<'a, R, E>>,
{
    type Item = Result<R, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            // Where records come along with the listing, nothing is ever under way: that is to cost
            // next to nothing.
            while this.waiting < this.most {
                let Poll::Ready(Some(entry)) = this.entries.poll_next_unpin(context) else {
                    break;
                };
                match entry {
                    Ok(entry) => match &entry.value {
                        // On its way without a stop: a record is moved as seldom as can be.
                        Some(value) if this.waiting == 0 => match (this.made)(&entry, value) {
                            None => {}
                            done => return Poll::Ready(done),
                        },
                        Some(value) => {
                            if let Some(done) = (this.made)(&entry, value) {
                                this.push(Box::pin(std::future::ready(Some(done))));
                            }
                        }
                        None => {
                            if let Some(record) = (this.fetched)(entry) {
                                this.push(record);
                            }
                        }
                    },
                    Err(e) if this.waiting == 0 => {
                        return Poll::Ready(Some(Err(Error::from(e).into())));
                    }
                    Err(e) => this.push(Box::pin(std::future::ready(Some(Err(
                        Error::from(e).into()
                    ))))),
                }
            }
            let fetched = this.under_way.poll_next_unpin(context);
            this.waiting -= usize::from(matches!(fetched, Poll::Ready(Some(_))));
            match fetched {
                Poll::Ready(Some(None)) => {}
                Poll::Ready(Some(Some(record))) => return Poll::Ready(Some(record)),
                // Nothing is under way, but more may be listed.
                Poll::Ready(None) if !this.entries.is_done() => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
