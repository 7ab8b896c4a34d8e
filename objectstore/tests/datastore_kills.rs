//! A process that writes is killed at any moment, again and again: what it was told is stored is
//! there when the store is opened again.
//!
//! `STOREHOUSE_TEST_KILLS` says how many times; 20 if it is not set. A tenth of that is killed
//! while it recovers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use storehouse_objectstore::{Batch, Datastore, DatastoreOptions, Error, Key, ObjectStoreExt};

/// Small, so that tables are written and merged while the process is killed.
const OPTIONS: DatastoreOptions = DatastoreOptions {
    max_size: 1 << 20,
    cache: 64 << 10,
    write_buffer: 128 << 10,
    salvage: false,
};

const WRITERS: u64 = 8;
const KEYS: u64 = 50;

fn key(writer: u64, number: u64) -> Key {
    Key::new(format!("{writer}/{number}")).unwrap()
}

/// Two keys that are always written together.
fn twins(writer: u64) -> [Key; 2] {
    ["a", "b"].map(|twin| Key::new(format!("twins/{writer}/{twin}")).unwrap())
}

fn value(version: u64) -> Vec<u8> {
    let mut value = version.to_le_bytes().to_vec();
    value.resize(100 + version as usize * 37 % 900, version as u8);
    value
}

/// Writes version after version and prints what was acknowledged, until it is killed.
#[test]
#[ignore = "the part of the child process"]
fn writing() {
    let dir =
        std::env::var_os("STOREHOUSE_TEST_DIR").expect("this test is the part of a child process");
    let first: u64 = std::env::var("STOREHOUSE_TEST_FIRST")
        .unwrap()
        .parse()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(Datastore::open(dir, OPTIONS).await.unwrap());
        let tasks = (0..WRITERS).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for version in first.. {
                    let number = version % KEYS;
                    store
                        .put(&key(writer, number), value(version))
                        .await
                        .unwrap();
                    let [a, b] = twins(writer);
                    store
                        .batch(Batch::new().put(a, value(version)).put(b, value(version)))
                        .await
                        .unwrap();
                    // In one write, so that a line is whole or not there.
                    std::io::stdout()
                        .write_all(format!("\n=={writer} {number} {version}\n").as_bytes())
                        .unwrap();
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

fn start(dir: &Path, first: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "writing",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("STOREHOUSE_TEST_DIR", dir)
        .env("STOREHOUSE_TEST_FIRST", first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// What a child says is acknowledged: writer, key and version.
fn acknowledged(output: ChildStdout) -> impl Iterator<Item = (u64, u64, u64)> {
    BufReader::new(output)
        .split(b'\n')
        .map_while(Result::ok)
        .filter_map(|line| {
            let line = String::from_utf8(line).ok()?;
            let mut numbers = line.strip_prefix("==")?.split(' ').map(str::parse);
            Some((
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
                numbers.next()?.ok()?,
            ))
        })
}

/// Runs the child for a while, kills it, and gives what it had acknowledged.
fn killed(dir: &Path, first: u64, after: Duration) -> Vec<(u64, u64, u64)> {
    let mut child = start(dir, first);
    let output = child.stdout.take().unwrap();
    let reading = std::thread::spawn(move || acknowledged(output).collect());
    std::thread::sleep(after);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    assert!(
        status.code().is_none(),
        "the child ended by itself: {status}"
    );
    reading.join().unwrap()
}

fn version_of(bytes: &[u8]) -> u64 {
    let version = u64::from_le_bytes(*bytes.first_chunk().unwrap());
    assert_eq!(bytes, value(version), "a record that nobody wrote");
    version
}

#[test]
fn what_was_acknowledged_survives_kills() {
    let kills: u64 =
        std::env::var("STOREHOUSE_TEST_KILLS").map_or(20, |kills| kills.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut last: BTreeMap<(u64, u64), u64> = BTreeMap::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (mut first, mut writes) = (1, 0);
    for kill in 0..kills {
        // Some are killed while they open the store.
        let after = if kill % 10 == 9 {
            kill % 7 * 3
        } else {
            150 + kill * 7919 % 331
        };
        for (writer, number, version) in killed(dir.path(), first, Duration::from_millis(after)) {
            last.insert((writer, number), version);
            writes += 1;
        }
        if kill % 3 == 2 {
            // Now and then the next child finds the store as it was left, and not as somebody
            // opened it.
            first += 1_000_000;
            continue;
        }
        runtime.block_on(async {
            let store = Datastore::open(dir.path(), OPTIONS).await.unwrap();
            for ((writer, number), version) in &last {
                let there = version_of(&store.get_bytes(&key(*writer, *number), 1 << 20).await.unwrap());
                assert!(
                    there >= *version,
                    "kill {kill}: key {number} of writer {writer} has version {there}, but {version} was acknowledged"
                );
            }
            for writer in 0..WRITERS {
                let [a, b] = twins(writer);
                let (a, b) = (store.get_bytes(&a, 1 << 20).await, store.get_bytes(&b, 1 << 20).await);
                assert_eq!(a.as_ref().ok(), b.as_ref().ok(), "kill {kill}: half of a batch of writer {writer}");
                let newest = last.range((writer, 0)..(writer + 1, 0)).map(|(_, version)| *version).max();
                assert!(a.ok().map(|there| version_of(&there)) >= newest, "kill {kill}: a batch of writer {writer} is gone");
            }
            assert!(store.check().await.unwrap().is_sound());
            assert!(store.list_prefix("").try_collect::<Vec<_>>().await.unwrap().len() >= last.len());
            store.close().await.unwrap();
        });
        first += 1_000_000;
    }
    assert!(writes > kills, "only {writes} writes were acknowledged");
}

/// While a process has the store open, another cannot open it, nor can a second handle in a
/// process; once it is gone, anybody can.
#[test]
fn a_second_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let mut child = start(dir.path(), 1);
    let first = acknowledged(child.stdout.take().unwrap()).next();
    let refused = runtime.block_on(Datastore::open(dir.path(), OPTIONS));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.is_some());
    assert!(
        matches!(&refused, Err(Error::InUse { path }) if path == dir.path()),
        "{refused:?}"
    );
    runtime.block_on(async {
        let store = Datastore::open(dir.path(), OPTIONS).await.unwrap();
        let second = Datastore::open(dir.path(), OPTIONS).await;
        assert!(matches!(second, Err(Error::InUse { .. })), "{second:?}");
        store.close().await.unwrap();
        Datastore::open(dir.path(), OPTIONS).await.unwrap();
    });
}
