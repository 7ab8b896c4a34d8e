//! Stores with a million records in them, and the same records in the databases alone.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use storehouse_blobstore::{Digest, HashFunction};
use storehouse_engine::RecordStore;
use storehouse_formats::car::dag_cbor_cid_of;
use storehouse_objectstore::{Batch, Key};
use storehouse_stores::{Allocation, BlobRef, Did, Layout};
use tokio::runtime::Runtime;

use crate::raw::{Engine, Raw};

/// Bytes of a value: those of an allocation.
pub(crate) const VALUE: usize = 158;

/// Bytes of a key, random from the first one on.
pub(crate) const KEY: usize = 104;

/// How many records go into one batch while a store is filled.
const BATCH: u64 = 5_000;

/// The key of the record with this number.
pub(crate) fn key(number: u64) -> String {
    let mut state = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut text = String::with_capacity(KEY);
    while text.len() < KEY {
        state = mix(state);
        text.push_str(&format!("{state:016x}"));
    }
    text.truncate(KEY);
    text
}

/// SplitMix64's finalizer, which turns a counter into noise.
pub(crate) fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The value of the record with this number.
pub(crate) fn value(number: u64) -> Bytes {
    let mut value = vec![7; VALUE];
    value[..8].copy_from_slice(&number.to_le_bytes());
    value.into()
}

/// The allocation with this number: 160 bytes or so under a key of 115.
pub(crate) fn allocation(number: u64) -> Allocation {
    let noise = key(number);
    let blob = BlobRef {
        digest: Digest::of(HashFunction::Sha2_256, noise.as_bytes()),
        size: 1 << 20,
    };
    let mut space = [0; 32];
    space.copy_from_slice(&noise.as_bytes()[..32]);
    Allocation {
        space: Did::from_ed25519(&space),
        blob,
        expires: 1_700_000_000 + number,
        cause: dag_cbor_cid_of(noise.as_bytes()),
    }
}

/// The key of an allocation in a database, and its bytes.
pub(crate) fn allocation_record(number: u64) -> (String, Bytes) {
    let allocation = allocation(number);
    let key = format!("{}/{}", allocation.blob.digest, allocation.space);
    let key = Layout::database()
        .allocations
        .object_key(&key)
        .expect("a key");
    (key.to_string(), allocation.encode())
}

/// The key and the value of the record with this number.
pub(crate) fn record(number: u64) -> (String, Bytes) {
    (key(number), value(number))
}

/// A store with these records, as a compaction leaves it.
pub(crate) fn store<E: Engine>(
    runtime: &Runtime,
    dir: &Path,
    records: u64,
    record: fn(u64) -> (String, Bytes),
) -> Arc<RecordStore<E>> {
    runtime.block_on(async {
        let store = RecordStore::<E>::open(dir, E::options())
            .await
            .expect("a store");
        for start in (0..records).step_by(BATCH as usize) {
            let put = |batch: Batch, (key, value)| batch.put(Key::new(key).expect("a key"), value);
            let numbers = start..(start + BATCH).min(records);
            let batch = numbers.map(record).fold(Batch::new(), put);
            store.batch(batch).await.expect("a batch");
        }
        store.compact().await.expect("a compaction");
        Arc::new(store)
    })
}

/// The same records in the database alone, put in the same order.
pub(crate) fn raw<E: Engine>(
    dir: &Path,
    records: u64,
    record: fn(u64) -> (String, Bytes),
) -> Box<dyn Raw> {
    let raw = E::raw(dir);
    for start in (0..records).step_by(BATCH as usize) {
        let batch: Vec<_> = (start..(start + BATCH).min(records)).map(record).collect();
        raw.write(&batch);
    }
    raw.settle();
    raw
}
