//! Records in memory that are in the log and not yet in a table.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use super::entry::Entry;

/// The newest entry of each key. A hash map for reads, which come by the million, and all once more
/// in order for listings.
#[derive(Default)]
pub(super) struct Memtable {
    entries: HashMap<Bytes, Entry>,
    sorted: BTreeMap<Bytes, Entry>,
    /// Bytes of all entries that were put in, also of those replaced since: they share memory with
    /// their neighbours.
    bytes: usize,
}

impl Memtable {
    pub(super) fn insert(&mut self, entry: Entry) {
        self.bytes += entry.raw().len();
        let key = entry.key_bytes();
        self.entries.insert(key.clone(), entry.clone());
        self.sorted.insert(key, entry);
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        if self.entries.is_empty() {
            None
        } else {
            self.entries.get(key)
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entries from `start` on, in order.
    pub(super) fn range<'a>(&'a self, start: Bound<&'a [u8]>) -> impl Iterator<Item = &'a Entry> {
        self.sorted
            .range::<[u8], _>((start, Bound::Unbounded))
            .map(|(_, entry)| entry)
    }
}

impl fmt::Debug for Memtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memtable")
            .field("entries", &self.entries.len())
            .field("bytes", &self.bytes)
            .finish()
    }
}
