//! Listing, a page at a time: between pages nothing is held but where to go on.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};

use super::entry::Entry;
use super::memory::Page;
use super::store::off_thread;
use super::table::Wait;
use super::{Core, Fault};
use crate::{Entry as Listed, Error, Key, ListOptions, Operation, Result};

/// Records in the first page, which is read on the spot if that needs no waiting: enough for "the first one with this prefix".
const FIRST: usize = 8;

/// Records in a page at most.
const MOST: usize = 1024;

/// Where a listing stands.
struct Listing {
    core: Arc<Core>,
    prefix: Bytes,
    /// Where the next page starts.
    start: Option<Bytes>,
    /// How many records are still asked for.
    left: usize,
    size: usize,
}

pub(super) fn list(core: Arc<Core>, options: ListOptions) -> BoxStream<'static, Result<Listed>> {
    let prefix = Bytes::from(options.prefix);
    // The least text behind the key to start after.
    let after = options.start_after.map(|key| Bytes::from([key.as_str().as_bytes(), b"\0"].concat()));
    let start = after.map_or(prefix.clone(), |after| after.max(prefix.clone()));
    let listing = Listing { core, prefix, start: Some(start), left: options.limit.unwrap_or(usize::MAX), size: FIRST };
    stream::unfold(listing, Listing::next).flatten().boxed()
}

type Piece = stream::Iter<std::vec::IntoIter<Result<Listed>>>;

impl Listing {
    async fn next(mut self) -> Option<(Piece, Self)> {
        let start = self.start.take().filter(|_| self.left > 0)?;
        let limit = self.size.min(self.left);
        let piece = match self.page(start, limit).await {
            Ok(page) => {
                self.start = page.next;
                self.left -= page.entries.len();
                self.size = (self.size * 8).min(MOST);
                list_entries(page.entries)
            }
            Err(error) => vec![Err(error)],
        };
        Some((stream::iter(piece), self))
    }

    async fn page(&self, start: Bytes, limit: usize) -> Result<Page> {
        let failed = |fault: Fault| fault.into_error(Operation::List, None);
        if limit <= FIRST {
            match self.core.page(&self.prefix, &start, limit, Wait::Refused) {
                Err(Fault::WouldWait) => {}
                page => return page.map_err(failed),
            }
        }
        let (core, prefix) = (Arc::clone(&self.core), self.prefix.clone());
        off_thread(Operation::List, move || core.page(&prefix, &start, limit, Wait::Allowed).map_err(failed)).await
    }
}

fn list_entries(entries: VecDeque<Entry>) -> Vec<Result<Listed>> {
    entries.into_iter().map(|entry| Ok(Listed { key: key(&entry)?, metadata: entry.metadata() })).collect()
}

/// The key of a record that was checked, so that it was a key when it was put.
fn key(entry: &Entry) -> Result<Key> {
    let text = std::str::from_utf8(entry.key()).map_err(|e| {
        let e = std::io::Error::new(std::io::ErrorKind::InvalidData, e);
        Error::io(Operation::List, None, "a record's key is no text", e)
    })?;
    Key::new(text)
}
