//! What reads that have to wait for the disk do to the other tasks of their thread.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::{Database, ReadableDatabase};
use rustix::fs::{Advice, fadvise};
use storehouse_objectstore::{Datastore, DatastoreOptions, GetOptions, Key};
use tokio::runtime::Runtime;

use crate::filled::{self, REDB, mix};
use crate::harness::{Contender, Options, Report, Table};

const NOTHING: &str = "no reads";
const STOREHOUSE: &str = "storehouse datastore";
const IN_PLACE: &str = "redb, read in place";

/// Reads in a round.
const READS: u64 = 200;

pub(crate) fn run(options: &Options) -> Report {
    let dirs = [options.tempdir(), options.tempdir()];
    // One worker, so that the reads and the ticks share it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let records = options.pick(300_000, 30_000);
    let filled = filled::datastore(&runtime, dirs[0].path(), records);
    runtime
        .block_on(filled.close())
        .expect("a closed datastore");
    drop(filled::redb(dirs[1].path(), records));
    let table = Table::measure(
        "µs between two turns of the other task, the longest",
        options.pick(9, 3),
        vec![
            Contender::new(NOTHING, || {
                ticking(&runtime, async {
                    tokio::time::sleep(Duration::from_millis(100)).await
                })
            }),
            Contender::new(STOREHOUSE, || {
                evict(dirs[0].path());
                let options = DatastoreOptions {
                    cache: 0,
                    ..DatastoreOptions::default()
                };
                let store = runtime
                    .block_on(Datastore::open(dirs[0].path(), options))
                    .expect("a datastore");
                let reading = store.clone();
                let late = ticking(&runtime, async move {
                    for read in 0..READS {
                        let key = Key::new(filled::key(mix(read) % records)).expect("a key");
                        reading
                            .get_opts(&key, GetOptions::default())
                            .await
                            .expect("a get");
                    }
                });
                runtime.block_on(store.close()).expect("a closed datastore");
                late
            }),
            Contender::new(IN_PLACE, || {
                evict(dirs[1].path());
                let database =
                    Arc::new(Database::open(dirs[1].path().join("redb")).expect("a database"));
                ticking(&runtime, async move {
                    for read in 0..READS {
                        let table = database
                            .begin_read()
                            .expect("a transaction")
                            .open_table(REDB)
                            .expect("a table");
                        let key = filled::key(mix(read) % records);
                        table.get(key.as_bytes()).expect("a get").expect("a record");
                        tokio::task::yield_now().await;
                    }
                })
            }),
        ],
    );
    let mut report = Report::default();
    report.table(
        &format!("{READS} gets that miss every cache, on the one thread that ticks"),
        table,
    );
    report
}

/// Runs `reads` while another task of the same thread ticks. The longest it waits for its turn, in
/// µs.
fn ticking(runtime: &Runtime, reads: impl Future<Output = ()> + Send + 'static) -> f64 {
    runtime.block_on(async {
        let reading = tokio::spawn(reads);
        let ticks = tokio::spawn(async move {
            let (mut late, mut before) = (Vec::new(), Instant::now());
            while !reading.is_finished() {
                tokio::task::yield_now().await;
                late.push(before.elapsed().as_secs_f64() * 1e6);
                before = Instant::now();
            }
            reading.await.expect("the reads");
            late.sort_by(f64::total_cmp);
            late.last().copied().unwrap_or(f64::NAN)
        });
        ticks.await.expect("the ticks")
    })
}

/// Has the system forget what it knows of the files.
fn evict(dir: &Path) {
    for entry in std::fs::read_dir(dir).expect("the directory") {
        let file = File::open(entry.expect("a file").path()).expect("a file");
        file.sync_all().expect("a sync");
        fadvise(&file, 0, None, Advice::DontNeed).expect("an eviction");
    }
}
