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

/// Some records of a listing.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) entries: Vec<Entry>,
    /// Where the next page starts, if there is one.
    pub(super) next: Option<Bytes>,
}

/// Has the processor fetch records, which lie anywhere in memory, side by side, and not one after the other as each is looked at.
fn fetch(entries: &VecDeque<Entry>) {
    const LINE: usize = 64;
    let lines = entries.iter().flat_map(|entry| entry.raw().iter().step_by(LINE));
    std::hint::black_box(lines.fold(0, |all, byte| all ^ byte));
}

impl Core {
    /// The record of a key, checked.
    pub(super) fn find(&self, key: &[u8], wait: Wait) -> Result<Option<Entry>, Fault> {
        let tables = {
            let memory = self.memory();
            let newest = memory.active.get(key).or_else(|| memory.frozen.as_ref()?.get(key));
            if let Some(entry) = newest {
                return Ok(Some(entry.clone()).filter(|entry| !entry.is_deletion()));
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

    /// Up to `limit` records from `start` (inclusive) on whose keys begin with `prefix`. `limit` is at least 1.
    pub(super) fn page(&self, prefix: &[u8], start: &[u8], limit: usize, wait: Wait) -> Result<Page, Fault> {
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
        let mut merge = Merge::new(sources, Some(&self.cache), wait)?;
        let mut entries = Vec::new();
        let (mut bytes, mut last) = (0, None);
        // Deletions count too, so that a page of many of them ends.
        for _ in 0..limit {
            let Some(entry) = merge.next()?.filter(|entry| entry.key().starts_with(prefix)) else {
                return Ok(Page { entries, next: None });
            };
            if horizon.as_ref().is_some_and(|horizon| entry.key() >= &horizon[..]) {
                return Ok(Page { entries, next: Some(entry.key_bytes()) });
            }
            bytes += entry.raw().len();
            if entry.is_deletion() {
                last = Some(entry);
            } else {
                last = None;
                entries.push(entry);
            }
            if bytes >= PAGE_BYTES {
                break;
            }
        }
        // The least text behind the last key.
        let next = last.as_ref().or(entries.last()).map(|last| [last.key(), b"\0"].concat().into());
        Ok(Page { entries, next })
    }
}
