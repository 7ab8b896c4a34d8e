//! Mirrors of replicas that can be made to fail.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use storehouse_layers::{Fault, FaultStore, MirrorOptions, MirrorStore};
use storehouse_objectstore::{
    Body, Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
};

pub(super) type Mirror = MirrorStore<FaultStore<Memory>>;

pub(super) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(super) fn content(seed: usize, len: usize) -> Bytes {
    let bytes = (0..len).map(|n| ((n * 7 + seed) % 251) as u8);
    bytes.collect::<Vec<_>>().into()
}

pub(super) fn stream_of(bytes: &Bytes) -> Body {
    let pieces: Vec<_> = bytes.chunks(50_000).map(Bytes::copy_from_slice).collect();
    let pieces = pieces.into_iter().map(Ok::<_, Error>);
    Body::from_stream(stream::iter(pieces)).with_size(bytes.len() as u64)
}

pub(super) fn mirror(replicas: usize, options: MirrorOptions) -> Mirror {
    let replicas = (0..replicas).map(|_| FaultStore::new(Memory::new()));
    MirrorStore::new(replicas, options).unwrap()
}

pub(super) fn replica(store: &Mirror, replica: usize) -> &FaultStore<Memory> {
    store.replicas().nth(replica).unwrap()
}

pub(super) fn down(store: &Mirror, of: usize) {
    let fault = Fault::error(ErrorClass::Transient).always();
    replica(store, of).faults().add(fault);
}

pub(super) fn up(store: &Mirror, of: usize) {
    replica(store, of).faults().clear();
}

/// All that a replica holds, byte for byte.
pub(super) async fn raw(store: &Memory) -> Vec<(Key, Bytes)> {
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    let mut all = Vec::new();
    for entry in listed {
        let bytes = store.get_bytes(&entry.key, 1 << 24).await.unwrap();
        all.push((entry.key, bytes));
    }
    all
}

/// Asserts that the replicas hold the same, and gives their keys.
pub(super) async fn assert_same(store: &Mirror) -> Vec<Key> {
    let first = raw(replica(store, 0).inner()).await;
    for other in store.replicas() {
        assert!(raw(other.inner()).await == first, "the replicas differ");
    }
    first.into_iter().map(|(key, _)| key).collect()
}

/// Waits until the replica holds the key.
pub(super) async fn repaired(store: &Mirror, of: usize, key: &Key) {
    for _ in 0..1000 {
        if replica(store, of).inner().exists(key).await.unwrap() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("replica {of} was not repaired");
}

pub(super) async fn listed(store: &Mirror) -> Vec<Key> {
    let entries = store.list(ListOptions::default());
    entries
        .map_ok(|entry| entry.key)
        .try_collect()
        .await
        .unwrap()
}

/// A record as written at another time, in nanoseconds since 1970.
pub(super) fn at_time(record: &[u8], time: impl FnOnce(u64) -> u64) -> Vec<u8> {
    let mut record = record.to_vec();
    let trailer = record.len() - 44;
    let trailer = &mut record[trailer..];
    let now = u64::from_le_bytes(trailer[8..16].try_into().unwrap());
    trailer[8..16].copy_from_slice(&time(now).to_le_bytes());
    let crc = crc32c::crc32c(&trailer[..32]);
    trailer[32..36].copy_from_slice(&crc.to_le_bytes());
    record
}
