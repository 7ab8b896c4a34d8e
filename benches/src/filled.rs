//! Stores with a million records in them: ours, and redb's as it comes.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use redb::{Database, ReadableDatabase, TableDefinition};
use storehouse_objectstore::{Batch, Datastore, DatastoreOptions, Key};
use tokio::runtime::Runtime;

/// Bytes of a value: those of an allocation.
pub(crate) const VALUE: usize = 158;

/// Bytes of a key, random from the first one on.
pub(crate) const KEY: usize = 104;

pub(crate) const REDB: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

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

pub(crate) fn datastore(runtime: &Runtime, dir: &Path, records: u64) -> Arc<Datastore> {
    runtime.block_on(async {
        let store = Datastore::open(dir, DatastoreOptions::default()).await.expect("a datastore");
        for start in (0..records).step_by(BATCH as usize) {
            let put = |batch: Batch, number| batch.put(Key::new(key(number)).expect("a key"), value(number));
            let batch = (start..(start + BATCH).min(records)).fold(Batch::new(), put);
            store.batch(batch).await.expect("a batch");
        }
        Arc::new(store)
    })
}

pub(crate) fn redb(dir: &Path, records: u64) -> Arc<Database> {
    let database = Database::create(dir.join("redb")).expect("a database");
    let writing = database.begin_write().expect("a transaction");
    {
        let mut table = writing.open_table(REDB).expect("a table");
        let mut sorted: Vec<_> = (0..records).map(|number| (key(number), number)).collect();
        sorted.sort();
        for (key, number) in sorted {
            table.insert(key.as_bytes(), &value(number)[..]).expect("an insert");
        }
    }
    writing.commit().expect("a commit");
    drop(database.begin_read());
    Arc::new(database)
}
