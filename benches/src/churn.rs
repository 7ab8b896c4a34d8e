//! Disk and memory of a database of records that are written, replaced and deleted.
//!
//! Each engine runs in a process of its own, so that the system's account of its memory is the
//! engine's.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use storehouse_engine::RecordStore;
use storehouse_objectstore::{Batch, Key, ListOptions, ObjectStore};

use crate::filled::{self, KEY, VALUE};
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::raw::{Engine, FjallEngine, RedbEngine};

/// How long the files may take to come to rest.
const REST: Duration = Duration::from_secs(60);
/// Records that are deleted in front of one that stays.
const HIDING: u64 = 200_000;
const BATCH: u64 = 500;
const MIB: f64 = (1 << 20) as f64;

/// What the documentation says of buffers on the disk and of memory, in MiB.
const ENGINES: [(&str, f64, f64); 2] = [("fjall", 256.0, 384.0), ("redb", 32.0, 384.0)];

pub(crate) fn run(options: &Options) -> Report {
    let records: u64 = options.pick(3_000_000, 100_000);
    let mut report = Report::default();
    for (engine, buffers, memory) in ENGINES {
        let dir = options.tempdir();
        let figures = measure(engine, records, dir.path());
        let figure = |name: &str| figures[name].as_f64().expect("a figure");
        for (phase, live) in [("replaced", figure("live")), ("deleted", 0.0)] {
            let what = format!("{engine}: {phase}, MiB at rest beyond twice the live bytes");
            report.at_most(&what, figure(phase) - 2.0 * live, buffers);
        }
        report.at_most(
            &format!("{engine}: memory at most, MiB"),
            figure("memory"),
            memory,
        );
        let what = format!("{engine}: ms to the first key behind {HIDING} deletions");
        report.at_most(&what, figure("first"), 50.0);
        let names = ["live", "replaced", "deleted", "memory", "first", "seconds"];
        let rows = names.map(|name| Contender::new(name, move || figure(name)));
        let table = Table::measure("MiB, ms or s", 1, rows.into_iter().collect());
        report.table(&format!("{engine}, {records} records"), table);
    }
    report
}

fn measure(engine: &str, records: u64, dir: &Path) -> Value {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command
        .args(["churn-child", engine, &records.to_string()])
        .arg(dir);
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .expect("a child process");
    assert!(output.status.success(), "the child failed");
    serde_json::from_slice(&output.stdout).expect("the child's figures")
}

/// What the child process does: `engine records dir`.
pub(crate) fn child(args: &[String]) {
    let [engine, records, dir] = args else {
        panic!("not for people")
    };
    let (records, dir) = (records.parse().expect("a number"), Path::new(dir));
    let figures = match engine.as_str() {
        "fjall" => churn::<FjallEngine>(records, dir),
        "redb" => churn::<RedbEngine>(records, dir),
        other => panic!("no engine {other:?}"),
    };
    println!("{figures}");
}

fn churn<E: Engine>(records: u64, dir: &Path) -> Value {
    let started = Instant::now();
    let note = |what: &str| {
        let (files, memory) = (disk(dir) / MIB, resident("VmRSS:") / 1024.0);
        let seconds = started.elapsed().as_secs();
        eprintln!(
            "{}: {seconds:>4} s, {files:.0} MiB, {memory:.0} MiB of memory: {what}",
            E::NAME
        );
    };
    runtime().block_on(async {
        let store = RecordStore::<E>::open(dir, E::options())
            .await
            .expect("a store");
        for round in 0..3 {
            put(&store, "r/", records, round).await;
            note("written");
        }
        let live = (records * (KEY + VALUE + 2) as u64) as f64 / MIB;
        let replaced = at_rest(dir).await;
        note("at rest");
        let hiding = HIDING.min(records);
        put(&store, "0/", hiding, 0).await;
        delete(&store, "0/", hiding).await;
        let mut first = 0.0_f64;
        for _ in 0..20 {
            let looked = Instant::now();
            let entry = store.list(ListOptions::default().limit(1)).next().await;
            assert!(
                entry
                    .expect("a record")
                    .expect("a record")
                    .key
                    .as_str()
                    .starts_with("r/")
            );
            first = first.max(looked.elapsed().as_secs_f64() * 1e3);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        note("first key behind deletions");
        delete(&store, "r/", records).await;
        note("deleted");
        let deleted = at_rest(dir).await;
        note("at rest");
        assert!(
            store
                .list(ListOptions::default().limit(1))
                .next()
                .await
                .is_none()
        );
        store.close().await.expect("a closed store");
        json!({
            "live": live, "replaced": replaced, "deleted": deleted, "first": first,
            "memory": resident("VmHWM:") / 1024.0, "seconds": started.elapsed().as_secs_f64(),
        })
    })
}

fn key(prefix: &str, number: u64) -> Key {
    Key::new(format!("{prefix}{}", filled::key(number))).expect("a key")
}

async fn put<E: Engine>(store: &RecordStore<E>, prefix: &str, records: u64, round: u64) {
    let batch = |start: u64| async move {
        let records = (start..(start + BATCH).min(records)).map(|number| {
            let mut value = filled::value(number).to_vec();
            value[8..16].copy_from_slice(&round.to_le_bytes());
            (key(prefix, number), Bytes::from(value))
        });
        store
            .batch(records.fold(Batch::new(), |batch, (key, value)| batch.put(key, value)))
            .await
    };
    let starts = (0..records).step_by(BATCH as usize);
    let batches = stream::iter(starts).map(batch).buffer_unordered(8);
    batches
        .try_for_each(|_| async { Ok(()) })
        .await
        .expect("the batches");
}

async fn delete<E: Engine>(store: &RecordStore<E>, prefix: &'static str, records: u64) {
    let keys = stream::iter(0..records)
        .map(move |number| key(prefix, number))
        .boxed();
    store
        .delete_many(keys)
        .try_for_each(|_| async { Ok(()) })
        .await
        .expect("the deletions");
}

/// The size of the files, in MiB, once it has not changed for a while or the time is up.
async fn at_rest(dir: &Path) -> f64 {
    let (started, mut size, mut since) = (Instant::now(), disk(dir), Instant::now());
    while started.elapsed() < REST && since.elapsed() < REST / 6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if disk(dir) != size {
            (size, since) = (disk(dir), Instant::now());
        }
    }
    size / MIB
}

/// The bytes that files take up on the disk. Files may vanish meanwhile.
fn disk(dir: &Path) -> f64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => disk(&entry.path()),
        Ok(metadata) => (metadata.blocks() * 512) as f64,
        Err(_) => 0.0,
    });
    sizes.sum()
}

/// A figure of this process in KiB.
fn resident(name: &str) -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("a line");
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number")
}
