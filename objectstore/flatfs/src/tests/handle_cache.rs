//! Cached file handles: reads never show what is gone, no matter who changed it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use storehouse_conformance::{self, Fixture, Pace, Profile};
use storehouse_objectstore::{Durability, Key, ObjectStoreExt, PutMode, PutOptions, Result};
use tempfile::TempDir;

use storehouse_engine::files::{SystemCalls, pick};

use super::super::options::FlatFsOptions;
use super::super::store::FlatFs;

/// Long enough for the clock of the file systems that tests run on, which ticks every 10 ms at
/// most.
const AGE: Duration = Duration::from_millis(50);

/// Caches handles at once: a change by the store itself drops them in any case.
async fn open_at_once(path: PathBuf) -> Result<FlatFs> {
    FlatFs::open(path, FlatFsOptions::default().handle_age(Duration::ZERO)).await
}

async fn at_once() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flatfs");
    let store = open_at_once(path.clone()).await.unwrap();
    let temp = path.join(".temp");
    Fixture::new(store)
        .opens(move || open_at_once(path.clone()))
        .leftovers(move || {
            let names = fs::read_dir(&temp)
                .unwrap()
                .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
                .collect();
            async move { names }
        })
        .profile(Profile {
            pace: Pace::SERVER,
            exclusive: true,
            put_window: 4 * 1024 * 1024,
            ..Profile::default()
        })
        .keeps(dir)
}

storehouse_conformance::tests!(over_flatfs_that_caches_handles_at_once, at_once);

/// An object that was read twice, so that its handle is cached if handles are.
struct Read {
    store: FlatFs,
    key: Key,
    path: PathBuf,
    /// The device and inode of its file, as it was read.
    file: (u64, u64),
}

impl Read {
    async fn bytes(&self) -> Result<Vec<u8>> {
        let body = self.store.get(&self.key).await?.body;
        Ok(body.collect(100).await?.to_vec())
    }

    /// Whether this process has the file open that was read first.
    fn is_open(&self) -> bool {
        is_open(&self.path, self.file)
    }

    /// Waits until it is closed, which happens on another thread.
    async fn is_closed(&self) {
        for _ in 0..5000 {
            if !self.is_open() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{}: the old file is open", self.key);
    }
}

/// Whether this process has the file of this device and inode open, in the shard of `path`. (The
/// inode may be another file's by now, in another test's directory.)
fn is_open(path: &Path, file: (u64, u64)) -> bool {
    let (shard, open) = (
        path.parent().unwrap(),
        fs::read_dir("/proc/self/fd").unwrap(),
    );
    let mut open = open.map(|fd| fd.unwrap().path());
    open.any(|fd| {
        let name = fs::read_link(&fd).unwrap_or_default();
        name.as_os_str()
            .as_encoded_bytes()
            .starts_with(shard.as_os_str().as_encoded_bytes())
            && fs::metadata(&fd).is_ok_and(|open| (open.dev(), open.ino()) == file)
    })
}

/// Objects that are old enough to be cached, and read.
async fn read(names: &[&str]) -> (TempDir, Vec<Read>) {
    let dir = tempfile::tempdir().unwrap();
    let store = FlatFs::open(dir.path(), FlatFsOptions::default().handle_age(AGE))
        .await
        .unwrap();
    for name in names {
        store.put(&Key::new(name).unwrap(), "old").await.unwrap();
    }
    tokio::time::sleep(AGE + AGE).await;
    let mut reads = Vec::new();
    for name in names {
        let path = dir.path().join(FlatFsOptions::default().shard.path(name));
        let metadata = fs::metadata(&path).unwrap();
        let read = Read {
            store: store.clone(),
            key: Key::new(name).unwrap(),
            path,
            file: (metadata.dev(), metadata.ino()),
        };
        for _ in 0..2 {
            assert_eq!(read.bytes().await.unwrap(), b"old");
        }
        assert_eq!(read.is_open(), caches(), "{name}");
        reads.push(read);
    }
    (dir, reads)
}

/// Whether handles are cached on the file system of temporary directories.
fn caches() -> bool {
    let dir = tempfile::tempdir().unwrap();
    pick(SystemCalls::Native).shows_changes(&fs::File::open(dir.path()).unwrap())
}

fn rename_over(path: &Path, bytes: &str) {
    let other = path.with_extension("new");
    fs::write(&other, bytes).unwrap();
    fs::rename(other, path).unwrap();
}

#[tokio::test]
async fn what_others_do_to_a_cached_file_shows_at_the_next_read() {
    let names = [
        "removed",
        "replaced",
        "moved",
        "moved-and-replaced",
        "linked-and-removed",
        "longer",
        "shorter",
        "a-directory",
    ];
    let (_dir, reads) = read(&names).await;
    for read in &reads {
        let (path, elsewhere) = (&read.path, read.path.with_extension("elsewhere"));
        let expected = match read.key.as_str() {
            "removed" => {
                fs::remove_file(path).unwrap();
                None
            }
            "replaced" => {
                rename_over(path, "new");
                Some("new")
            }
            "moved" => {
                fs::rename(path, elsewhere).unwrap();
                None
            }
            "moved-and-replaced" => {
                fs::rename(path, elsewhere).unwrap();
                fs::write(path, "new").unwrap();
                Some("new")
            }
            "linked-and-removed" => {
                fs::hard_link(path, elsewhere).unwrap();
                assert_eq!(read.bytes().await.unwrap(), b"old");
                fs::remove_file(path).unwrap();
                None
            }
            "longer" => {
                fs::write(path, "old and longer").unwrap();
                Some("old and longer")
            }
            "shorter" => {
                fs::write(path, "o").unwrap();
                Some("o")
            }
            _ => {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
                let error = read.bytes().await.unwrap_err().to_string();
                assert!(error.contains("no regular file"), "{error}");
                continue;
            }
        };
        match (read.bytes().await, expected) {
            (Ok(bytes), Some(expected)) => assert_eq!(bytes, expected.as_bytes(), "{}", read.key),
            (Err(e), None) => assert!(e.is_not_found(), "{}: {e}", read.key),
            (found, _) => panic!("{}: {found:?}", read.key),
        }
        // A file that was written in place may be cached again, as it is now.
        if !["longer", "shorter"].contains(&read.key.as_str()) {
            read.is_closed().await;
        }
    }
}

#[tokio::test]
async fn a_young_file_is_not_cached() {
    let dir = tempfile::tempdir().unwrap();
    let hour = Duration::from_secs(3600);
    let store = FlatFs::open(dir.path(), FlatFsOptions::default().handle_age(hour))
        .await
        .unwrap();
    let key = Key::new("young").unwrap();
    store.put(&key, "x").await.unwrap();
    let path = dir
        .path()
        .join(FlatFsOptions::default().shard.path("young"));
    let metadata = fs::metadata(&path).unwrap();
    let file = (metadata.dev(), metadata.ino());
    for _ in 0..3 {
        store.get_bytes(&key, 1).await.unwrap();
    }
    assert!(!is_open(&path, file));
}

#[tokio::test]
async fn a_file_that_the_store_replaces_or_deletes_takes_up_no_space_because_it_was_cached() {
    let (_dir, reads) = read(&["replaced", "deleted"]).await;
    let [replaced, deleted] = &reads[..] else {
        unreachable!()
    };
    replaced.store.put(&replaced.key, "new").await.unwrap();
    deleted.store.delete(&deleted.key).await.unwrap();
    replaced.is_closed().await;
    deleted.is_closed().await;
    assert_eq!(replaced.bytes().await.unwrap(), b"new");
    assert!(deleted.bytes().await.unwrap_err().is_not_found());
}

/// A shard that is moved away takes its files along, which they do not show. What the store does
/// afterwards is seen all the same.
#[tokio::test]
async fn what_the_store_does_in_the_place_of_a_shard_that_was_moved_away_is_seen() {
    let (dir, reads) = read(&["created", "deleted"]).await;
    let [created, deleted] = &reads[..] else {
        unreachable!()
    };
    let shards: BTreeSet<_> = reads
        .iter()
        .map(|read| read.path.parent().unwrap())
        .collect();
    for shard in shards {
        let moved = format!(".moved-{}", shard.file_name().unwrap().to_str().unwrap());
        fs::rename(shard, dir.path().join(moved)).unwrap();
    }
    let create = PutOptions::default().mode(PutMode::Create);
    created
        .store
        .put_opts(&created.key, "new".into(), create)
        .await
        .unwrap();
    assert_eq!(created.bytes().await.unwrap(), b"new");
    deleted.store.delete(&deleted.key).await.unwrap();
    assert!(deleted.bytes().await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn few_handles_are_cached_however_many_files_are_read() {
    for most in [0, 1, 100, usize::MAX] {
        let dir = tempfile::tempdir().unwrap();
        let options = FlatFsOptions::default()
            .handle_age(Duration::ZERO)
            .cached_handles(most);
        let store = FlatFs::open(dir.path(), options).await.unwrap();
        let keys: Vec<Key> = (0..600)
            .map(|i| Key::new(format!("object{i:03}")).unwrap())
            .collect();
        for key in &keys {
            let relaxed = PutOptions::default().durability(Durability::Relaxed);
            store.put_opts(key, "x".into(), relaxed).await.unwrap();
        }
        for key in keys.iter().flat_map(|key| [key, key]) {
            store.get(key).await.unwrap();
        }
        let open = fs::read_dir("/proc/self/fd")
            .unwrap()
            .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
            .filter(|file| {
                file.starts_with(dir.path()) && file.extension() == Some("data".as_ref())
            })
            .count();
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let share = limit.map_or(usize::MAX, |limit| limit as usize / 16);
        assert!(open <= most.min(share), "{open} of at most {most} handles");
        assert_eq!(open > 0, most > 0 && caches());
    }
}
