//! What readers see: the records in memory and the tables, at any moment one whole state.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::Core;
use super::entry::{Entry, EntryRef};
use super::fault::Fault;
use super::filter;
use super::memtable::Memtable;
use super::merge::{Merge, Source};
use super::page::{Page, PageBuilder};
use super::table::{Table, Wait};

/// The most bytes of records in a page of a listing, unless one alone is larger.
const PAGE_BYTES: usize = 1024 * 1024;

/// The records, the newest first. Behind a lock that is held for as long as one write goes in, and
/// never while a disk is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What the current log holds.
    pub(super) active: Memtable,
    /// What is being written to a table.
    pub(super) frozen: Option<Arc<Memtable>>,
    /// The newest first.
    pub(super) tables: Arc<Vec<Arc<Table>>>,
}

/// Some records in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range<'a> {
    /// What their keys begin with.
    pub(super) prefix: &'a [u8],
    /// Where they begin (inclusive).
    pub(super) start: &'a [u8],
    /// How many at most; at least 1.
    pub(super) limit: usize,
}

/// How far a walk went.
#[derive(Debug, Default)]
pub(super) struct Walked {
    /// Records that were given.
    pub(super) records: usize,
    /// How many bytes they have, keys and values, and those of deletions among them.
    pub(super) bytes: usize,
    /// Where to go on, if there may be more.
    pub(super) next: Option<Bytes>,
}

/// The least text behind `key`.
fn after(key: &[u8]) -> Bytes {
    [key, b"\0"].concat().into()
}

/// Has the processor fetch records, which lie anywhere in memory, side by side, and not one after
/// the other as each is looked at.
fn fetch(entries: &VecDeque<Entry>) {
    const LINE: usize = 64;
    let lines = entries
        .iter()
        .flat_map(|entry| entry.raw().iter().step_by(LINE));
    std::hint::black_box(lines.fold(0, |all, byte| all ^ byte));
}

impl Core {
    /// The record of a key, checked, by itself.
    pub(super) fn find(&self, key: &[u8], wait: Wait) -> Result<Option<Entry>, Fault> {
        let tables = {
            let memory = self.memory();
            let newest = memory
                .active
                .get(key)
                .or_else(|| memory.frozen.as_ref()?.get(key));
            if let Some(entry) = newest {
                return Ok((!entry.is_deletion()).then(|| entry.by_ref().detached(entry.bytes())));
            }
            Arc::clone(&memory.tables)
        };
        let hash = filter::hash(key);
        for table in tables.iter().filter(|table| table.may_have(hash)) {
            if let Some(entry) = table.get(key, &self.cache, wait)? {
                return Ok(Some(entry).filter(|entry| !entry.is_deletion()));
            }
        }
        Ok(None)
    }

    /// The first record from `start` (inclusive) on, by itself, if its key begins with `prefix`.
    /// `None` if that cannot be said so quickly: it was deleted.
    pub(super) fn first(
        &self,
        prefix: &[u8],
        start: &[u8],
        wait: Wait,
    ) -> Result<Option<Option<Entry>>, Fault> {
        let of = |table: &Memtable| {
            table
                .range(Bound::Included(start))
                .next()
                .map(|entry| entry.by_ref().detached(entry.bytes()))
        };
        let (newest, tables) = {
            let memory = self.memory();
            (
                [of(&memory.active), memory.frozen.as_deref().and_then(of)],
                Arc::clone(&memory.tables),
            )
        };
        let mut first: Option<Entry> = None;
        let older = tables
            .iter()
            .map(|table| table.first(start, &self.cache, wait));
        for entry in newest.into_iter().map(Ok).chain(older) {
            let Some(entry) = entry? else { continue };
            // What a newer source has of a key is what is true.
            if first.as_ref().is_none_or(|first| entry.key() < first.key()) {
                first = Some(entry);
            }
        }
        let first = first.filter(|entry| entry.key().starts_with(prefix));
        Ok(if first.as_ref().is_some_and(Entry::is_deletion) {
            None
        } else {
            Some(first)
        })
    }

    /// A page of a listing: these records, with their values as far as those have at most
    /// `inline_values` bytes.
    pub(super) fn page(
        &self,
        range: Range<'_>,
        inline_values: Option<u64>,
        wait: Wait,
    ) -> Result<(Page, Walked), Fault> {
        let mut page = PageBuilder::with_capacity(range.limit);
        let walked = self.walk(range, wait, &mut |entry, memory| {
            page.push(entry, memory, inline_values)
        })?;
        Ok((page.finish(), walked))
    }

    /// Gives these records to `give`, each with what it lies in. If one cannot be read, or not
    /// without waiting, what comes before it counts, and only where nothing does it fails.
    pub(super) fn walk(
        &self,
        range: Range<'_>,
        wait: Wait,
        give: &mut dyn FnMut(EntryRef<'_>, &Bytes),
    ) -> Result<Walked, Fault> {
        let Range {
            prefix,
            start,
            limit,
        } = range;
        if limit == 1
            && let Some(first) = self.first(prefix, start, wait)?
        {
            return Ok(first.map_or(Walked::default(), |entry| {
                give(entry.by_ref(), entry.bytes());
                Walked {
                    records: 1,
                    bytes: entry.raw().len(),
                    next: Some(after(entry.key())),
                }
            }));
        }
        // One more than fits, to know whether there are more.
        let some = |table: &Memtable| -> VecDeque<Entry> {
            table
                .range(Bound::Included(start))
                .take(limit + 1)
                .cloned()
                .collect()
        };
        let (active, frozen, tables) = {
            let memory = self.memory();
            (
                some(&memory.active),
                memory.frozen.clone(),
                Arc::clone(&memory.tables),
            )
        };
        let frozen = frozen.as_deref().map(some).unwrap_or_default();
        fetch(&active);
        fetch(&frozen);
        // Beyond the last entry taken from memory there may be others.
        let horizon = [&active, &frozen]
            .into_iter()
            .filter(|taken| taken.len() > limit)
            .filter_map(|taken| taken.back())
            .map(Entry::key_bytes)
            .min();
        let mut sources = vec![Source::Entries(active), Source::Entries(frozen)];
        for table in tables.iter() {
            sources.push(Source::Table(table.seek(start, Some(&self.cache), wait)?));
        }
        let mut merge = Merge::new(sources, Some(&self.cache), wait);
        let mut walked = Walked::default();
        // Deletions count too, so that a page of many of them ends.
        let (mut entries, mut last) = (0, Vec::new());
        loop {
            let (entry, memory) = match merge.next() {
                Ok(Some(next)) if next.0.key().starts_with(prefix) => next,
                Ok(_) => return Ok(walked),
                Err(fault) if entries == 0 => return Err(fault),
                Err(_) => {
                    walked.next = Some(after(&last));
                    return Ok(walked);
                }
            };
            if horizon
                .as_ref()
                .is_some_and(|horizon| entry.key() >= &horizon[..])
            {
                walked.next = Some(Bytes::copy_from_slice(entry.key()));
                return Ok(walked);
            }
            if !entry.is_deletion() {
                give(entry, memory);
                walked.records += 1;
            }
            entries += 1;
            walked.bytes += entry.raw().len();
            if entries == limit || walked.bytes >= PAGE_BYTES {
                walked.next = Some(after(entry.key()));
                return Ok(walked);
            }
            last.clear();
            last.extend_from_slice(entry.key());
        }
    }
}
