//! Which tags the slow tier has for versions that were put under others.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use storehouse_objectstore::{ETag, Key};

/// The tag of the slow tier for the put of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alias {
    pub(super) number: u64,
    pub(super) slow: ETag,
    pub(super) etag: ETag,
    pub(super) last_modified: Option<SystemTime>,
}

/// The newest alias of each key. They are only names: without one a version goes by the slow tier's
/// tag, and one of another version than that which is there means nothing.
#[derive(Debug, Default)]
pub(super) struct Tags(Mutex<TagsState>);

#[derive(Debug, Default)]
struct TagsState {
    by_key: HashMap<Key, Alias>,
    by_number: BTreeMap<u64, Key>,
}

impl Tags {
    fn state(&self) -> MutexGuard<'_, TagsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Alias> {
        self.state().by_key.get(key).cloned()
    }

    /// The number of the one that this one replaces.
    pub(super) fn insert(&self, key: &Key, alias: Alias) -> Option<u64> {
        let mut state = self.state();
        state.by_number.insert(alias.number, key.clone());
        let old = state.by_key.insert(key.clone(), alias.clone())?;
        if old.number == alias.number {
            return None;
        }
        state.by_number.remove(&old.number);
        Some(old.number)
    }

    /// Forgets that of a key; its number.
    pub(super) fn remove(&self, key: &Key) -> Option<u64> {
        let mut state = self.state();
        let number = state.by_key.remove(key)?.number;
        state.by_number.remove(&number);
        Some(number)
    }

    /// Forgets the oldest if there are more than `most`; its number.
    pub(super) fn remove_excess(&self, most: usize) -> Option<u64> {
        let mut state = self.state();
        if state.by_number.len() <= most {
            return None;
        }
        let (number, key) = state.by_number.pop_first()?;
        state.by_key.remove(&key);
        Some(number)
    }
}
