//! Locks by key, for steps on more than one store that must not interleave.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use storehouse_objectstore::Key;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// How many locks there are: two keys share one by chance, and then wait for each other.
const LOCKS: usize = 256;

/// A key's lock, until dropped.
pub(crate) type KeyGuard = OwnedMutexGuard<()>;

/// One lock for each key, some shared. Hold one only in a task that is polled to its end
/// ([`detached`](super::detached)), and never while waiting on the caller.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    locks: Box<[Arc<Mutex<()>>]>,
    hasher: RandomState,
}

impl Default for KeyLocks {
    fn default() -> Self {
        Self {
            locks: (0..LOCKS).map(|_| Arc::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl KeyLocks {
    pub(crate) async fn lock(&self, key: &Key) -> KeyGuard {
        Arc::clone(&self.locks[self.place(key)]).lock_owned().await
    }

    /// The locks of several keys, in an order in which no two of these calls wait for each other.
    pub(crate) async fn lock_all(&self, keys: impl IntoIterator<Item = &Key>) -> Vec<KeyGuard> {
        let places: BTreeSet<_> = keys.into_iter().map(|key| self.place(key)).collect();
        let mut guards = Vec::with_capacity(places.len());
        for place in places {
            guards.push(Arc::clone(&self.locks[place]).lock_owned().await);
        }
        guards
    }

    fn place(&self, key: &Key) -> usize {
        self.hasher.hash_one(key) as usize % LOCKS
    }
}
