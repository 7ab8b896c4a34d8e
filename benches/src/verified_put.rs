//! A large blob into flatfs: hashed while it is written, and durable when the put returns.

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use bytes::Bytes;
use futures_util::FutureExt;
use sha2::Digest as _;
use storehouse_blobstore::{BlobStore, Digest, FlatfsKeys, HashFunction};
use storehouse_objectstore::Body;

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers;

const HASH: &str = "hashing alone (sha2-256)";
const COPY: &str = "dd conv=fdatasync alone";
const SLOWER: &str = "the slower of the two";
const PUT: &str = "storehouse verified put";

pub(crate) fn run(options: &Options) -> Report {
    let dir = options.tempdir();
    let runtime = runtime();
    let size = options.pick(256, 32) * 1024 * 1024;
    let source = dir.path().join("source");
    let content: Vec<u8> = (0..size / 8)
        .flat_map(|i: usize| (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes())
        .collect();
    std::fs::write(&source, &content).expect("the source");
    let content = Bytes::from(content);
    let hash = sha2::Sha256::digest(&content);
    let digest = Digest::new(HashFunction::Sha2_256, &hash).expect("a digest");
    let store = runtime.block_on(peers::flatfs(&dir.path().join("store")));
    let blobs = BlobStore::new(store, FlatfsKeys);

    let megabytes = size as f64 / 1e6;
    let slower = std::cell::Cell::new(f64::MAX);
    let table = Table::measure(
        "MB/s",
        options.pick(11, 3),
        vec![
            Contender::new(HASH, || {
                let started = Instant::now();
                black_box(sha2::Sha256::digest(&content));
                let speed = megabytes / started.elapsed().as_secs_f64();
                slower.set(speed);
                speed
            }),
            Contender::new(COPY, || {
                let target = dir.path().join("copy");
                let speed = megabytes / copy(&source, &target);
                std::fs::remove_file(target).expect("removing the copy");
                slower.set(slower.get().min(speed));
                speed
            }),
            Contender::new(SLOWER, || slower.get()),
            Contender::on(&runtime, PUT, || {
                let (blobs, digest, content) = (blobs.clone(), digest.clone(), content.clone());
                async move {
                    let started = Instant::now();
                    blobs
                        .put(&digest, Body::from(content))
                        .await
                        .expect("a put");
                    let speed = megabytes / started.elapsed().as_secs_f64();
                    blobs.delete(&digest).await.expect("a delete");
                    speed
                }
                .boxed()
            }),
        ],
    );
    let mut report = Report::default();
    report.at_least(
        "speed against the slower of hashing and copying",
        table.ratio(PUT, SLOWER),
        0.9,
    );
    report.table("one blob from memory", table);
    report
}

/// In seconds.
fn copy(source: &Path, target: &Path) -> f64 {
    let started = Instant::now();
    let status = Command::new("dd")
        .arg(format!("if={}", source.display()))
        .arg(format!("of={}", target.display()))
        .args(["bs=1M", "conv=fdatasync"])
        .stderr(Stdio::null())
        .status()
        .expect("dd");
    assert!(status.success());
    started.elapsed().as_secs_f64()
}
