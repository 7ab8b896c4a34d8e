//! Files that are kept open: reads never show what is not there any more, whoever changed it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::super::sys::Sys;
use super::super::{FlatFs, FlatFsOptions, SystemCalls, sys};
use super::SlowDisk;
use storehouse_conformance::{self, Fixture, Pace, Profile};
use storehouse_objectstore::{Key, ObjectStoreExt, Result};

/// What the kernel may take to tell two changes of a file apart, as the store sees it, and a
/// little.
const SETTLED: Duration = Duration::from_millis(2100);

/// A store that keeps files from the moment that they are there, as the suite reads them at once.
async fn open_at_once(path: PathBuf) -> Result<FlatFs> {
    let disk = SlowDisk::new(SystemCalls::Native, "here");
    FlatFs::open_with(path, FlatFsOptions::default(), disk as Arc<dyn Sys>).await
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

storehouse_conformance::tests!(over_flatfs_that_keeps_files_at_once, at_once);

/// An object of the store, read twice, so that its file is kept if files are.
struct Read {
    store: FlatFs,
    key: Key,
    path: PathBuf,
}

impl Read {
    async fn bytes(&self) -> Result<Vec<u8>> {
        Ok(self
            .store
            .get(&self.key)
            .await?
            .body
            .collect(100)
            .await?
            .to_vec())
    }

    /// Whether this process has the file open, whether or not it has a name.
    fn is_open(&self) -> bool {
        let deleted = PathBuf::from(format!("{} (deleted)", self.path.display()));
        open_files()
            .iter()
            .any(|file| *file == self.path || *file == deleted)
    }
}

fn open_files() -> Vec<PathBuf> {
    fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|fd| fs::read_link(fd.unwrap().path()).ok())
        .collect()
}

/// Objects that are old enough to be kept, and read.
async fn read(names: &[&str], keeps: bool) -> (TempDir, Vec<Read>) {
    let dir = tempfile::tempdir().unwrap();
    let store = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    for name in names {
        store.put(&Key::new(name).unwrap(), "old").await.unwrap();
    }
    tokio::time::sleep(SETTLED).await;
    let mut reads = Vec::new();
    for name in names {
        let path = dir.path().join(FlatFsOptions::default().shard.path(name));
        let read = Read {
            store: store.clone(),
            key: Key::new(name).unwrap(),
            path,
        };
        for _ in 0..2 {
            assert_eq!(read.bytes().await.unwrap(), b"old");
        }
        assert_eq!(read.is_open(), keeps, "{name}");
        reads.push(read);
    }
    (dir, reads)
}

/// Whether files are kept on the file system of temporary directories.
fn keeps() -> bool {
    let dir = tempfile::tempdir().unwrap();
    sys::pick(SystemCalls::Native)
        .tells_of_changes(&fs::File::open(dir.path()).unwrap())
        .is_some()
}

fn rename_over(path: &Path, bytes: &str) {
    let other = path.with_extension("new");
    fs::write(&other, bytes).unwrap();
    fs::rename(other, path).unwrap();
}

#[tokio::test]
async fn what_others_do_to_a_kept_file_shows_at_the_next_read() {
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
    let (_dir, reads) = read(&names, keeps()).await;
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
                assert!(
                    read.bytes()
                        .await
                        .unwrap_err()
                        .to_string()
                        .contains("no regular file")
                );
                continue;
            }
        };
        match (read.bytes().await, expected) {
            (Ok(bytes), Some(expected)) => assert_eq!(bytes, expected.as_bytes(), "{}", read.key),
            (Err(e), None) => assert!(e.is_not_found(), "{}: {e}", read.key),
            (found, _) => panic!("{}: {found:?}", read.key),
        }
        assert!(
            !read.is_open(),
            "{}: what was changed a moment ago is not kept, and what it was is let go",
            read.key
        );
    }
}

#[tokio::test]
async fn a_file_that_the_store_replaces_or_deletes_takes_up_no_space_because_it_was_kept() {
    let (_dir, reads) = read(&["replaced", "deleted"], keeps()).await;
    let [replaced, deleted] = &reads[..] else {
        unreachable!()
    };
    replaced.store.put(&replaced.key, "new").await.unwrap();
    deleted.store.delete(&deleted.key).await.unwrap();
    assert!(!replaced.is_open() && !deleted.is_open());
    assert_eq!(replaced.bytes().await.unwrap(), b"new");
    assert!(deleted.bytes().await.unwrap_err().is_not_found());
}

/// A shard that somebody moves away takes its files along, which nothing of theirs shows. What the
/// store does afterwards is seen all the same.
#[tokio::test]
async fn what_the_store_does_in_the_place_of_a_shard_that_was_moved_away_is_seen() {
    let (dir, reads) = read(&["created", "deleted"], keeps()).await;
    let [created, deleted] = &reads[..] else {
        unreachable!()
    };
    for shard in reads
        .iter()
        .map(|read| read.path.parent().unwrap())
        .collect::<std::collections::BTreeSet<_>>()
    {
        fs::rename(
            shard,
            dir.path().join(format!(
                ".moved-{}",
                shard.file_name().unwrap().to_str().unwrap()
            )),
        )
        .unwrap();
    }
    let create =
        storehouse_objectstore::PutOptions::default().mode(storehouse_objectstore::PutMode::Create);
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
async fn few_files_are_kept_however_many_are_read() {
    let names: Vec<String> = (0..600).map(|i| format!("object{i:03}")).collect();
    let dir = tempfile::tempdir().unwrap();
    let store = open_at_once(dir.path().to_owned()).await.unwrap();
    for name in &names {
        store
            .put_opts(
                &Key::new(name).unwrap(),
                "x".into(),
                storehouse_objectstore::PutOptions::default()
                    .durability(storehouse_objectstore::Durability::Relaxed),
            )
            .await
            .unwrap();
    }
    for name in names.iter().flat_map(|name| [name, name]) {
        store.get(&Key::new(name).unwrap()).await.unwrap();
    }
    let open = open_files()
        .into_iter()
        .filter(|file| file.starts_with(dir.path()) && file.extension() == Some("data".as_ref()))
        .count();
    assert!(open <= 256, "{open} files are open");
    assert_eq!(open > 0, keeps());
}
