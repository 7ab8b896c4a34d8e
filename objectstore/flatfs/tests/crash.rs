//! Processes that die, and disks that are full: what was acknowledged is there, and nothing else
//! that is not whole.
//!
//! The children are this test binary, run again for one of the ignored tests.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt, TryStreamExt};
use storehouse_flatfs::SystemCalls;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_objectstore::{Body, Error, Key, ObjectStoreExt};

const DIR: &str = "STOREHOUSE_TEST_CHILD_DIR";
const ACKNOWLEDGED: &str = "STOREHOUSE_TEST_ACKNOWLEDGED";
const PORTABLE: &str = "STOREHOUSE_TEST_CHILD_PORTABLE";
const LOG: &str = "STOREHOUSE_TEST_CHILD_LOG";

const WRITERS: u64 = 16;
const KEYS: u64 = 4;

/// The object that a writer puts under one of its keys in its nth round: it tells both, so that a
/// reader can check every byte.
fn content(key: &str, version: u64) -> Vec<u8> {
    // From one inode's own bytes over what is gathered in memory to what is written in several
    // batches.
    let size = [17, 4_000, 66_000, 300_000, 1_200_000][(version % 5) as usize];
    let mut content = format!("{key} {version} ").into_bytes();
    content.extend((content.len()..size).map(|i| (i as u64 * 31 + version) as u8));
    content
}

fn version(content: &[u8]) -> Option<u64> {
    std::str::from_utf8(
        content
            .get(..40)
            .unwrap_or(content)
            .split(|b| *b == b' ')
            .nth(1)?,
    )
    .ok()?
    .parse()
    .ok()
}

fn options() -> FlatFsOptions {
    let system_calls = if std::env::var_os(PORTABLE).is_some() {
        SystemCalls::Portable
    } else {
        SystemCalls::Native
    };
    FlatFsOptions::default()
        .system_calls(system_calls)
        .log(std::env::var_os(LOG).is_some())
}

fn child_dir() -> PathBuf {
    std::env::var_os(DIR)
        .expect("the parent names the directory")
        .into()
}

#[test]
#[ignore = "a child of `a_killed_process_loses_nothing_that_it_acknowledged`"]
fn child_puts_for_ever() {
    let start: u64 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_micros() as u64;
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let store = FlatFs::open(child_dir(), options()).await.unwrap();
            let writers = (0..WRITERS).map(|writer| {
                let store = store.clone();
                tokio::spawn(async move {
                    for round in 0.. {
                        let (key, version) = (format!("w{writer}-{}", round % KEYS), start + round);
                        store
                            .put(&Key::new(&key).unwrap(), content(&key, version))
                            .await
                            .unwrap();
                        // In one write, so that the parent sees whole lines alone.
                        std::io::stderr()
                            .write_all(format!("put {key} {version}\n").as_bytes())
                            .unwrap();
                    }
                })
            });
            for writer in writers.collect::<Vec<_>>() {
                writer.await.unwrap();
            }
        });
}

/// What the lines of a child say that it acknowledged.
fn acknowledgements(lines: &str, to: &mut BTreeMap<String, u64>) {
    for line in lines.lines() {
        let [_, key, version] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("the child says {line:?}")
        };
        to.insert(key.to_owned(), version.parse().unwrap());
    }
}

/// Opens the store and finds in it what was acknowledged, or something later, each whole.
async fn assert_holds(dir: &Path, acknowledged: &BTreeMap<String, u64>, story: &str) {
    let store = FlatFs::open(dir, FlatFsOptions::default()).await.unwrap();
    assert_eq!(fs::read_dir(dir.join(".temp")).unwrap().count(), 0);
    let entries: Vec<_> = store.list_prefix("").try_collect().await.unwrap();
    assert!(entries.len() >= acknowledged.len());
    let mut there = BTreeMap::new();
    for entry in entries {
        let object = store.get_bytes(&entry.key, u64::MAX).await.unwrap();
        let version = version(&object)
            .unwrap_or_else(|| panic!("{story}: {}: no such object was put", entry.key));
        assert!(
            object == content(entry.key.as_str(), version),
            "{story}: {} is not whole",
            entry.key
        );
        there.insert(entry.key.as_str().to_owned(), version);
    }
    for (key, version) in acknowledged {
        assert!(
            there.get(key) >= Some(version),
            "{story}: {key} {version} was acknowledged, there is {:?}",
            there.get(key)
        );
    }
}

#[test]
#[ignore = "a child of tests/power-cut/run"]
fn child_checks() {
    let mut acknowledged = BTreeMap::new();
    let lines =
        fs::read_to_string(std::env::var_os(ACKNOWLEDGED).expect("the parent names the file"))
            .unwrap();
    // The last line may be cut off, and the child's complaint about the disk may follow.
    let puts: String = lines
        .split_inclusive('\n')
        .filter(|line| line.starts_with("put ") && line.ends_with('\n'))
        .collect();
    acknowledgements(&puts, &mut acknowledged);
    assert!(!acknowledged.is_empty(), "nothing was acknowledged");
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(assert_holds(
            &child_dir(),
            &acknowledged,
            "after the power cut",
        ));
    println!("{} keys checked", acknowledged.len());
}

#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for kill in 0..21u32 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "child_puts_for_ever", "--nocapture"])
            .env(DIR, dir.path());
        match kill % 3 {
            1 => drop(command.env(PORTABLE, "1")),
            2 => drop(command.env(LOG, "1")),
            _ => {}
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        // After some acknowledgements, and then somewhere in the middle of things.
        let enough = 5 + (kill * 37) % 60;
        let mut line = String::new();
        let mut seen = 0;
        while seen < enough && lines.read_line(&mut line).unwrap() > 0 {
            seen += 1;
        }
        assert_eq!(seen, enough, "the child died by itself: {line}");
        std::thread::sleep(Duration::from_micros(u64::from(kill) * 331));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.read_to_string(&mut line).unwrap();
        acknowledgements(&line, &mut acknowledged);
        runtime.block_on(assert_holds(
            dir.path(),
            &acknowledged,
            &format!("kill {kill}"),
        ));
    }
}

#[test]
#[ignore = "a child of `a_full_disk_is_an_error_before_anything_is_visible`"]
fn child_with_little_space() {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let store = FlatFs::open(child_dir(), options()).await.unwrap();
            let (old, new) = (Key::new("old").unwrap(), Key::new("new").unwrap());
            store.put(&old, "the old one").await.unwrap();
            // No file may be longer than 32 KiB: one that is written at once, one that is streamed,
            // one that comes in pieces.
            for size in [60_000, 200_000, 5_000_000] {
                for key in [&old, &new] {
                    for body in [
                        Body::from(vec![7; size]),
                        Body::from_reader(tokio::io::repeat(7).take_bytes(size))
                            .with_size(size as u64),
                    ] {
                        let error = store.put(key, body).await.unwrap_err();
                        assert!(
                            matches!(error, Error::Backend { .. }) && error.is_full(),
                            "{error:?}"
                        );
                        assert!(std::error::Error::source(&error).is_some());
                    }
                    assert_eq!(
                        fs::read_dir(child_dir().join(".temp")).unwrap().count(),
                        0,
                        "left behind"
                    );
                }
            }
            assert_eq!(store.get_bytes(&old, 100).await.unwrap(), "the old one");
            assert!(store.get(&new).await.unwrap_err().is_not_found());
            assert_eq!(store.list_prefix("").count().await, 1);
            // Once there is space again, it goes on.
            store.put(&new, vec![7; 10_000]).await.unwrap();
            assert_eq!(
                store.get_bytes(&new, 10_000).await.unwrap(),
                vec![7; 10_000]
            );
        });
}

/// Reads an exact number of bytes.
trait TakeBytes: Sized {
    fn take_bytes(self, len: usize) -> tokio::io::Take<Self>;
}

impl<R: tokio::io::AsyncRead> TakeBytes for R {
    fn take_bytes(self, len: usize) -> tokio::io::Take<Self> {
        tokio::io::AsyncReadExt::take(self, len as u64)
    }
}

/// A limit on the size of files stands in for the disk: a write past it fails in the middle, as it
/// does when the last block is taken.
#[test]
fn a_full_disk_is_an_error_before_anything_is_visible() {
    for mode in [None, Some(PORTABLE), Some(LOG)] {
        let dir = tempfile::tempdir().unwrap();
        // The limit's signal is ignored, so that writes fail instead; a shell counts in blocks of
        // 512 or 1,024 bytes.
        let script = r#"trap '' XFSZ; ulimit -f 32; exec "$0" "$@""#;
        let mut command = Command::new("sh");
        command
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap());
        command
            .args([
                "--ignored",
                "--exact",
                "child_with_little_space",
                "--nocapture",
            ])
            .env(DIR, dir.path());
        command.envs(mode.map(|mode| (mode, "1")));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }
}

#[test]
#[ignore = "a child of `a_store_opens_on_a_full_disk_for_reading_and_deleting`"]
fn child_without_space() {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            let store = FlatFs::open(child_dir(), options()).await.unwrap();
            let keys = ["first", "second"].map(|key| Key::new(key).unwrap());
            for key in &keys {
                assert_eq!(store.get_bytes(key, 100).await.unwrap(), key.as_str());
            }
            let error = store.put(&keys[0], vec![7; 60_000]).await.unwrap_err();
            assert!(error.is_full(), "{error:?}");
            store.delete(&keys[0]).await.unwrap();
            assert!(store.head(&keys[0]).await.unwrap_err().is_not_found());
            assert_eq!(store.list_prefix("").count().await, 1);
        });
}

/// As after a kill, with a log left behind if there was one; not a byte can be written.
#[test]
fn a_store_opens_on_a_full_disk_for_reading_and_deleting() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    for log in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let left = tempfile::tempdir().unwrap();
        runtime.block_on(async {
            let options = FlatFsOptions::default().log(log);
            let store = FlatFs::open(dir.path(), options).await.unwrap();
            for key in ["first", "second"] {
                store.put(&Key::new(key).unwrap(), key).await.unwrap();
            }
            let copied = Command::new("cp")
                .args(["-a", "--"])
                .arg(dir.path().join("."))
                .arg(left.path())
                .status();
            assert!(copied.unwrap().success());
            store.close().await.unwrap();
        });
        assert_eq!(left.path().join(".log-0").exists(), log);
        let script = r#"trap '' XFSZ; ulimit -f 0; exec "$0" "$@""#;
        let output = Command::new("sh")
            .args(["-c", script])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "child_without_space"])
            .env(DIR, left.path())
            .envs(log.then_some((LOG, "1")))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned()
            + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}"
        );
    }
}
