//! Tiers in memory that fail by script.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_layers::{Fault, FaultStore, TieredOptions, TieredStore};
use storehouse_objectstore::{
    ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation,
};

pub(crate) type Tiered = TieredStore<FaultStore<Memory>, FaultStore<Memory>>;

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn content(seed: usize, len: usize) -> Bytes {
    let bytes: Vec<u8> = (0..len).map(|n| (n ^ (seed * 37)) as u8).collect();
    bytes.into()
}

pub(crate) fn options() -> TieredOptions {
    TieredOptions::default()
        .write_back(true)
        .drain_min_pause(Duration::from_millis(1))
        .drain_max_pause(Duration::from_millis(5))
}

pub(crate) fn tiered(options: TieredOptions) -> Tiered {
    let tier = || FaultStore::new(Memory::new());
    TieredStore::with_options(tier(), tier(), options)
}

/// The same tiers after a restart, without faults.
pub(crate) fn reopened(store: &Tiered) -> Tiered {
    let (fast, slow) = (store.fast().inner().clone(), store.slow().inner().clone());
    TieredStore::with_options(FaultStore::new(fast), FaultStore::new(slow), options())
}

/// From now on the slow tier does no writes.
pub(crate) fn break_slow(store: &Tiered) {
    for operation in [Operation::Put, Operation::Delete, Operation::Head] {
        let fault = Fault::error(ErrorClass::Transient).on(operation).always();
        store.slow().faults().add(fault);
    }
}

pub(crate) async fn read(store: &impl ObjectStore, name: &str) -> Option<Bytes> {
    match store.get_bytes(&key(name), u64::MAX).await {
        Ok(bytes) => Some(bytes),
        Err(error) if error.is_not_found() => None,
        Err(error) => panic!("{error}"),
    }
}

pub(crate) async fn all(store: &impl ObjectStore) -> BTreeMap<String, Bytes> {
    let entries = store.list(ListOptions::default());
    let keys: Vec<_> = entries
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap();
    let mut found = BTreeMap::new();
    for key in keys {
        let bytes = store.get_bytes(&key, u64::MAX).await.unwrap();
        assert!(found.insert(key.to_string(), bytes).is_none());
    }
    found
}
