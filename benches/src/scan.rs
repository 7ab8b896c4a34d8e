//! Listing small records in order.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, TryStreamExt};
use redb::{Database, ReadableDatabase, ReadableTable};
use storehouse_objectstore::{ObjectStore, ObjectStoreExt as _};

use crate::filled::{self, REDB};
use crate::harness::{Contender, Options, Report, Table, runtime};

const STOREHOUSE: &str = "storehouse datastore, list";
const REDB_ITER: &str = "redb, iteration with copies";

pub(crate) fn run(options: &Options) -> Report {
    let (dirs, runtime) = ([options.tempdir(), options.tempdir()], runtime());
    let records = options.pick(100_000, 10_000);
    let store: Arc<dyn ObjectStore> = filled::datastore(&runtime, dirs[0].path(), records);
    let database = filled::redb(dirs[1].path(), records);
    let table = Table::measure(
        "records a second",
        options.pick(15, 3),
        vec![Contender::new(REDB_ITER, || iterate(&database, records)), Contender::on(&runtime, STOREHOUSE, || list(&store, records))],
    );
    let mut report = Report::default();
    report.table(&format!("{records} records, keys and sizes"), table);
    report
}

fn iterate(database: &Database, records: u64) -> f64 {
    let started = Instant::now();
    let table = database.begin_read().expect("a transaction").open_table(REDB).expect("a table");
    let entries = table.iter().expect("an iterator").map(|entry| {
        let (key, value) = entry.expect("a record");
        (String::from_utf8(key.value().to_vec()).expect("a key"), value.value().to_vec())
    });
    assert_eq!(entries.map(std::hint::black_box).count() as u64, records);
    records as f64 / started.elapsed().as_secs_f64()
}

fn list(store: &Arc<dyn ObjectStore>, records: u64) -> BoxFuture<'static, f64> {
    let store = Arc::clone(store);
    async move {
        let started = Instant::now();
        let listed = store.list_prefix("").try_fold(0, |count, _| async move { Ok(count + 1) }).await.expect("a listing");
        assert_eq!(listed, records);
        records as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}
