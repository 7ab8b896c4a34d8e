//! Listing, a page at a time and one ahead: while a listing is not read on, nothing is held but these.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use tokio::task::JoinHandle;

use super::entry::Entry;
use super::store::cut_off;
use super::table::Wait;
use super::{Core, Fault};
use crate::{Entry as ListedEntry, Error, Key, ListOptions, Operation, Result};

/// Records in the first page, which is read on the spot if that needs no waiting: enough for "the first one with this prefix".
const FIRST: usize = 8;

/// Records in a page at most.
const MOST: usize = 1024;

/// Where a listing stands.
struct Listing {
    core: Arc<Core>,
    prefix: Bytes,
    values_up_to: Option<u64>,
    /// Where the next page starts.
    start: Option<Bytes>,
    /// How many records are still asked for.
    left: usize,
    size: usize,
    /// The next page, read while this one is being used.
    ahead: Option<JoinHandle<Result<Listed>>>,
}

/// A page as it is given out, and where the next one starts.
struct Listed {
    entries: Vec<Result<ListedEntry>>,
    next: Option<Bytes>,
}

pub(super) fn list(core: Arc<Core>, options: ListOptions) -> BoxStream<'static, Result<ListedEntry>> {
    let prefix = Bytes::from(options.prefix);
    // The least text behind the key to start after.
    let after = options.start_after.map(|key| Bytes::from([key.as_str().as_bytes(), b"\0"].concat()));
    let start = after.map_or(prefix.clone(), |after| after.max(prefix.clone()));
    let left = options.limit.unwrap_or(usize::MAX);
    let listing = Listing { core, prefix, values_up_to: options.values_up_to, start: Some(start), left, size: FIRST, ahead: None };
    stream::unfold(listing, Listing::next).flatten().boxed()
}

type Piece = stream::Iter<std::vec::IntoIter<Result<ListedEntry>>>;

impl Listing {
    async fn next(mut self) -> Option<(Piece, Self)> {
        let is_first = self.size == FIRST;
        let page = match self.ahead.take() {
            Some(ahead) => ahead.await.unwrap_or_else(|e| Err(cut_off(Operation::List, e))),
            None => {
                let read = self.read()?;
                match is_first.then(|| read(Wait::Refused)) {
                    None | Some(Err(Fault::WouldWait)) => tokio::task::spawn_blocking(move || read(Wait::Allowed).map_err(failed))
                        .await
                        .unwrap_or_else(|e| Err(cut_off(Operation::List, e))),
                    Some(page) => page.map_err(failed),
                }
            }
        };
        let entries = match page {
            Ok(page) => {
                self.start = page.next;
                self.left -= page.entries.len();
                self.size = (self.size * 8).min(MOST);
                page.entries
            }
            Err(error) => vec![Err(error)],
        };
        // Not behind the first one: who wants but that is to cost no more.
        if !is_first && let Some(read) = self.read() {
            self.ahead = Some(tokio::task::spawn_blocking(move || read(Wait::Allowed).map_err(failed)));
        }
        Some((stream::iter(entries), self))
    }

    /// What reads the next page, if there may be one.
    fn read(&mut self) -> Option<impl Fn(Wait) -> std::result::Result<Listed, Fault> + Send + 'static> {
        let start = self.start.take().filter(|_| self.left > 0)?;
        let (core, prefix, values_up_to) = (Arc::clone(&self.core), self.prefix.clone(), self.values_up_to);
        let limit = self.size.min(self.left);
        Some(move |wait| {
            let page = core.page(&prefix, &start, limit, wait)?;
            Ok(Listed { entries: page.entries.iter().map(|entry| listed(entry, values_up_to)).collect(), next: page.next })
        })
    }
}

fn failed(fault: Fault) -> Error {
    fault.into_error(Operation::List, None)
}

fn listed(entry: &Entry, values_up_to: Option<u64>) -> Result<ListedEntry> {
    let size = entry.value().len();
    let value = values_up_to.filter(|most| size as u64 <= *most).map(|_| entry.body(0..size));
    Ok(ListedEntry { key: key(entry)?, metadata: entry.metadata(), value })
}

/// The key of a record that was checked, so that it was a key when it was put.
fn key(entry: &Entry) -> Result<Key> {
    let text = std::str::from_utf8(entry.key()).map_err(|e| {
        let e = std::io::Error::new(std::io::ErrorKind::InvalidData, e);
        Error::io(Operation::List, None, "a record's key is no text", e)
    })?;
    Key::new(text)
}
