//! Reading one small record among a million.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use redb::{Database, ReadableDatabase};
use storehouse_objectstore::{Datastore, GetOptions, Key, ListOptions, ObjectStore};
use storehouse_stores::{Allocation, AllocationStore, Layout};

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
    let mut report = Report::default();
    let mut tables = Vec::new();
    let runtime = runtime();
    for records in [1_000, options.pick(1_000_000, 50_000)] {
        let dirs = [options.tempdir(), options.tempdir()];
        let record = filled::allocation_record;
        let own = filled::datastore_of(&runtime, dirs[0].path(), records, record);
        runtime.block_on(own.compact()).expect("a merge");
        let store: Arc<dyn ObjectStore> = own.clone();
        let allocations = Arc::new(AllocationStore::new(Arc::clone(&store), &Layout::database()));
        let database = filled::redb_of(dirs[1].path(), records, record);
        let count = options.pick(200_000, 20_000);
        let asked: Arc<Vec<Allocation>> = Arc::new((0..count).map(|i| filled::allocation(mix(i) % records)).collect());
        let keys = (0..count).map(|i| record(mix(i) % records).0).collect::<Vec<_>>();
        let known: Arc<Vec<Key>> = Arc::new(keys.iter().map(|key| Key::new(key).expect("a key")).collect());
        let absent: Arc<Vec<Key>> = Arc::new((0..count).map(|i| Key::new(record(records + i).0).expect("a key")).collect());
        let table = Table::measure(
            "µs a read",
            options.pick(9, 3),
            vec![
                Contender::new(REDB_GET, || redb_gets(&database, &keys)),
                Contender::new(REDB_KEPT, || redb_kept(&database, &keys)),
                Contender::on(&runtime, THROUGH_DYN, || through_dyn(&store, &known)),
                Contender::on(&runtime, THROUGH_TYPE, || through_type(&own, &known)),
                Contender::on(&runtime, MISSING, || missing(&store, &absent)),
                Contender::on(&runtime, FIRST_BY_PREFIX, || first_by_prefix(&store, &known)),
                Contender::on(&runtime, GET, || get(&allocations, &asked)),
                Contender::on(&runtime, GET_ANY, || get_any(&allocations, &asked)),
                Contender::on(&runtime, EXISTS, || exists(&allocations, &asked)),
            ],
        );
        report.at_most(&format!("times redb's get, by Arc<dyn>, among {records}"), table.ratio(THROUGH_DYN, REDB_GET), 2.0);
        report.at_most(&format!("times redb's get, first by prefix, among {records}"), table.ratio(FIRST_BY_PREFIX, REDB_GET), 8.0);
        for name in [GET, GET_ANY, EXISTS] {
            report.at_most(&format!("times redb's get, {name}, among {records}"), table.ratio(name, REDB_GET), 8.0);
        }
        tables.push((format!("among {records} records"), table));
    }
    // One after the other, so that these are ratios of medians.
    for name in [GET, GET_ANY, EXISTS] {
        let [few, many] = [0, 1].map(|table: usize| tables[table].1.median(name));
        report.at_most(&format!("times as long as among few, {name}"), many / few, 2.0);
    }
    for (title, table) in tables {
        report.table(&title, table);
    }
    report
}

fn per_read(started: Instant, reads: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / reads as f64
}

fn redb_gets(database: &Database, keys: &[String]) -> f64 {
    let started = Instant::now();
    for key in keys {
        let table = database.begin_read().expect("a transaction").open_table(REDB).expect("a table");
        let value = table.get(key.as_bytes()).expect("a get").expect("a record").value().to_vec();
        assert!(value.len() > LEAST);
    }
    per_read(started, keys.len())
}

fn redb_kept(database: &Database, keys: &[String]) -> f64 {
    let table = database.begin_read().expect("a transaction").open_table(REDB).expect("a table");
    let started = Instant::now();
    for key in keys {
        let value = table.get(key.as_bytes()).expect("a get").expect("a record").value().to_vec();
        assert!(value.len() > LEAST);
    }
    per_read(started, keys.len())
}

fn through_dyn(store: &Arc<dyn ObjectStore>, keys: &Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    let (store, keys) = (Arc::clone(store), Arc::clone(keys));
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let object = store.get(key, GetOptions::default()).await.expect("a get");
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
            let object = store.as_ref().get(key, GetOptions::default()).await.expect("a get");
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
            assert!(store.get(key, GetOptions::default()).await.expect_err("nothing").is_not_found());
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
            let entry = store.list(options).next().await.expect("an entry").expect("an entry");
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
            let got = store.get(&allocation.blob.digest, &allocation.space).await.expect("an allocation");
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
            let got = store.get_any(&allocation.blob.digest).await.expect("a look").expect("an allocation");
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
