//! Writers of one thing wait for each other.

use std::hash::{BuildHasher, Hash, RandomState};

use storehouse_objectstore::Key;
use tokio::sync::{Mutex, MutexGuard};

const STRIPES: usize = 64;

/// Locks for records and for entries of unique indexes, a fixed number for any number of either.
///
/// A writer locks its record first, then all its entries at once, in the order of the stripes: no
/// two writers wait for each other.
#[derive(Debug)]
pub(crate) struct Locks {
    hasher: RandomState,
    records: Vec<Mutex<()>>,
    entries: Vec<Mutex<()>>,
}

impl Default for Locks {
    fn default() -> Self {
        let stripes = || {
            std::iter::repeat_with(Mutex::default)
                .take(STRIPES)
                .collect()
        };
        Self {
            hasher: RandomState::new(),
            records: stripes(),
            entries: stripes(),
        }
    }
}

impl Locks {
    pub(super) async fn record(&self, key: &str) -> MutexGuard<'_, ()> {
        self.records[self.stripe(key)].lock().await
    }

    /// Held as long as what it gives.
    pub(super) async fn entries(&self, keys: Vec<Key>) -> Vec<MutexGuard<'_, ()>> {
        let mut stripes: Vec<usize> = keys.iter().map(|key| self.stripe(key)).collect();
        stripes.sort_unstable();
        stripes.dedup();
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(self.entries[stripe].lock().await);
        }
        guards
    }

    fn stripe(&self, key: impl Hash) -> usize {
        self.hasher.hash_one(key) as usize % STRIPES
    }
}
