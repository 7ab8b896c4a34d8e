//! The databases without storehouse: the same records, by the library's own calls.

use std::path::Path;

use bytes::Bytes;
use fjall::{KeyspaceCreateOptions, PersistMode, Readable};
use redb::{Database, ReadableDatabase, TableDefinition};
use storehouse_fjall::FjallOptions;
use storehouse_redb::RedbOptions;

const TABLE: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("records");

/// A database by its own library.
pub(crate) trait Raw: Send + Sync {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// The first record whose key starts with `prefix`.
    fn first(&self, prefix: &[u8]) -> Option<(Vec<u8>, Vec<u8>)>;

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8]));

    /// One durable commit.
    fn write(&self, records: &[(String, Bytes)]);

    /// What a compaction of the store does.
    fn settle(&self);
}

/// A store of storehouse and the database under it.
pub(crate) trait Engine: storehouse_engine::Engine {
    fn options() -> Self::Options;

    /// Opens the database itself, with the settings that the store has.
    fn raw(dir: &Path) -> Box<dyn Raw>;
}

pub(crate) type FjallEngine = storehouse_fjall::FjallEngine;
pub(crate) type RedbEngine = storehouse_redb::RedbEngine;

impl Engine for FjallEngine {
    fn options() -> FjallOptions {
        FjallOptions::default()
    }

    fn raw(dir: &Path) -> Box<dyn Raw> {
        let options = Self::options();
        let database = fjall::Database::builder(dir.join("raw"))
            .cache_size(options.cache)
            .worker_threads(2)
            .open()
            .expect("a database");
        let keyspace = database.keyspace("records", || {
            KeyspaceCreateOptions::default().max_memtable_size(options.write_buffer)
        });
        Box::new(RawFjall {
            keyspace: keyspace.expect("a keyspace"),
            database,
        })
    }
}

impl Engine for RedbEngine {
    fn options() -> RedbOptions {
        RedbOptions::default()
    }

    fn raw(dir: &Path) -> Box<dyn Raw> {
        let mut builder = Database::builder();
        let database = builder
            .set_cache_size(Self::options().cache)
            .create(dir.join("raw"));
        let database = database.expect("a database");
        let writing = database.begin_write().expect("a transaction");
        writing.open_table(TABLE).expect("a table");
        writing.commit().expect("a commit");
        Box::new(RawRedb(database))
    }
}

struct RawFjall {
    keyspace: fjall::Keyspace,
    database: fjall::Database,
}

impl Raw for RawFjall {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.keyspace
            .get(key)
            .expect("a get")
            .map(|value| value.to_vec())
    }

    fn first(&self, prefix: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let (key, value) = self
            .keyspace
            .prefix(prefix)
            .next()?
            .into_inner()
            .expect("a record");
        Some((key.to_vec(), value.to_vec()))
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for record in self.database.snapshot().iter(&self.keyspace) {
            let (key, value) = record.into_inner().expect("a record");
            visit(&key, &value);
        }
    }

    fn write(&self, records: &[(String, Bytes)]) {
        let mut batch = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for (key, value) in records {
            batch.insert(&self.keyspace, key.as_bytes(), &value[..]);
        }
        batch.commit().expect("a commit");
    }

    fn settle(&self) {
        self.keyspace.rotate_memtable_and_wait().expect("a table");
        self.keyspace.major_compact().expect("a compaction");
    }
}

struct RawRedb(Database);

impl RawRedb {
    fn table(&self) -> redb::ReadOnlyTable<&'static [u8], &'static [u8]> {
        self.0
            .begin_read()
            .expect("a transaction")
            .open_table(TABLE)
            .expect("a table")
    }
}

impl Raw for RawRedb {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.table()
            .get(key)
            .expect("a get")
            .map(|value| value.value().to_vec())
    }

    fn first(&self, prefix: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
        let table = self.table();
        let (key, value) = table
            .range(prefix..)
            .expect("a range")
            .next()?
            .expect("a record");
        key.value()
            .starts_with(prefix)
            .then(|| (key.value().to_vec(), value.value().to_vec()))
    }

    fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        for record in self.table().range::<&[u8]>(..).expect("a range") {
            let (key, value) = record.expect("a record");
            visit(key.value(), value.value());
        }
    }

    fn write(&self, records: &[(String, Bytes)]) {
        let writing = self.0.begin_write().expect("a transaction");
        {
            let mut table = writing.open_table(TABLE).expect("a table");
            for (key, value) in records {
                table.insert(key.as_bytes(), &value[..]).expect("an insert");
            }
        }
        writing.commit().expect("a commit");
    }

    /// redb reuses freed pages, and reads are none the faster for a compaction.
    fn settle(&self) {}
}
