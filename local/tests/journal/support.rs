//! What the journal's tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use storehouse_formats::Cid;
use storehouse_formats::car::{CarLimits, CarReader, car_cid};
use storehouse_local::journal::{FsJournal, Journal, JournalOptions, SyncPolicy};
use tempfile::TempDir;

pub(crate) const OPEN: &str = "egress.car.wip";

pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

/// A directory in memory where there is one: thousands of openings there need no disk.
pub(crate) fn tempdir() -> TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// A copy of a journal of the vectors.
pub(crate) fn copy_of(name: &str) -> TempDir {
    let to = tempdir();
    for entry in fs::read_dir(vectors().join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

pub(crate) async fn open(dir: &Path) -> FsJournal {
    FsJournal::open(dir, JournalOptions::default())
        .await
        .unwrap()
}

pub(crate) fn rotating_at(rotate_at: u64, sync: SyncPolicy) -> JournalOptions {
    JournalOptions::default().rotate_at(rotate_at).sync(sync)
}

/// The archives in a batch's bytes, read as strictly as can be: every hash, and no root.
pub(crate) fn strict_frames(batch: &[u8]) -> Vec<Vec<u8>> {
    let mut reader = CarReader::new(batch, CarLimits::default()).unwrap();
    assert!(reader.roots().is_empty());
    let mut frames = Vec::new();
    while let Some(block) = reader.next_block().unwrap() {
        assert_eq!(block.cid, car_cid(Sha256::digest(&block.data).into()));
        frames.push(block.data);
    }
    frames
}

/// The archives of a rotated batch, whose CID must be the hash of its file.
pub(crate) async fn batch_frames(journal: &dyn Journal, cid: &Cid) -> Vec<Vec<u8>> {
    let bytes = journal
        .get_batch(cid)
        .await
        .unwrap()
        .collect(1 << 30)
        .await
        .unwrap();
    assert_eq!(*cid, car_cid(Sha256::digest(&bytes).into()));
    strict_frames(&bytes)
}

pub(crate) fn open_frames(dir: &Path) -> Vec<Vec<u8>> {
    strict_frames(&fs::read(dir.join(OPEN)).unwrap())
}

/// A small archive that no other call with another `n` gives.
pub(crate) fn archive(n: u64) -> Vec<u8> {
    let mut archive = n.to_le_bytes().to_vec();
    archive.resize(8 + (n as usize * 7) % 40, n as u8);
    archive
}

/// Numbers that are the same in every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// 0 to `bound` (exclusive).
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// This binary, running the one test that is a child process's part. SIGXFSZ is ignored in it, so
/// that a file-size limit is an error of the write.
pub(crate) fn child(test: &str, dir: &Path) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap());
    command
        .args([
            "--exact",
            test,
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("STOREHOUSE_TEST_DIR", dir);
    command
}

pub(crate) fn child_dir() -> PathBuf {
    std::env::var_os("STOREHOUSE_TEST_DIR")
        .expect("this test is the part of a child process")
        .into()
}
