//! Listings: the entries of one page after the other.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::StreamExt;

use super::Core;
use super::page::Page;
use super::walk::Walk;
use crate::{Entry as Listed, ListOptions, Result};

/// Gives the entries of one page after the other.
struct Listing {
    page: Page,
    pages: Walk,
}

impl Stream for Listing {
    type Item = Result<Listed>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Listed>>> {
        loop {
            if let Some(entry) = self.page.next() {
                return Poll::Ready(Some(entry));
            }
            match ready!(self.pages.poll_next_unpin(context)) {
                Some(Ok(page)) => self.page = page,
                Some(Err(e)) => return Poll::Ready(Some(Err(e))),
                None => return Poll::Ready(None),
            }
        }
    }
}

pub(super) fn list(core: Arc<Core>, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
    Box::pin(Listing {
        page: Page::default(),
        pages: Walk::new(core, options),
    })
}
