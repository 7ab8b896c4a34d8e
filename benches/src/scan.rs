//! Reading all of 100,000 small records, in order.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt};
use storehouse_objectstore::{ObjectStore, ObjectStoreExt as _};
use storehouse_stores::{Allocation, AllocationStore, Layout};

use crate::filled;
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::raw::{Engine, FjallEngine, Raw, RedbEngine};

const RAW_DECODED: &str = "the library's own, iterated and decoded";
const SCAN: &str = "AllocationStore::list";
const RAW_COPIED: &str = "the library's own, keys and values copied";
const LIST: &str = "keys and sizes";

type Allocations = AllocationStore<Arc<dyn ObjectStore>>;

pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::default();
    of::<FjallEngine>(options, &mut report);
    of::<RedbEngine>(options, &mut report);
    report
}

fn of<E: Engine>(options: &Options, report: &mut Report) {
    let (dirs, runtime) = ([options.tempdir(), options.tempdir()], runtime());
    let (records, engine) = (options.pick(100_000, 10_000), E::NAME);
    let own = filled::store::<E>(&runtime, dirs[0].path(), records, filled::allocation_record);
    let store: Arc<dyn ObjectStore> = own;
    let allocations = Arc::new(AllocationStore::new(
        Arc::clone(&store),
        &Layout::database(),
    ));
    let raw = filled::raw::<E>(dirs[1].path(), records, filled::allocation_record);
    let table = Table::measure(
        "records a second",
        options.pick(15, 3),
        vec![
            Contender::new(RAW_DECODED, || decode(&*raw, records)),
            Contender::on(&runtime, SCAN, || scan(&allocations, records)),
            Contender::new(RAW_COPIED, || copy(&*raw, records)),
            Contender::on(&runtime, LIST, || list(&store, records)),
        ],
    );
    let goal = format!("{engine}: of the library's iteration and the same decoding");
    report.at_least(&goal, table.ratio(SCAN, RAW_DECODED), 0.7);
    report.table(&format!("{engine}, {records} allocations"), table);
}

fn decode(raw: &dyn Raw, records: u64) -> f64 {
    let (started, mut count) = (Instant::now(), 0);
    raw.each(&mut |_, value| {
        std::hint::black_box(Allocation::decode(value).expect("an allocation"));
        count += 1;
    });
    assert_eq!(count, records);
    records as f64 / started.elapsed().as_secs_f64()
}

fn copy(raw: &dyn Raw, records: u64) -> f64 {
    let (started, mut count) = (Instant::now(), 0);
    raw.each(&mut |key, value| {
        let key = String::from_utf8(key.to_vec()).expect("a key");
        std::hint::black_box((key, value.to_vec()));
        count += 1;
    });
    assert_eq!(count, records);
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
        let entries = store.list_prefix("");
        let listed = entries
            .try_fold(0, |count, _| async move { Ok(count + 1) })
            .await;
        assert_eq!(listed.expect("a listing"), records);
        records as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}
