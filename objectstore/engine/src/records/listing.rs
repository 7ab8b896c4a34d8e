//! Listings: a page at a time, in byte order of keys, in bounded memory.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Entry, ListOptions, Operation, Result};
use tokio::task::JoinHandle;

use super::core::Core;
use super::engine::{Engine, Span};
use super::fault::Fault;
use super::handle::Handle;
use super::page::{self, Page};
use super::reads;
use super::record::{COUNTER, Record};

/// Entries of the first page: it is often all that a caller wants, and is read on the spot.
const FIRST_PAGE: usize = 16;
const SECOND_PAGE: usize = 128;
const PAGE: usize = 1024;

/// The most bytes of keys and values in a page, unless one value alone has more.
const PAGE_BYTES: usize = 1 << 20;

/// What a page is to hold.
#[derive(Clone)]
struct Request {
    span: Span,
    limit: usize,
    inline_values: Option<u64>,
}

/// The last key of a page, if there may be more behind it.
type More = Option<Vec<u8>>;

struct Listing<E: Engine> {
    handle: Arc<Handle<E>>,
    /// `None` at the end.
    request: Option<Request>,
    left: usize,
    /// The page after the one that the caller consumes.
    ahead: Option<JoinHandle<(Page, More)>>,
}

pub(super) fn list<E: Engine>(
    handle: Arc<Handle<E>>,
    options: ListOptions,
) -> BoxStream<'static, Result<Entry>> {
    let left = options.limit.unwrap_or(usize::MAX);
    let request = (left > 0).then(|| Request {
        span: span(&options),
        limit: FIRST_PAGE.min(left),
        inline_values: options.inline_values,
    });
    let request = request.filter(|request| !request.span.is_empty());
    let listing = Listing {
        handle,
        request,
        left,
        ahead: None,
    };
    stream::unfold(listing, Listing::next).flatten().boxed()
}

/// The keys that `options` asks for, without the counter.
fn span(options: &ListOptions) -> Span {
    let prefix = options.prefix.as_bytes();
    let start = match &options.start_after {
        Some(after) if after.as_str() >= options.prefix.as_str() => {
            Bound::Excluded(after.as_str().as_bytes().to_vec())
        }
        _ if prefix.is_empty() => Bound::Excluded(COUNTER.to_vec()),
        _ => Bound::Included(prefix.to_vec()),
    };
    // No byte of UTF-8 is 255.
    let end = prefix
        .split_last()
        .map_or(Bound::Unbounded, |(last, rest)| {
            Bound::Excluded([rest, &[last + 1]].concat())
        });
    Span {
        start,
        end,
        reverse: false,
    }
}

impl<E: Engine> Listing<E> {
    async fn next(mut self) -> Option<(impl Stream<Item = Result<Entry>>, Self)> {
        let request = self.request.take()?;
        let (page, more) = match self.ahead.take() {
            Some(ahead) => ahead.await.unwrap_or_else(|e| {
                let e = std::io::Error::other(e);
                failed(Fault::io("the blocking task did not finish", e))
            }),
            None => {
                let core = &self.handle.core;
                let read = reads::read(core, &request, Clone::clone, read_page, read_page).await;
                read.unwrap_or_else(failed)
            }
        };
        self.left -= page.len();
        if let Some(last) = more.filter(|_| self.left > 0) {
            let first = request.limit <= FIRST_PAGE;
            let limit = if first { SECOND_PAGE } else { PAGE }.min(self.left);
            let next = Request {
                span: Span {
                    start: Bound::Excluded(last),
                    ..request.span
                },
                limit,
                ..request
            };
            // A caller that takes the first page only costs no second one.
            if !first {
                let (core, request) = (Arc::clone(&self.handle.core), next.clone());
                self.ahead = Some(tokio::task::spawn_blocking(move || {
                    let read = core.with_retry(|engine| read_page(&core, engine, &request));
                    read.unwrap_or_else(failed)
                }));
            }
            self.request = Some(next);
        }
        Some((stream::iter(page.into_entries()), self))
    }
}

fn failed(fault: Fault) -> (Page, More) {
    (Page::failed(fault), None)
}

fn read_page<E: Engine>(
    core: &Core<E>,
    engine: &E,
    request: &Request,
) -> Result<(Page, More), Fault> {
    let (mut page, mut more) = (Page::with_capacity(request.limit.min(PAGE)), None);
    let mut visit = |key: &[u8], value: &[u8]| {
        let record = match Record::decode(key, value) {
            Ok(record) => record,
            Err(fault) => {
                page.fail(match page::key(key) {
                    Ok(key) => fault.into_error(Operation::List, Some(&key)),
                    Err(error) => error,
                });
                return ControlFlow::Break(());
            }
        };
        let size = record.value.len() as u64;
        page.push(
            key,
            &record,
            request.inline_values.is_some_and(|most| size <= most),
        );
        if page.len() == request.limit || page.bytes() >= PAGE_BYTES {
            more = Some(key.to_vec());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    match core.gaps.scan(engine, request.span.clone(), &mut visit) {
        // What was read before the damage is given first.
        Err(fault) if page.len() > 0 && !matches!(fault, Fault::Stopped { .. }) => {
            page.fail(fault.into_error(Operation::List, None));
            Ok((page, None))
        }
        scanned => scanned.map(|()| (page, more)),
    }
}
