//! Durable puts of small records among a million, next to the library's own commits of groups of
//! the same size, and to the same bytes written to a file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt as _};

use crate::filled::{self, KEY, VALUE};
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::raw::{Engine, FjallEngine, Raw, RedbEngine};

const RAW_FILE: &str = "raw file, one sync a group";
const RAW: &str = "the library's own, one commit a group";
const STOREHOUSE: &str = "storehouse";

/// Writers, and records of each in a round.
const CASES: [(u64, u64); 3] = [(1, 1_000), (64, 1_000), (256, 500)];

pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::default();
    of::<FjallEngine>(options, &mut report);
    of::<RedbEngine>(options, &mut report);
    report
}

fn of<E: Engine>(options: &Options, report: &mut Report) {
    let records = options.pick(1_000_000, 20_000);
    let dirs = [options.tempdir(), options.tempdir(), options.tempdir()];
    let (runtime, engine) = (runtime(), E::NAME);
    let store = filled::store::<E>(&runtime, dirs[0].path(), records, filled::record);
    let store: Arc<dyn ObjectStore> = store;
    let raw = filled::raw::<E>(dirs[1].path(), records, filled::record);
    let next = Arc::new(AtomicU64::new(records));
    for (writers, each) in CASES {
        let each = options.pick(each, each / 20);
        let raw_file = RawFile::new(dirs[2].path(), writers * each);
        let table = Table::measure(
            "records a second",
            options.pick(7, 2),
            vec![
                Contender::new(RAW_FILE, || raw_file.write(writers, each)),
                Contender::new(RAW, || commits(&*raw, &next, writers, each)),
                Contender::on(&runtime, STOREHOUSE, || puts(&store, &next, writers, each)),
            ],
        );
        if writers > 1 {
            let of_library = format!("{engine}: of the library's own with {writers} writers");
            report.at_least(&of_library, table.ratio(STOREHOUSE, RAW), 0.8);
        }
        report.table(
            &format!("{engine}, {writers} writers, among {records} records"),
            table,
        );
    }
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

/// Each commit is what one record of each writer makes.
fn commits(raw: &dyn Raw, next: &AtomicU64, writers: u64, each: u64) -> f64 {
    let first = next.fetch_add(writers * each, Ordering::Relaxed);
    let started = Instant::now();
    for round in 0..each {
        let start = first + round * writers;
        let group: Vec<(String, Bytes)> = (start..start + writers).map(filled::record).collect();
        raw.write(&group);
    }
    (writers * each) as f64 / started.elapsed().as_secs_f64()
}
