//! What reads that have to wait for the disk do to the other tasks of their thread.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use storehouse_engine::RecordStore;
use storehouse_objectstore::{GetOptions, Key};
use tokio::runtime::Runtime;

use crate::filled::{self, mix};
use crate::harness::{Contender, Options, Report, Table};
use crate::raw::{Engine, FjallEngine, RedbEngine};

const NOTHING: &str = "no reads";
const STOREHOUSE: &str = "storehouse";
const IN_PLACE: &str = "the library's own, read in place";

/// Reads in a round.
const READS: u64 = 200;

pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::default();
    of::<FjallEngine>(options, &mut report);
    of::<RedbEngine>(options, &mut report);
    report
}

fn of<E: Engine>(options: &Options, report: &mut Report) {
    let (dirs, engine) = ([options.tempdir(), options.tempdir()], E::NAME);
    // One worker, so that the reads and the ticks share it.
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    let records = options.pick(300_000, 30_000);
    let store = filled::store::<E>(&runtime, dirs[0].path(), records, filled::record);
    runtime.block_on(store.close()).expect("a closed store");
    drop(filled::raw::<E>(dirs[1].path(), records, filled::record));
    let key = move |read: u64| filled::key(mix(read) % records);
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
                let opening = RecordStore::<E>::open(dirs[0].path(), E::options());
                let store = runtime.block_on(opening).expect("a store");
                evict(dirs[0].path());
                let reading = store.clone();
                let late = ticking(&runtime, async move {
                    for read in 0..READS {
                        let key = Key::new(key(read)).expect("a key");
                        reading
                            .get_opts(&key, GetOptions::default())
                            .await
                            .expect("a get");
                    }
                });
                runtime.block_on(store.close()).expect("a closed store");
                late
            }),
            Contender::new(IN_PLACE, || {
                let raw = E::raw(dirs[1].path());
                evict(dirs[1].path());
                ticking(&runtime, async move {
                    for read in 0..READS {
                        raw.get(key(read).as_bytes()).expect("a record");
                        tokio::task::yield_now().await;
                    }
                })
            }),
        ],
    );
    report.table(
        &format!("{engine}: {READS} gets that miss every cache"),
        table,
    );
}

/// Runs `reads` while another task of the same thread ticks. The longest it waits for its turn, in
/// µs.
fn ticking(runtime: &Runtime, reads: impl Future<Output = ()> + Send + 'static) -> f64 {
    runtime.block_on(async {
        let reading = tokio::spawn(reads);
        let ticks = tokio::spawn(async move {
            let (mut late, mut before) = (0.0_f64, Instant::now());
            while !reading.is_finished() {
                tokio::task::yield_now().await;
                late = late.max(before.elapsed().as_secs_f64() * 1e6);
                before = Instant::now();
            }
            reading.await.expect("the reads");
            late
        });
        ticks.await.expect("the ticks")
    })
}

/// Has the system forget what it knows of the files.
fn evict(dir: &Path) {
    for entry in fs::read_dir(dir).expect("the directory") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_dir() {
            evict(&entry.path());
            continue;
        }
        let file = File::open(entry.path()).expect("a file");
        file.sync_all().expect("a sync");
        fadvise(&file, 0, None, Advice::DontNeed).expect("an eviction");
    }
}
