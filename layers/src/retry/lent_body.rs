//! A body that can be taken back as long as nothing of it was read.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use storehouse_objectstore::{Body, Result};

/// A body that is lent to one put at a time.
#[derive(Clone)]
pub(super) struct Lender(Arc<Mutex<Loan>>);

struct Loan {
    body: Body,
    /// The body gave a piece, an error or its end.
    was_read: bool,
}

impl Lender {
    pub(super) fn new(body: Body) -> Self {
        Self(Arc::new(Mutex::new(Loan {
            body,
            was_read: false,
        })))
    }

    fn loan(&self) -> MutexGuard<'_, Loan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The body, if nothing of it was read. One that was lent before must not be polled any more.
    pub(super) fn lend(&self) -> Option<Body> {
        let (size, was_read) = {
            let loan = self.loan();
            (loan.body.size(), loan.was_read)
        };
        if was_read {
            return None;
        }
        let body = Body::from_stream(Lent(self.clone()));
        Some(size.into_iter().fold(body, Body::with_size))
    }
}

struct Lent(Lender);

impl Stream for Lent {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut loan = self.0.loan();
        let polled = loan.body.poll_next_unpin(cx);
        loan.was_read |= polled.is_ready();
        polled
    }
}
