//! Listings: a page at a time, in byte order of keys, in bounded memory.

use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Entry, Key, ListOptions, Operation, Result};
use tokio::task::JoinHandle;

use super::core::Core;
use super::engine::{Engine, Span};
use super::fault::Fault;
use super::handle::Handle;
use super::reads;
use super::record::{COUNTER, Record};

/// Entries of the first page: it is often all that a caller wants, and is read on the spot.
const FIRST_PAGE: usize = 16;
const SECOND_PAGE: usize = 128;
const PAGE: usize = 1024;

/// The most bytes of values in a page, unless one value alone has more.
const PAGE_BYTES: usize = 1 << 20;

/// What a page is to hold.
#[derive(Clone)]
struct Request {
    span: Span,
    limit: usize,
    inline_values: Option<u64>,
}

#[derive(Default)]
struct Page {
    /// What the caller gets, as it gets it. An error is the last.
    entries: Vec<Result<Entry>>,
    /// How many of them are entries.
    count: usize,
    /// The last key, if there may be more behind it.
    more: Option<Key>,
}

struct Listing<E: Engine> {
    handle: Arc<Handle<E>>,
    /// `None` at the end.
    request: Option<Request>,
    left: usize,
    /// The page after the one that the caller consumes.
    ahead: Option<JoinHandle<Page>>,
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
    async fn next(mut self) -> Option<(stream::Iter<std::vec::IntoIter<Result<Entry>>>, Self)> {
        let request = self.request.take()?;
        let page = match self.ahead.take() {
            Some(ahead) => ahead.await.unwrap_or_else(|e| {
                let e = std::io::Error::other(e);
                Page::failed(Fault::io("the blocking task did not finish", e), None)
            }),
            None => {
                let core = &self.handle.core;
                let read = reads::read(core, &request, Clone::clone, read_page, read_page).await;
                read.unwrap_or_else(|fault| Page::failed(fault, None))
            }
        };
        self.left -= page.count;
        if let Some(last) = page.more.filter(|_| self.left > 0) {
            let start = Bound::Excluded(last.as_str().as_bytes().to_vec());
            let first = request.limit <= FIRST_PAGE;
            let limit = if first { SECOND_PAGE } else { PAGE }.min(self.left);
            let next = Request {
                span: Span {
                    start,
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
                    read.unwrap_or_else(|fault| Page::failed(fault, None))
                }));
            }
            self.request = Some(next);
        }
        Some((stream::iter(page.entries), self))
    }
}

impl Page {
    fn failed(fault: Fault, key: Option<&Key>) -> Self {
        Self {
            entries: vec![Err(fault.into_error(Operation::List, key))],
            ..Self::default()
        }
    }
}

fn read_page<E: Engine>(core: &Core<E>, engine: &E, request: &Request) -> Result<Page, Fault> {
    let mut page = Page {
        entries: Vec::with_capacity(request.limit.min(PAGE)),
        ..Page::default()
    };
    let (mut values, mut bytes) = (Values::default(), 0);
    let mut visit = |key: &[u8], value: &[u8]| {
        let entry = entry(key, value, request.inline_values, &mut values);
        let Ok(listed) = &entry else {
            page.entries.push(entry);
            return ControlFlow::Break(());
        };
        page.count += 1;
        bytes += listed.value.as_ref().map_or(0, Bytes::len);
        if page.count == request.limit || bytes >= PAGE_BYTES {
            page.more = Some(listed.key.clone());
        }
        page.entries.push(entry);
        if page.more.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    };
    match core.gaps.scan(engine, request.span.clone(), &mut visit) {
        // What was read before the damage is given first.
        Err(fault) if page.count > 0 && !matches!(fault, Fault::Stopped { .. }) => {
            page.entries
                .push(Err(fault.into_error(Operation::List, None)));
            Ok(page)
        }
        scanned => scanned.map(|()| page),
    }
}

/// Makes small values of a page share memory, so that they cost no allocation each.
#[derive(Default)]
struct Values(BytesMut);

impl Values {
    /// The most bytes that a small value which is kept keeps in memory.
    const SHARED: usize = 32 << 10;

    fn add(&mut self, value: &[u8]) -> Bytes {
        if value.len() > Self::SHARED / 8 {
            return Bytes::copy_from_slice(value);
        }
        if self.0.capacity() < value.len() {
            self.0 = BytesMut::with_capacity(Self::SHARED);
        }
        self.0.extend_from_slice(value);
        self.0.split().freeze()
    }
}

fn entry(
    key: &[u8],
    bytes: &[u8],
    inline_values: Option<u64>,
    values: &mut Values,
) -> Result<Entry> {
    let damaged = || Fault::damaged("a key is damaged").into_error(Operation::List, None);
    let text = str::from_utf8(key).map_err(|_| damaged())?;
    let name = Key::new(text).map_err(|_| damaged())?;
    let record = match Record::decode(key, bytes) {
        Ok(record) => record,
        Err(fault) => return Err(fault.into_error(Operation::List, Some(&name))),
    };
    let inline = inline_values.is_some_and(|most| record.value.len() as u64 <= most);
    let value = inline.then(|| values.add(record.value));
    Ok(Entry {
        key: name,
        metadata: record.metadata(),
        value,
    })
}
