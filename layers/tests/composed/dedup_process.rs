//! `DedupStore` over flatfs in a process that is killed while it writes and collects.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::DedupStore;
use storehouse_objectstore::{Error, ObjectStore, ObjectStoreExt};

use super::dedup::{key, keys_of, small_chunks};
use super::dedup_collect::{chunks_of, version};

/// The variables that tell the child where to write, and the number of its first operation.
const DIR: &str = "DEDUP_CHILD_DIR";
const FIRST: &str = "DEDUP_CHILD_FIRST";

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// How many processes are killed.
const KILLS: u64 = 8;

/// The number of operations that each has begun when its last milliseconds begin.
const BEGUN: u64 = 6;

async fn open(dir: &Path) -> DedupStore<FlatFs, FlatFs> {
    let open = async |name| loop {
        match FlatFs::open(dir.join(name), FlatFsOptions::default()).await {
            // Its lock goes with the process, a moment after that is gone.
            Err(Error::InUse { .. }) => tokio::time::sleep(Duration::from_millis(5)).await,
            opened => return opened.unwrap(),
        }
    };
    DedupStore::new(open("index").await, open("chunks").await, small_chunks()).unwrap()
}

/// What an operation does: deletes an object, copies one to another, or puts a version.
#[derive(Clone, Copy)]
enum Step {
    Delete(&'static str),
    Copy(&'static str, &'static str),
    Put(&'static str),
}

fn operation(number: u64) -> Step {
    let name = |n: u64| NAMES[(n % 4) as usize];
    match number % 6 {
        0 => Step::Delete(name(number / 6)),
        1 => Step::Copy(name(number / 6), name(number / 6 + 1)),
        _ => Step::Put(name(number * 7 / 3)),
    }
}

fn say(what: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nsays {what}").unwrap();
    out.flush().unwrap();
}

/// The process that is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by killed_while_it_writes_and_collects"]
async fn child() {
    let dir = PathBuf::from(std::env::var_os(DIR).unwrap());
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = open(&dir).await;
    let collecting = store.clone();
    tokio::spawn(async move {
        loop {
            collecting.collect().await.unwrap();
        }
    });
    for number in first.. {
        say(&format!("begin {number}"));
        match operation(number) {
            Step::Delete(name) => store.delete(&key(name)).await.unwrap(),
            Step::Copy(from, to) => match store.copy(&key(from), &key(to)).await {
                Err(error) if error.is_not_found() => {}
                copied => drop(copied.unwrap()),
            },
            Step::Put(name) => drop(store.put(&key(name), version(number)).await.unwrap()),
        }
        say(&format!("done {number}"));
    }
}

/// The versions that the objects have, and what the operation under way may make of them.
#[derive(Default)]
struct Model {
    now: BTreeMap<&'static str, u64>,
    next: BTreeMap<&'static str, u64>,
}

impl Model {
    fn begin(&mut self, number: u64) {
        self.next = self.now.clone();
        match operation(number) {
            Step::Delete(name) => drop(self.next.remove(name)),
            Step::Copy(from, to) => {
                if let Some(version) = self.now.get(from) {
                    self.next.insert(to, *version);
                }
            }
            Step::Put(name) => drop(self.next.insert(name, number)),
        }
    }

    fn done(&mut self) {
        self.now = self.next.clone();
    }
}

/// Runs a child, and kills it this time after it has begun [`BEGUN`] operations.
fn run_and_kill(dir: &Path, first: u64, time: Duration, model: &mut Model) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "dedup_process::child",
            "--nocapture",
        ])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let child = Arc::new(Mutex::new(child));
    let (mut next, mut killer) = (first, None);
    // All that it said before it was killed.
    for line in lines.map_while(Result::ok) {
        let Some(said) = line.strip_prefix("says ") else {
            continue;
        };
        match said.split_once(' ') {
            Some(("begin", number)) => {
                next = number.parse::<u64>().unwrap() + 1;
                model.begin(next - 1);
            }
            Some(("done", _)) => model.done(),
            _ => continue,
        }
        if killer.is_none() && next == first + BEGUN {
            let child = Arc::clone(&child);
            killer = Some(std::thread::spawn(move || {
                std::thread::sleep(time);
                child.lock().unwrap().kill().unwrap();
            }));
        }
    }
    killer.expect("it says something").join().unwrap();
    let ended = child.lock().unwrap().wait().unwrap();
    assert_eq!(ended.code(), None, "it was not killed: {ended}");
    next
}

#[test]
fn killed_while_it_writes_and_collects() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut model, mut next) = (Model::default(), 0);
    for kill in 0..KILLS {
        let time = Duration::from_millis(7 * kill);
        next = run_and_kill(dir.path(), next, time, &mut model);
        model.now = runtime.block_on(found(dir.path(), &model));
        model.next = model.now.clone();
    }
    assert!(next >= BEGUN * KILLS, "{next} operations");
}

/// Opened again: every object is whole and one that may be there, and a collection leaves its
/// chunks and no others.
async fn found(dir: &Path, model: &Model) -> BTreeMap<&'static str, u64> {
    let store = open(dir).await;
    let read = async || {
        let mut found = BTreeMap::new();
        for name in NAMES {
            let bytes = match store.get_bytes(&key(name), 1 << 20).await {
                Err(error) if error.is_not_found() => continue,
                bytes => bytes.unwrap(),
            };
            let number = u64::from_le_bytes(bytes[..8].try_into().unwrap());
            assert!(bytes == version(number), "{name} is no version");
            found.insert(name, number);
        }
        found
    };
    let before = read().await;
    assert!(before == model.now || before == model.next, "{before:?}");
    let collected = store.collect().await.unwrap();
    assert_eq!((collected.spared, collected.missing), (0, 0));
    assert_eq!(read().await, before);
    let there: BTreeSet<_> = keys_of(store.chunks()).await;
    assert_eq!(there, chunks_of(&store).await);
    before
}
