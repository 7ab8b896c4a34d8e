//! Listing a great many blobs with their sizes, from a warm cache.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::{FutureExt, StreamExt, TryStreamExt};
use sha2::{Digest, Sha256};
use storehouse_flatfs::ShardFunction;
use storehouse_objectstore::{ObjectStore, ObjectStoreExt as _};

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers::{self, OBJECT_STORE, STOREHOUSE};

const FIND: &str = "find -type f -printf '%f %s\\n'";

pub(crate) fn run(options: &Options) -> Report {
    let dir = options.tempdir();
    let runtime = runtime();
    let blobs = options.pick(1_000_000, 20_000);
    let store: Arc<dyn ObjectStore> = Arc::new(runtime.block_on(peers::flatfs(dir.path())));
    eprintln!("making {blobs} blobs …");
    fill(dir.path(), blobs);
    let other: Arc<dyn object_store::ObjectStore> = Arc::new(peers::object_store(dir.path()));

    // Of the counting rounds: how long the first key took, and how much memory grew, in bytes.
    let first = Arc::new(Mutex::new(Vec::new()));
    let before = memory();
    let table = Table::measure(
        "ms",
        options.pick(5, 2),
        vec![
            Contender::new(FIND, || find(dir.path())),
            Contender::on(&runtime, STOREHOUSE, || {
                let (store, first) = (Arc::clone(&store), Arc::clone(&first));
                async move {
                    let started = Instant::now();
                    let mut entries = store.list_prefix("");
                    let mut count = usize::from(entries.next().await.expect("a blob").is_ok());
                    first.lock().expect("the times").push(millis(started));
                    while let Some(entry) = entries.next().await {
                        entry.expect("a blob");
                        count += 1;
                    }
                    assert_eq!(count, blobs);
                    millis(started)
                }
                .boxed()
            }),
        ],
    );
    let grown = memory() - before;
    let slow = Table::measure(
        "ms",
        1,
        vec![Contender::on(&runtime, OBJECT_STORE, || {
            let store = Arc::clone(&other);
            async move {
                let started = Instant::now();
                let count = store
                    .list(None)
                    .try_fold(0, |count, _| async move { Ok(count + 1) })
                    .await
                    .expect("a listing");
                assert!(count >= blobs);
                millis(started)
            }
            .boxed()
        })],
    );
    let mut firsts = first.lock().expect("the times").clone();
    firsts.sort_by(f64::total_cmp);

    let mut report = Report::default();
    report.at_most("time against find", table.ratio(STOREHOUSE, FIND), 1.5);
    report.at_most("the first key, ms (median)", firsts[firsts.len() / 2], 50.0);
    report.at_most("peak memory over the process before, MiB", grown, 16.0);
    report.table(&format!("{blobs} blobs"), table);
    report.table("for comparison", slow);
    report
}

/// Empty blobs, made as plain files: putting them would take longer and leave the same.
fn fill(dir: &Path, blobs: usize) {
    let alphabet = b"abcdefghijklmnopqrstuvwxyz234567";
    for first in alphabet {
        for second in alphabet {
            fs::create_dir_all(dir.join(format!("{}{}", char::from(*first), char::from(*second))))
                .expect("a directory");
        }
    }
    for i in 0..blobs {
        let digest = Sha256::digest(i.to_le_bytes());
        let hash: String = digest
            .iter()
            .chain(&digest[..20])
            .map(|byte| char::from(alphabet[usize::from(byte % 32)]))
            .collect();
        let name = format!("ciq{hash}");
        fs::File::create(
            dir.join(ShardFunction::default().shard(&name))
                .join(format!("{name}.data")),
        )
        .expect("a file");
    }
}

fn find(dir: &Path) -> f64 {
    let started = Instant::now();
    let status = Command::new("find")
        .arg(dir)
        .args(["-type", "f", "-printf", "%f %s\n"])
        .stdout(Stdio::null())
        .status()
        .expect("find");
    assert!(status.success());
    millis(started)
}

fn millis(started: Instant) -> f64 {
    started.elapsed().as_secs_f64() * 1e3
}

/// The most memory that this process had, in MiB.
fn memory() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("the process's status");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("its peak memory");
    let kib: f64 = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib / 1024.0
}
