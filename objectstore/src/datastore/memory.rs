//! What readers see: the records in memory and the tables, at any moment one whole state.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::Core;
use super::entry::Entry;
use super::fault::Fault;
use super::filter;
use super::memtable::Memtable;
use super::merge::{Merge, Source};
use super::page::{Page, PageBuilder};
use super::table::{Table, Wait};

/// The most bytes of records in a page of a listing, unless one alone is larger.
const PAGE_BYTES: usize = 1024 * 1024;

/// The records, the newest first. Behind a lock that is held for as long as one write goes in, and never while a disk is waited for.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What the current log holds.
    pub(super) active: Memtable,
    /// What is being written to a table.
    pub(super) frozen: Option<Arc<Memtable>>,
    /// The newest first.
    pub(super) tables: Arc<Vec<Arc<Table>>>,
}

/// The least text behind `key`.
fn after(key: &[u8]) -> Bytes {
    [key, b"\0"].concat().into()
}

/// Has the processor fetch records, which lie anywhere in memory, side by side, and not one after the other as each is looked at.
fn fetch(entries: &VecDeque<Entry>) {
    const LINE: usize = 64;
    let lines = entries.iter().flat_map(|entry| entry.raw().iter().step_by(LINE));
    std::hint::black_box(lines.fold(0, |all, byte| all ^ byte));
}

impl Core {
    /// The record of a key, checked, by itself.
    pub(super) fn find(&self, key: &[u8], wait: Wait) -> Result<Option<Entry>, Fault> {
        let tables = {
            let memory = self.memory();
            let newest = memory.active.get(key).or_else(|| memory.frozen.as_ref()?.get(key));
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

    /// The first record from `start` (inclusive) on, by itself, if its key begins with `prefix`. `None` if that cannot be said so quickly: it was deleted.
    pub(super) fn first(&self, prefix: &[u8], start: &[u8], wait: Wait) -> Result<Option<Option<Entry>>, Fault> {
        let of = |table: &Memtable| table.range(Bound::Included(start)).next().map(|entry| entry.by_ref().detached(entry.bytes()));
        let (newest, tables) = {
            let memory = self.memory();
            ([of(&memory.active), memory.frozen.as_deref().and_then(of)], Arc::clone(&memory.tables))
        };
        let mut first: Option<Entry> = None;
        let older = tables.iter().map(|table| table.first(start, &self.cache, wait));
        for entry in newest.into_iter().map(Ok).chain(older) {
            let Some(entry) = entry? else { continue };
            // What a newer source has of a key is what is true.
            if first.as_ref().is_none_or(|first| entry.key() < first.key()) {
                first = Some(entry);
            }
        }
        let first = first.filter(|entry| entry.key().starts_with(prefix));
        Ok(if first.as_ref().is_some_and(Entry::is_deletion) { None } else { Some(first) })
    }

    /// Up to `limit` records from `start` (inclusive) on whose keys begin with `prefix`, with their values as far as those have at most `values_up_to` bytes. `limit` is at least 1.
    pub(super) fn page(&self, prefix: &[u8], start: &[u8], limit: usize, values_up_to: Option<u64>, wait: Wait) -> Result<Page, Fault> {
        if limit == 1
            && let Some(first) = self.first(prefix, start, wait)?
        {
            let mut page = PageBuilder::with_capacity(1);
            let next = first.map(|entry| {
                page.push(entry.by_ref(), entry.bytes(), values_up_to);
                after(entry.key())
            });
            return Ok(page.finish(next));
        }
        // One more than fits, to know whether there are more.
        let some = |table: &Memtable| -> VecDeque<Entry> { table.range(Bound::Included(start)).take(limit + 1).cloned().collect() };
        let (active, frozen, tables) = {
            let memory = self.memory();
            (some(&memory.active), memory.frozen.clone(), Arc::clone(&memory.tables))
        };
        let frozen = frozen.as_deref().map(some).unwrap_or_default();
        fetch(&active);
        fetch(&frozen);
        // Beyond the last entry taken from memory there may be others.
        let horizon =
            [&active, &frozen].into_iter().filter(|taken| taken.len() > limit).filter_map(|taken| taken.back()).map(Entry::key_bytes).min();
        let mut sources = vec![Source::Entries(active), Source::Entries(frozen)];
        for table in tables.iter() {
            sources.push(Source::Table(table.seek(start, Some(&self.cache), wait)?));
        }
        let mut merge = Merge::new(sources, Some(&self.cache), wait);
        let mut page = PageBuilder::with_capacity(limit);
        // Deletions count too, so that a page of many of them ends.
        let (mut entries, mut bytes) = (0, 0);
        loop {
            let Some((entry, memory)) = merge.next()?.filter(|(entry, _)| entry.key().starts_with(prefix)) else {
                return Ok(page.finish(None));
            };
            if horizon.as_ref().is_some_and(|horizon| entry.key() >= &horizon[..]) {
                return Ok(page.finish(Some(Bytes::copy_from_slice(entry.key()))));
            }
            if !entry.is_deletion() {
                page.push(entry, memory, values_up_to);
            }
            (entries, bytes) = (entries + 1, bytes + entry.raw().len());
            if entries == limit || bytes >= PAGE_BYTES {
                let next = after(entry.key());
                return Ok(page.finish(Some(next)));
            }
        }
    }
}
