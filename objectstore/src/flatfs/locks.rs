//! Locks for keys.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Key;

/// More than there are threads that change names at once.
const STRIPES: usize = 64;

/// A lock for every key, shared with some others. Held while a name is judged and changed, and for nothing slower.
#[derive(Debug)]
pub(super) struct Locks {
    stripes: [Mutex<()>; STRIPES],
    hasher: RandomState,
}

impl Default for Locks {
    fn default() -> Self {
        Self { stripes: [const { Mutex::new(()) }; STRIPES], hasher: RandomState::new() }
    }
}

impl Locks {
    pub(super) fn lock(&self, key: &Key) -> MutexGuard<'_, ()> {
        let stripe = self.hasher.hash_one(key) as usize % STRIPES;
        self.stripes[stripe].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
