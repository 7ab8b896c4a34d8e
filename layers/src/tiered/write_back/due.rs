//! What is due, and how much may be.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storehouse_objectstore::{Key, Metadata};
use tokio::sync::Notify;

/// A record in the fast store.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    /// Which may be another one than that in its key.
    pub(super) number: u64,
    pub(super) key: Key,
    /// Its size there.
    pub(super) size: u64,
}

/// The newest record of a key.
#[derive(Clone, Debug)]
pub(super) struct DueEntry {
    pub(super) record: Stored,
    /// `None` if the key was deleted.
    pub(super) put: Option<Metadata>,
    /// The slow tier has it: only the records are left to be removed.
    pub(super) drained: bool,
    /// Older records, or such whose put failed, to be removed before this one is.
    stale: Vec<Stored>,
    /// A task is at it.
    has_task: bool,
}

/// What a key is by this list.
pub(super) enum Found {
    Put(Stored, Metadata),
    Deleted,
    /// Nothing is due: the slow tier says.
    Not,
}

pub(super) struct Due {
    state: Mutex<DueState>,
    changed: Notify,
    max_bytes: u64,
    max_records: usize,
}

#[derive(Debug, Default)]
struct DueState {
    entries: HashMap<Key, DueEntry>,
    /// Of the records, and of those that are being written.
    bytes: u64,
    records: usize,
    next: u64,
}

/// Room for a record that is being written, until dropped or used.
#[derive(Debug)]
pub(super) struct Room {
    due: Arc<Due>,
    size: u64,
    used: bool,
}

impl Room {
    /// It belongs to a record from now on.
    fn used(mut self) {
        self.used = true;
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if !self.used {
            self.due.release(self.size);
        }
    }
}

impl DueState {
    fn insert(&mut self, key: &Key, record: Stored, put: Option<Metadata>) -> Vec<Stored> {
        let (mut stale, mut has_task) = (Vec::new(), false);
        if let Some(old) = self.entries.remove(key) {
            stale = old.stale;
            stale.push(old.record);
            has_task = old.has_task;
        }
        let replaced = stale.clone();
        let entry = DueEntry {
            record,
            put,
            drained: false,
            stale,
            has_task,
        };
        self.entries.insert(key.clone(), entry);
        replaced
    }
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due")
            .field("keys", &self.state().entries.len())
            .finish_non_exhaustive()
    }
}

impl Due {
    pub(super) fn new(max_bytes: u64, max_records: usize) -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            max_bytes,
            max_records: max_records.max(1),
        }
    }

    fn state(&self) -> MutexGuard<'_, DueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number above all before.
    pub(super) fn next_number(&self) -> u64 {
        let mut state = self.state();
        state.next += 1;
        state.next
    }

    pub(super) fn look_up(&self, key: &Key) -> Found {
        match self.state().entries.get(key) {
            Some(entry) if !entry.drained => match &entry.put {
                Some(metadata) => Found::Put(entry.record.clone(), metadata.clone()),
                None => Found::Deleted,
            },
            _ => Found::Not,
        }
    }

    /// Whether the slow tier does not say yet what is there.
    pub(super) fn is_due(&self, key: &Key) -> bool {
        !matches!(self.look_up(key), Found::Not)
    }

    /// Whether any record of the key is there.
    pub(super) fn has_records(&self, key: &Key) -> bool {
        self.state().entries.contains_key(key)
    }

    /// Whether a record of the key has a higher number.
    pub(super) fn has_newer(&self, key: &Key, number: u64) -> bool {
        let state = self.state();
        let entry = state.entries.get(key);
        entry.is_some_and(|entry| {
            let mut records = entry.stale.iter().chain([&entry.record]);
            records.any(|record| record.number > number)
        })
    }

    /// The number of keys that the slow tier has yet to get.
    pub(super) fn len(&self) -> usize {
        let state = self.state();
        state
            .entries
            .values()
            .filter(|entry| !entry.drained)
            .count()
    }

    /// The keys with records at which no task is.
    pub(super) fn keys_without_task(&self) -> Vec<Key> {
        let state = self.state();
        let idle = state.entries.iter().filter(|(_, entry)| !entry.has_task);
        idle.map(|(key, _)| key.clone()).collect()
    }

    /// The keys with records.
    pub(super) fn keys(&self) -> Vec<Key> {
        self.state().entries.keys().cloned().collect()
    }

    /// The keys that `is_wanted`, with what was put; `None` where it is deleted.
    pub(super) fn snapshot(
        &self,
        is_wanted: impl Fn(&Key) -> bool,
    ) -> Vec<(Key, Option<Metadata>)> {
        let state = self.state();
        let due = state.entries.iter().filter(|(_, entry)| !entry.drained);
        due.filter(|(key, _)| is_wanted(key))
            .map(|(key, entry)| (key.clone(), entry.put.clone()))
            .collect()
    }

    /// Waits until `look` gives something, looking after each change.
    pub(super) async fn wait<T>(&self, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            let mut changed = std::pin::pin!(changed);
            // Before looking, so that a change between the look and the wait is not missed.
            changed.as_mut().enable();
            if let Some(found) = look(self) {
                return found;
            }
            changed.await;
        }
    }

    /// Room for a record of this size, if there is some.
    pub(super) fn try_room(self: &Arc<Self>, size: u64) -> Option<Room> {
        let mut state = self.state();
        let bytes = state.bytes.checked_add(size)?;
        if bytes > self.max_bytes || state.records >= self.max_records {
            return None;
        }
        state.bytes = bytes;
        state.records += 1;
        Some(Room {
            due: Arc::clone(self),
            size,
            used: false,
        })
    }

    /// Waits until there is room for a record of this size.
    pub(super) async fn room(self: &Arc<Self>, size: u64) -> Room {
        self.wait(|_| self.try_room(size)).await
    }

    fn release(&self, size: u64) {
        {
            let mut state = self.state();
            state.bytes -= size;
            state.records -= 1;
        }
        self.changed.notify_waiters();
    }

    /// From now on this is the newest record of the key. Gives those that it replaces.
    pub(super) fn insert(
        &self,
        key: &Key,
        record: Stored,
        put: Option<Metadata>,
        room: Room,
    ) -> Vec<Stored> {
        room.used();
        self.state().insert(key, record, put)
    }

    /// A put failed and its record may be there all the same: it is to be removed.
    pub(super) fn insert_stale(&self, key: &Key, record: Stored, room: Room) {
        room.used();
        let mut state = self.state();
        if let Some(entry) = state.entries.get_mut(key) {
            entry.stale.push(record);
            return;
        }
        let entry = DueEntry {
            record,
            put: None,
            drained: true,
            stale: Vec::new(),
            has_task: false,
        };
        state.entries.insert(key.clone(), entry);
    }

    /// A record that was found when the list was read; the others of its key came in order.
    pub(super) fn insert_found(&self, key: &Key, record: Stored, put: Option<Metadata>) {
        let mut state = self.state();
        state.bytes += record.size;
        state.records += 1;
        state.next = state.next.max(record.number);
        state.insert(key, record, put);
    }

    /// Numbers begin above this one.
    pub(super) fn count_from(&self, number: u64) {
        let mut state = self.state();
        state.next = state.next.max(number);
    }

    /// An older record was removed.
    pub(super) fn stale_removed(&self, key: &Key, number: u64) {
        let removed = {
            let mut state = self.state();
            let Some(entry) = state.entries.get_mut(key) else {
                return;
            };
            let place = entry.stale.iter().position(|old| old.number == number);
            place.map(|place| entry.stale.swap_remove(place))
        };
        if let Some(removed) = removed {
            self.release(removed.size);
        }
    }

    pub(super) fn entry(&self, key: &Key) -> Option<DueEntry> {
        self.state().entries.get(key).cloned()
    }

    /// The older records of a key.
    pub(super) fn stale(&self, key: &Key) -> Vec<Stored> {
        let state = self.state();
        let entry = state.entries.get(key);
        entry.map_or_else(Vec::new, |entry| entry.stale.clone())
    }

    /// The slow tier has what this record says; whether that is still the newest.
    pub(super) fn drained(&self, key: &Key, number: u64) -> bool {
        let mut state = self.state();
        match state.entries.get_mut(key) {
            Some(entry) if entry.record.number == number => {
                entry.drained = true;
                true
            }
            _ => false,
        }
    }

    /// The record was removed, and all older ones before it; whether nothing of the key is left.
    pub(super) fn removed(&self, key: &Key, number: u64) -> bool {
        let removed = {
            let mut state = self.state();
            let ended = state
                .entries
                .get(key)
                .is_some_and(|entry| entry.record.number == number && entry.stale.is_empty());
            if ended {
                state.entries.remove(key)
            } else {
                None
            }
        };
        match removed {
            Some(entry) => {
                self.release(entry.record.size);
                true
            }
            // A newer one has come, which has this one among the older.
            None => {
                self.stale_removed(key, number);
                false
            }
        }
    }

    /// Whether the caller is to run a task for the key.
    pub(super) fn begin_task(&self, key: &Key) -> bool {
        match self.state().entries.get_mut(key) {
            Some(entry) if !entry.has_task => {
                entry.has_task = true;
                true
            }
            _ => false,
        }
    }

    /// The task for the key has ended before all was done.
    pub(super) fn end_task(&self, key: &Key) {
        if let Some(entry) = self.state().entries.get_mut(key) {
            entry.has_task = false;
        }
    }
}
