//! Reading one small record among a million.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redb::{Database, ReadableDatabase};
use storehouse_objectstore::{Datastore, GetOptions, Key, ListOptions, ObjectStore};
use storehouse_stores::{Allocation, AllocationStore, Layout};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::filled::{self, REDB, mix};
use crate::harness::{Contender, Options, Report, Table, runtime};

const REDB_GET: &str = "redb, a transaction a get";
const REDB_KEPT: &str = "redb, one kept transaction";
const THROUGH_DYN: &str = "datastore by Arc<dyn>";
const THROUGH_TYPE: &str = "datastore by its own type";
const MISSING: &str = "datastore, not there";
const FIRST_BY_PREFIX: &str = "datastore, first by prefix";
const GET: &str = "AllocationStore::get";
const GET_ANY: &str = "AllocationStore::get_any";
const EXISTS: &str = "AllocationStore::exists";

/// How few bytes of a value would be too few.
const LEAST: usize = 150;

type Allocations = AllocationStore<Arc<dyn ObjectStore>>;

pub(crate) fn run(options: &Options) -> Report {
    let runtime = runtime();
    let [few, many] = [1_000, options.pick(1_000_000, 50_000)]
        .map(|records| Filled::new(&runtime, options, records));
    // All take turns with each other, so that what else the machine does hits few and many alike.
    let contenders = few
        .contenders(&runtime)
        .into_iter()
        .chain(many.contenders(&runtime))
        .collect();
    let table = Table::measure("µs a read", options.pick(9, 3), contenders);
    let mut report = Report::default();
    for filled in [&few, &many] {
        let among = filled.records;
        let ratio = |name| table.ratio(&filled.name(name), &filled.name(REDB_GET));
        report.at_most(
            &format!("times redb's get, by Arc<dyn>, among {among}"),
            ratio(THROUGH_DYN),
            2.0,
        );
        for name in [FIRST_BY_PREFIX, GET, GET_ANY, EXISTS] {
            report.at_most(
                &format!("times redb's get, {name}, among {among}"),
                ratio(name),
                8.0,
            );
        }
    }
    for name in [GET, GET_ANY, EXISTS] {
        report.at_most(
            &format!("times as long as among few, {name}"),
            table.ratio(&many.name(name), &few.name(name)),
            2.0,
        );
    }
    report.table(
        &format!("among {} and among {} records", few.records, many.records),
        table,
    );
    report
}

/// The same records in both databases, and which of them are asked for.
struct Filled {
    records: u64,
    own: Arc<Datastore>,
    store: Arc<dyn ObjectStore>,
    allocations: Arc<Allocations>,
    redb: Arc<Database>,
    keys: Vec<String>,
    known: Arc<Vec<Key>>,
    absent: Arc<Vec<Key>>,
    asked: Arc<Vec<Allocation>>,
    _dirs: [TempDir; 2],
}

impl Filled {
    fn new(runtime: &Runtime, options: &Options, records: u64) -> Self {
        let dirs = [options.tempdir(), options.tempdir()];
        let record = filled::allocation_record;
        let own = filled::datastore_of(runtime, dirs[0].path(), records, record);
        runtime.block_on(own.compact()).expect("a merge");
        let store: Arc<dyn ObjectStore> = own.clone();
        let allocations = Arc::new(AllocationStore::new(
            Arc::clone(&store),
            &Layout::database(),
        ));
        let redb = filled::redb_of(dirs[1].path(), records, record);
        let numbers: Vec<u64> = (0..options.pick(200_000, 20_000)).collect();
        let keys: Vec<String> = numbers
            .iter()
            .map(|i| record(mix(*i) % records).0)
            .collect();
        let key = |text: &String| Key::new(text).expect("a key");
        let known = Arc::new(keys.iter().map(key).collect());
        let absent = Arc::new(
            numbers
                .iter()
                .map(|i| key(&record(records + i).0))
                .collect(),
        );
        let asked = Arc::new(
            numbers
                .iter()
                .map(|i| filled::allocation(mix(*i) % records))
                .collect(),
        );
        Self {
            records,
            own,
            store,
            allocations,
            redb,
            keys,
            known,
            absent,
            asked,
            _dirs: dirs,
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{name}, {}", self.records)
    }

    fn contenders<'a>(&'a self, runtime: &'a Runtime) -> Vec<Contender<'a>> {
        vec![
            Contender::new(self.name(REDB_GET), || redb_gets(&self.redb, &self.keys)),
            Contender::new(self.name(REDB_KEPT), || redb_kept(&self.redb, &self.keys)),
            Contender::on(runtime, self.name(THROUGH_DYN), || {
                through_dyn(&self.store, &self.known)
            }),
            Contender::on(runtime, self.name(THROUGH_TYPE), || {
                through_type(&self.own, &self.known)
            }),
            Contender::on(runtime, self.name(MISSING), || {
                missing(&self.store, &self.absent)
            }),
            Contender::on(runtime, self.name(FIRST_BY_PREFIX), || {
                first_by_prefix(&self.store, &self.known)
            }),
            Contender::on(runtime, self.name(GET), || {
                get(&self.allocations, &self.asked)
            }),
            Contender::on(runtime, self.name(GET_ANY), || {
                get_any(&self.allocations, &self.asked)
            }),
            Contender::on(runtime, self.name(EXISTS), || {
                exists(&self.allocations, &self.asked)
            }),
        ]
    }
}

fn per_read(started: Instant, reads: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / reads as f64
}

fn redb_gets(database: &Database, keys: &[String]) -> f64 {
    let started = Instant::now();
    for key in keys {
        let table = database
            .begin_read()
            .expect("a transaction")
            .open_table(REDB)
            .expect("a table");
        let value = table
            .get(key.as_bytes())
            .expect("a get")
            .expect("a record")
            .value()
            .to_vec();
        assert!(value.len() > LEAST);
    }
    per_read(started, keys.len())
}

fn redb_kept(database: &Database, keys: &[String]) -> f64 {
    let table = database
        .begin_read()
        .expect("a transaction")
        .open_table(REDB)
        .expect("a table");
    let started = Instant::now();
    for key in keys {
        let value = table
            .get(key.as_bytes())
            .expect("a get")
            .expect("a record")
            .value()
            .to_vec();
        assert!(value.len() > LEAST);
    }
    per_read(started, keys.len())
}

fn through_dyn(store: &Arc<dyn ObjectStore>, keys: &Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    let (store, keys) = (Arc::clone(store), Arc::clone(keys));
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let object = store
                .get_opts(key, GetOptions::default())
                .await
                .expect("a get");
            assert!(object.body.collect(1 << 20).await.expect("a body").len() > LEAST);
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn through_type(store: &Arc<Datastore>, keys: &Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    let (store, keys) = (Arc::clone(store), Arc::clone(keys));
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let object = store
                .as_ref()
                .get_opts(key, GetOptions::default())
                .await
                .expect("a get");
            assert!(object.body.collect(1 << 20).await.expect("a body").len() > LEAST);
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn missing(store: &Arc<dyn ObjectStore>, keys: &Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    let (store, keys) = (Arc::clone(store), Arc::clone(keys));
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            assert!(
                store
                    .get_opts(key, GetOptions::default())
                    .await
                    .expect_err("nothing")
                    .is_not_found()
            );
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn first_by_prefix(store: &Arc<dyn ObjectStore>, keys: &Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    use futures_util::StreamExt;
    let (store, keys) = (Arc::clone(store), Arc::clone(keys));
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let options = ListOptions::default().prefix(&key.as_str()[..60]).limit(1);
            let entry = store
                .list(options)
                .next()
                .await
                .expect("an entry")
                .expect("an entry");
            assert_eq!(&entry.key, key);
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn get(store: &Arc<Allocations>, asked: &Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    let (store, asked) = (Arc::clone(store), Arc::clone(asked));
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            let got = store
                .get(&allocation.blob.digest, &allocation.space)
                .await
                .expect("an allocation");
            assert_eq!(got.expires, allocation.expires);
        }
        per_read(started, asked.len())
    }
    .boxed()
}

fn get_any(store: &Arc<Allocations>, asked: &Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    let (store, asked) = (Arc::clone(store), Arc::clone(asked));
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            let got = store
                .get_any(&allocation.blob.digest)
                .await
                .expect("a look")
                .expect("an allocation");
            assert_eq!(got.expires, allocation.expires);
        }
        per_read(started, asked.len())
    }
    .boxed()
}

fn exists(store: &Arc<Allocations>, asked: &Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    let (store, asked) = (Arc::clone(store), Arc::clone(asked));
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            assert!(store.exists(&allocation.blob.digest).await.expect("a look"));
        }
        per_read(started, asked.len())
    }
    .boxed()
}
