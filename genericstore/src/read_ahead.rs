//! Turning entries of a listing into records: at once where they bring their bytes along, else so many at a time, and in order in either case.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream::{Fuse, FuturesOrdered};
use storehouse_objectstore::{Entry, Result as StoreResult};

use crate::{Error, Result};

/// What becomes of an entry.
pub(crate) enum Step<'a, R, E> {
    /// It is no record's.
    PassOver,
    /// It brought its record along.
    Done(Result<R, E>),
    /// Its record has to be fetched; `None` if it is gone.
    Wait(BoxFuture<'a, Option<Result<R, E>>>),
}

/// Gives what `step` makes of each entry.
pub(crate) struct ReadAhead<'a, R, E, F> {
    entries: Fuse<BoxStream<'static, StoreResult<Entry>>>,
    step: F,
    /// How many may be under way.
    most: usize,
    under_way: FuturesOrdered<BoxFuture<'a, Option<Result<R, E>>>>,
    /// How many these are.
    waiting: usize,
}

impl<'a, R, E, F> ReadAhead<'a, R, E, F> {
    pub(crate) fn new(entries: BoxStream<'static, StoreResult<Entry>>, step: F, most: usize) -> Self {
        Self { entries: entries.fuse(), step, most, under_way: FuturesOrdered::new(), waiting: 0 }
    }

    fn push(&mut self, record: BoxFuture<'a, Option<Result<R, E>>>) {
        self.under_way.push_back(record);
        self.waiting += 1;
    }
}

// Nothing in it is pinned but behind boxes.
impl<R, E, F> Unpin for ReadAhead<'_, R, E, F> {}

impl<'a, R, E, F> Stream for ReadAhead<'a, R, E, F>
where
    R: Send + 'a,
    E: From<Error> + Send + 'a,
    F: FnMut(Entry) -> Step<'a, R, E>,
{
    type Item = Result<R, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            // Where records come along with the listing, nothing is ever under way: that is to cost next to nothing.
            while this.waiting < this.most {
                let Poll::Ready(Some(entry)) = this.entries.poll_next_unpin(context) else { break };
                let done = match entry.map(&mut this.step) {
                    Ok(Step::PassOver) => continue,
                    Ok(Step::Wait(record)) => {
                        this.push(record);
                        continue;
                    }
                    Ok(Step::Done(record)) => record,
                    Err(e) => Err(Error::from(e).into()),
                };
                if this.waiting == 0 {
                    return Poll::Ready(Some(done));
                }
                this.push(Box::pin(std::future::ready(Some(done))));
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
