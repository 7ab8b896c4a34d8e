//! Which objects are leased.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use storehouse_objectstore::Key;
use xxhash_rust::xxh3::xxh3_128;

/// The leased objects, by key for the memory and by the key's hash for the disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Leases(Arc<RwLock<Leased>>);

#[derive(Debug, Default)]
struct Leased {
    keys: HashMap<Key, usize>,
    hashes: HashMap<u128, usize>,
    /// How many times an object was leased no more.
    released: u64,
}

/// The hash by which blocks on disk know the key of their object.
pub(super) fn object_hash(key: &Key) -> u128 {
    xxh3_128(key.as_str().as_bytes())
}

impl Leases {
    fn read(&self) -> RwLockReadGuard<'_, Leased> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Leased> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn has_key(&self, key: &Key) -> bool {
        self.read().keys.contains_key(key)
    }

    pub(super) fn has_hash(&self, hash: u128) -> bool {
        self.read().hashes.contains_key(&hash)
    }

    /// A number that is another one once an object is leased no more.
    pub(super) fn released(&self) -> u64 {
        self.read().released
    }

    pub(super) fn lease(&self, key: &Key) -> Lease {
        let hash = object_hash(key);
        let mut leased = self.write();
        *leased.keys.entry(key.clone()).or_default() += 1;
        *leased.hashes.entry(hash).or_default() += 1;
        drop(leased);
        Lease {
            leases: self.clone(),
            key: key.clone(),
            hash,
        }
    }
}

/// Keeps the cached blocks of an object while it is used, in memory and on disk, until dropped.
/// Made by [`CacheStore::lease`](crate::CacheStore::lease).
#[derive(Debug)]
pub struct Lease {
    leases: Leases,
    key: Key,
    hash: u128,
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut leased = self.leases.write();
        release(&mut leased.keys, &self.key);
        if release(&mut leased.hashes, &self.hash) {
            leased.released += 1;
        }
    }
}

/// Whether that was the last one.
fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) -> bool {
    let Some(count) = counts.get_mut(key) else {
        return false;
    };
    *count -= 1;
    let is_last = *count == 0;
    if is_last {
        counts.remove(key);
    }
    is_last
}
