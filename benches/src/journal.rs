//! Appends of a receipt's archive of 1 KiB to the journal: synced each, and not synced.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use sha2::{Digest, Sha256};
use storehouse_local::journal::{FsJournal, Journal, JournalOptions, SyncPolicy};
use tokio::runtime::Runtime;

use crate::harness::{Contender, Options, Report, Table, runtime};

/// Some 1.1 KiB is what the receipts of a node have on average.
const SIZE: usize = 1024;
const WRITERS: usize = 64;

const ONE: &str = "storehouse, 1 writer";
const MANY: &str = "storehouse, 64 writers";
const RAW: &str = "raw: hash, hash, write";

pub(crate) fn run(options: &Options) -> Report {
    let runtime = runtime();
    let mut report = Report::default();

    let dirs = [options.tempdir(), options.tempdir()];
    let [one, many] = dirs
        .each_ref()
        .map(|dir| open(&runtime, dir.path(), SyncPolicy::EveryAppend));
    let each = options.pick(200, 10);
    let synced = vec![
        Contender::on(&runtime, ONE, || writers(&one, 1, each)),
        Contender::on(&runtime, MANY, || writers(&many, WRITERS, each)),
    ];
    let synced = Table::measure("appends a second", options.pick(15, 3), synced);
    report.at_least(
        "synced each: 64 writers in terms of one",
        synced.ratio(MANY, ONE),
        8.0,
    );
    report.table("every append synced before it returns", synced);

    let dirs = [options.tempdir(), options.tempdir(), options.tempdir()];
    let [one, many] =
        [&dirs[0], &dirs[1]].map(|dir| open(&runtime, dir.path(), SyncPolicy::OnRotation));
    let count = options.pick(WRITERS * 500, WRITERS * 20);
    let unsynced = vec![
        Contender::new(RAW, || raw(dirs[2].path(), count)),
        Contender::on(&runtime, MANY, || writers(&many, WRITERS, count / WRITERS)),
        Contender::on(&runtime, ONE, || writers(&one, 1, count / 4)),
    ];
    let unsynced = Table::measure("appends a second", options.pick(15, 3), unsynced);
    report.at_least(
        "not synced: in terms of the raw loop",
        unsynced.ratio(MANY, RAW),
        0.7,
    );
    report.table("synced on rotation", unsynced);
    report
}

fn open(runtime: &Runtime, dir: &Path, sync: SyncPolicy) -> FsJournal {
    // Rotations come between the rounds.
    let options = JournalOptions::default().rotate_at(u64::MAX).sync(sync);
    runtime
        .block_on(FsJournal::open(dir, options))
        .expect("a journal")
}

/// A round: `count` writers append `each` archives, one after another. The batch is then rotated
/// and removed.
fn writers(journal: &FsJournal, count: usize, each: usize) -> BoxFuture<'static, f64> {
    let journal = journal.clone();
    async move {
        let archive = Bytes::from(vec![7; SIZE]);
        let started = Instant::now();
        let tasks = (0..count).map(|_| {
            let (journal, archive) = (journal.clone(), archive.clone());
            tokio::spawn(async move {
                for _ in 0..each {
                    journal.append(archive.clone()).await.expect("an append");
                }
            })
        });
        for task in join_all(tasks).await {
            task.expect("a task");
        }
        let figure = (count * each) as f64 / started.elapsed().as_secs_f64();
        let batch = journal
            .force_rotate()
            .await
            .expect("a rotation")
            .expect("a batch");
        journal.remove(&batch).await.expect("a removal");
        figure
    }
    .boxed()
}

/// The least that such a file takes: each archive hashed, each frame made, hashed into the file's
/// hash, and written with one call.
fn raw(dir: &Path, count: usize) -> f64 {
    let path = dir.join("raw");
    let mut file = File::create(&path).expect("a file");
    let (archive, mut hash) = (vec![7; SIZE], Sha256::new());
    let started = Instant::now();
    for _ in 0..count {
        let mut frame = Vec::with_capacity(SIZE + 39);
        frame.extend_from_slice(&[0xa5, 0x08, 0x01, 0x82, 0x04, 0x12, 0x20]);
        frame.extend_from_slice(&Sha256::digest(&archive));
        frame.extend_from_slice(&archive);
        hash.update(&frame);
        file.write_all(&frame).expect("a write");
    }
    let figure = count as f64 / started.elapsed().as_secs_f64();
    std::hint::black_box(hash.finalize());
    file.sync_data().expect("a sync");
    std::fs::remove_file(path).expect("a removal");
    figure
}
