//! Reading all of 100,000 small records, in order.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use redb::{Database, ReadableDatabase, ReadableTable};
use storehouse_objectstore::{ObjectStore, ObjectStoreExt as _};
use storehouse_stores::{Allocation, AllocationStore, Layout};

use crate::filled::{self, REDB};
use crate::harness::{Contender, Options, Report, Table, runtime};

const REDB_DECODED: &str = "redb, iterated and decoded";
const SCAN: &str = "AllocationStore::list";
const LIST: &str = "datastore, keys and sizes";
const REDB_COPIED: &str = "redb, keys and values copied";

type Allocations = AllocationStore<Arc<dyn ObjectStore>>;

pub(crate) fn run(options: &Options) -> Report {
    let (dirs, runtime) = ([options.tempdir(), options.tempdir()], runtime());
    let records = options.pick(100_000, 10_000);
    let own = filled::datastore_of(&runtime, dirs[0].path(), records, filled::allocation_record);
    let store: Arc<dyn ObjectStore> = own.clone();
    let allocations = Arc::new(AllocationStore::new(
        Arc::clone(&store),
        &Layout::database(),
    ));
    let database = filled::redb_of(dirs[1].path(), records, filled::allocation_record);
    let mut report = Report::default();
    for place in ["not yet in tables", "in a table"] {
        if place == "in a table" {
            runtime.block_on(own.compact()).expect("a merge");
        }
        let table = Table::measure(
            "records a second",
            options.pick(15, 3),
            vec![
                Contender::new(REDB_DECODED, || decode(&database, records)),
                Contender::on(&runtime, SCAN, || scan(&allocations, records)),
                Contender::new(REDB_COPIED, || copy(&database, records)),
                Contender::on(&runtime, LIST, || list(&store, records)),
            ],
        );
        report.at_least(
            &format!("of redb's iteration and the same decoding, {place}"),
            table.ratio(SCAN, REDB_DECODED),
            0.7,
        );
        report.table(&format!("{records} allocations, {place}"), table);
    }
    report
}

fn decode(database: &Database, records: u64) -> f64 {
    let started = Instant::now();
    let table = database
        .begin_read()
        .expect("a transaction")
        .open_table(REDB)
        .expect("a table");
    let decoded = table.iter().expect("an iterator").map(|entry| {
        Allocation::decode(entry.expect("a record").1.value()).expect("an allocation")
    });
    assert_eq!(decoded.map(std::hint::black_box).count() as u64, records);
    records as f64 / started.elapsed().as_secs_f64()
}

fn copy(database: &Database, records: u64) -> f64 {
    let started = Instant::now();
    let table = database
        .begin_read()
        .expect("a transaction")
        .open_table(REDB)
        .expect("a table");
    let entries = table.iter().expect("an iterator").map(|entry| {
        let (key, value) = entry.expect("a record");
        (
            String::from_utf8(key.value().to_vec()).expect("a key"),
            value.value().to_vec(),
        )
    });
    assert_eq!(entries.map(std::hint::black_box).count() as u64, records);
    records as f64 / started.elapsed().as_secs_f64()
}

fn scan(allocations: &Arc<Allocations>, records: u64) -> BoxFuture<'static, f64> {
    let allocations = Arc::clone(allocations);
    async move {
        let started = Instant::now();
        let mut scan = allocations.list(None);
        let mut count = 0;
        while let Some(allocation) = scan.next().await {
            std::hint::black_box(allocation.expect("an allocation"));
            count += 1;
        }
        assert_eq!(count, records);
        records as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}

fn list(store: &Arc<dyn ObjectStore>, records: u64) -> BoxFuture<'static, f64> {
    let store = Arc::clone(store);
    async move {
        let started = Instant::now();
        let listed = store
            .list_prefix("")
            .try_fold(0, |count, _| async move { Ok(count + 1) })
            .await
            .expect("a listing");
        assert_eq!(listed, records);
        records as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}
