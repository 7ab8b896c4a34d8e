//! Objects that move from one store to another while they are looked for.
//!
//! Who asks one store after the other, or lists both a page at a time, can miss an object that
//! moves meanwhile. So a move is told to those under way before the object leaves its old place.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use storehouse_objectstore::{Error, ErrorClass, Key, ListOrder, Operation, Result};

/// The most moves that are remembered for one listing.
const MOST: usize = 65_536;

/// The moves of one store's objects.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    count: AtomicU64,
    watchers: Mutex<Vec<Weak<MovedKeys>>>,
}

impl Moves {
    /// How many moves there were. What was found nowhere has to be looked for again if this has
    /// changed.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Tells that the object is in its new place and is about to leave the old one.
    pub(crate) fn moved(&self, key: &Key) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| match watcher.upgrade() {
            Some(watcher) => {
                watcher.push(key);
                true
            }
            None => false,
        });
    }

    /// The keys that move from now on, for a listing.
    pub(crate) fn watch(&self) -> Arc<MovedKeys> {
        let watcher = Arc::new(MovedKeys::default());
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        watchers.push(Arc::downgrade(&watcher));
        watcher
    }
}

/// The keys that have moved while a listing runs.
#[derive(Debug, Default)]
pub(crate) struct MovedKeys(Mutex<Vec<Key>>);

impl MovedKeys {
    fn push(&self, key: &Key) {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.len() <= MOST {
            keys.push(key.clone());
        }
    }

    /// Takes the keys that come before `end` (all without it), in order, each once.
    ///
    /// # Errors
    /// If there were too many to remember.
    pub(crate) fn take_before(&self, end: Option<&Key>, order: &ListOrder) -> Result<Vec<Key>> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if keys.len() > MOST {
            return Err(Error::Backend {
                operation: Operation::List,
                key: None,
                class: ErrorClass::Transient,
                message: format!(
                    "more than {MOST} objects moved between stores while the listing stood still: \
                     resume it after its last key"
                ),
                source: None,
            });
        }
        let (mut before, after): (Vec<_>, Vec<_>) = std::mem::take(&mut *keys)
            .into_iter()
            .partition(|key| end.is_none_or(|end| order.compare(key, end).is_lt()));
        *keys = after;
        drop(keys);
        before.sort_by(|a, b| order.compare(a, b));
        before.dedup();
        Ok(before)
    }
}
