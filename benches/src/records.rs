//! Durable puts of small records among a million, next to the same bytes written to a file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use redb::Database;
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt as _};

use crate::filled::{self, KEY, REDB, VALUE};
use crate::harness::{Contender, Options, Report, Table, runtime};

const RAW: &str = "raw file, one sync a group";
const STOREHOUSE: &str = "storehouse datastore";
const REDB_EACH: &str = "redb, a commit a record";

/// Writers, records of each in a round, and the least share of the raw loop's speed.
const CASES: [(u64, u64, f64); 3] = [(1, 2_000, 0.5), (64, 3_000, 0.13), (256, 1_500, 0.055)];

pub(crate) fn run(options: &Options) -> Report {
    let records = options.pick(1_000_000, 20_000);
    let (dirs, runtime) = (
        [options.tempdir(), options.tempdir(), options.tempdir()],
        runtime(),
    );
    let store: Arc<dyn ObjectStore> = filled::datastore(&runtime, dirs[0].path(), records);
    let next = Arc::new(AtomicU64::new(records));
    let mut report = Report::default();
    for (writers, each, least) in CASES {
        let each = options.pick(each, each / 20);
        let raw_file = RawFile::new(dirs[2].path(), writers * each);
        let table = Table::measure(
            "records a second",
            options.pick(7, 2),
            vec![
                Contender::new(RAW, || raw_file.write(writers, each)),
                Contender::on(&runtime, STOREHOUSE, || puts(&store, &next, writers, each)),
            ],
        );
        report.at_least(
            &format!("of the raw loop's speed with {writers} writers"),
            table.ratio(STOREHOUSE, RAW),
            least,
        );
        report.table(
            &format!("{writers} writers, among {records} records"),
            table,
        );
    }
    // On its own, so that the many pages that it writes hold up nobody else's syncs.
    let database = filled::redb(dirs[1].path(), records);
    let commits = vec![Contender::new(REDB_EACH, || {
        commits(&database, &next, options.pick(400, 20))
    })];
    report.table(
        &format!("one writer, among {records} records"),
        Table::measure("records a second", options.pick(7, 2), commits),
    );
    report
}

/// A file full of zeros.
struct RawFile(File);

impl RawFile {
    fn new(dir: &std::path::Path, records: u64) -> Self {
        let file = File::create(dir.join("raw")).expect("a file");
        file.write_all_at(&vec![0; records as usize * (KEY + VALUE)], 0)
            .expect("a write");
        file.sync_all().expect("a sync");
        Self(file)
    }

    /// Each group is what one record of each writer makes.
    fn write(&self, writers: u64, each: u64) -> f64 {
        let group = vec![7; writers as usize * (KEY + VALUE)];
        let started = Instant::now();
        for round in 0..each {
            self.0
                .write_all_at(&group, round * group.len() as u64)
                .expect("a write");
            self.0.sync_data().expect("a sync");
        }
        (writers * each) as f64 / started.elapsed().as_secs_f64()
    }
}

/// Each writer waits for its own put before it goes on.
fn puts(
    store: &Arc<dyn ObjectStore>,
    next: &Arc<AtomicU64>,
    writers: u64,
    each: u64,
) -> BoxFuture<'static, f64> {
    let (store, next) = (Arc::clone(store), Arc::clone(next));
    async move {
        let started = Instant::now();
        let tasks = (0..writers).map(|_| {
            let (store, first) = (Arc::clone(&store), next.fetch_add(each, Ordering::Relaxed));
            tokio::spawn(async move {
                for number in first..first + each {
                    let key = Key::new(filled::key(number)).expect("a key");
                    store.put(&key, filled::value(number)).await.expect("a put");
                }
            })
        });
        for task in join_all(tasks).await {
            task.expect("a task");
        }
        (writers * each) as f64 / started.elapsed().as_secs_f64()
    }
    .boxed()
}

fn commits(database: &Database, next: &AtomicU64, count: u64) -> f64 {
    let first = next.fetch_add(count, Ordering::Relaxed);
    let started = Instant::now();
    for number in first..first + count {
        let writing = database.begin_write().expect("a transaction");
        writing
            .open_table(REDB)
            .expect("a table")
            .insert(filled::key(number).as_bytes(), &filled::value(number)[..])
            .expect("an insert");
        writing.commit().expect("a commit");
    }
    count as f64 / started.elapsed().as_secs_f64()
}
