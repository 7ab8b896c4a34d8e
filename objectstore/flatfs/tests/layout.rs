//! The directory: what Go wrote is read, what Go expects is written, and what is no flatfs is
//! refused and left alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_flatfs::{ShardFunction, SystemCalls};
use storehouse_objectstore::{Error, Key, ListOptions, ObjectStore, ObjectStoreExt, Result};
use tempfile::TempDir;

/// A directory that Piri v0.2.4 wrote.
const GO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/flatfs");

const BOTH: [SystemCalls; 2] = [SystemCalls::Native, SystemCalls::Portable];

async fn open(path: impl Into<PathBuf>, system_calls: SystemCalls) -> Result<FlatFs> {
    FlatFs::open(path, FlatFsOptions::default().system_calls(system_calls)).await
}

/// Every file below `dir`, by path.
fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(at) = todo.pop() {
        for entry in fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                todo.push(entry.path());
            } else {
                let path = entry
                    .path()
                    .strip_prefix(dir)
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .to_owned();
                found.insert(path, fs::read(entry.path()).unwrap());
            }
        }
    }
    found
}

fn copy_of_go() -> TempDir {
    copy_of(Path::new(GO))
}

fn copy_of(from: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files(from) {
        let to = dir.path().join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, content).unwrap();
    }
    dir
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn reason(error: Error) -> String {
    match error {
        Error::Config {
            setting: "data_dir",
            reason,
            ..
        } => reason,
        other => panic!("no error of the setting: {other:?}"),
    }
}

#[tokio::test]
async fn reads_every_object_that_go_wrote() {
    for calls in BOTH {
        let dir = copy_of_go();
        let wanted: Vec<(String, Vec<u8>)> = files(Path::new(GO))
            .into_iter()
            .filter(|(path, _)| path.ends_with(".data"))
            .collect();
        assert_eq!(wanted.len(), 26);
        let store = open(dir.path(), calls).await.unwrap();
        // Listed in the order of paths, which is the one of the sorted map.
        let listed: Vec<_> = store
            .list(ListOptions::default())
            .try_collect()
            .await
            .unwrap();
        let shard = ShardFunction::default();
        let paths: Vec<String> = listed
            .iter()
            .map(|entry| format!("{}/{}.data", shard.shard(entry.key.as_str()), entry.key))
            .collect();
        assert_eq!(
            paths,
            wanted
                .iter()
                .map(|(path, _)| path.clone())
                .collect::<Vec<_>>()
        );
        for (entry, (_, content)) in listed.iter().zip(&wanted) {
            assert_eq!(
                store.get_bytes(&entry.key, u64::MAX).await.unwrap(),
                content,
                "{}",
                entry.key
            );
            assert_eq!(store.head(&entry.key).await.unwrap(), entry.metadata);
            assert_eq!(entry.metadata.size, content.len() as u64);
        }
    }
}

#[tokio::test]
async fn opening_a_directory_of_go_changes_nothing_that_go_sees() {
    let dir = copy_of_go();
    let before = files(dir.path());
    drop(open(dir.path(), SystemCalls::Native).await.unwrap());
    let mut after = files(dir.path());
    assert_eq!(after.remove(".lock"), Some(Vec::new()));
    assert_eq!(after, before);
}

#[tokio::test]
async fn writes_what_go_writes() {
    for calls in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        let store = open(&path, calls).await.unwrap();
        let hello = Key::new("ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja").unwrap();
        store.put(&hello, "hello").await.unwrap();
        store.close().await.unwrap();
        let mut written = files(&path);
        assert_eq!(written.remove(".lock"), Some(Vec::new()));
        let go = files(Path::new(GO));
        for file in [
            "SHARDING",
            "_README",
            "qj/ciqcz4snxjp3biyoe3udwkwfxhrj4gywdzob7j2clzzqim3csofzqja.data",
        ] {
            assert_eq!(written.remove(file), Some(go[file].clone()), "{file}");
        }
        assert_eq!(written, BTreeMap::new());
        assert_eq!(mode(&path.join("_README")), 0o444);
        for dir in [".temp", "qj", ""] {
            assert_eq!(mode(&path.join(dir)), 0o755, "{dir:?}");
        }
        assert_eq!(fs::read(path.join("SHARDING")).unwrap().len(), 37);
    }
}

#[tokio::test]
async fn every_shard_function_is_written_found_again_and_held_to() {
    for (shard, id, place) in [
        (
            ShardFunction::Prefix(3),
            "/repo/flatfs/shard/v1/prefix/3\n",
            "abc/abcdef.data",
        ),
        (
            ShardFunction::Suffix(1),
            "/repo/flatfs/shard/v1/suffix/1\n",
            "f/abcdef.data",
        ),
        (
            ShardFunction::NextToLast(2),
            "/repo/flatfs/shard/v1/next-to-last/2\n",
            "de/abcdef.data",
        ),
        (
            ShardFunction::NextToLast(9),
            "/repo/flatfs/shard/v1/next-to-last/9\n",
            "____abcde/abcdef.data",
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let options = FlatFsOptions::default().shard(shard);
        let key = Key::new("abcdef").unwrap();
        FlatFs::open(dir.path(), options)
            .await
            .unwrap()
            .put(&key, "x")
            .await
            .unwrap();
        drop(FlatFs::open(dir.path(), options).await.unwrap());
        assert_eq!(fs::read_to_string(dir.path().join("SHARDING")).unwrap(), id);
        assert_eq!(fs::read_to_string(dir.path().join(place)).unwrap(), "x");
        assert_eq!(
            dir.path().join("_README").exists(),
            shard == ShardFunction::default()
        );

        let before = files(dir.path());
        let other = options.shard(ShardFunction::Suffix(7));
        let why = reason(FlatFs::open(dir.path(), other).await.unwrap_err());
        assert!(
            why.contains(id.trim()) && why.contains("/repo/flatfs/shard/v1/suffix/7"),
            "{why}"
        );
        assert_eq!(files(dir.path()), before);

        // White space around it does not count.
        fs::write(dir.path().join("SHARDING"), format!(" \t{id}\n\n")).unwrap();
        assert_eq!(
            FlatFs::open(dir.path(), options)
                .await
                .unwrap()
                .get_bytes(&key, 1)
                .await
                .unwrap(),
            "x"
        );
    }
}

#[tokio::test]
async fn what_is_no_flatfs_is_refused_in_a_sentence_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);

    fs::write(at("file"), "x").unwrap();
    let why = reason(open(at("file"), SystemCalls::Native).await.unwrap_err());
    assert_eq!(why, format!("{} is not a directory", at("file").display()));
    let why = reason(
        open(at("file/below"), SystemCalls::Native)
            .await
            .unwrap_err(),
    );
    assert_eq!(
        why,
        format!("{} is not a directory", at("file/below").display())
    );

    fs::create_dir(at("full")).unwrap();
    fs::write(at("full/thesis.txt"), "x").unwrap();
    let why = reason(open(at("full"), SystemCalls::Native).await.unwrap_err());
    assert!(
        why.contains("is not empty (it has thesis.txt) and has no SHARDING file"),
        "{why}"
    );
    assert_eq!(files(&at("full")).len(), 1);

    for damage in [
        "nonsense",
        "/repo/flatfs/shard/v1/next-to-last/0",
        "/repo/flatfs/shard/v1/next-to-last/99999999999999999999",
        "\u{0}",
    ] {
        let path = at("damaged");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("SHARDING"), damage).unwrap();
        let error = open(&path, SystemCalls::Native).await.unwrap_err();
        assert!(std::error::Error::source(&error).is_some());
        let why = reason(error);
        assert!(
            why.contains("SHARDING file") && why.contains("damaged"),
            "{why}"
        );
        assert_eq!(files(&path).len(), 1);
        fs::remove_dir_all(path).unwrap();
    }

    let zero = FlatFsOptions::default().shard(ShardFunction::Prefix(0));
    assert!(matches!(
        FlatFs::open(at("zero"), zero).await,
        Err(Error::Config {
            setting: "shard",
            ..
        })
    ));
    assert!(!at("zero").exists());
}

#[tokio::test]
async fn what_a_new_file_system_or_a_desktop_puts_there_is_ignored() {
    for calls in BOTH {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("lost+found")).unwrap();
        fs::create_dir(dir.path().join(".Trash-0")).unwrap();
        fs::write(dir.path().join(".DS_Store"), "x").unwrap();
        let store = open(dir.path(), calls).await.unwrap();
        let key = Key::new("abcd").unwrap();
        store.put(&key, "x").await.unwrap();
        assert_eq!(
            store
                .list_prefix("")
                .try_collect::<Vec<_>>()
                .await
                .unwrap()
                .len(),
            1
        );
        store.close().await.unwrap();
        let store = open(dir.path(), calls).await.unwrap();
        assert_eq!(store.get_bytes(&key, 1).await.unwrap(), "x");
        assert_eq!(
            fs::read_to_string(dir.path().join(".DS_Store")).unwrap(),
            "x"
        );
    }
}

#[tokio::test]
async fn a_shard_that_is_a_link_or_in_capitals_is_refused_by_name() {
    let elsewhere = tempfile::tempdir().unwrap();
    for calls in BOTH {
        let dir = copy_of_go();
        let at = dir.path().join("bc");
        std::os::unix::fs::symlink(elsewhere.path(), &at).unwrap();
        let why = reason(open(dir.path(), calls).await.unwrap_err());
        assert!(
            why.contains(at.to_str().unwrap()) && why.contains("symbolic link"),
            "{why}"
        );
        assert!(!dir.path().join(".lock").exists());
        fs::remove_file(&at).unwrap();

        let at = dir.path().join("QJ");
        fs::create_dir(&at).unwrap();
        let why = reason(open(dir.path(), calls).await.unwrap_err());
        assert!(
            why.contains(at.to_str().unwrap()) && why.contains("capitals"),
            "{why}"
        );
        fs::remove_dir(&at).unwrap();

        // One that appears later is an error that names it, for reading, listing and writing.
        let store = open(dir.path(), calls).await.unwrap();
        let key = Key::new("xxxxxbcx").unwrap();
        let at = dir.path().join("bc");
        std::os::unix::fs::symlink(elsewhere.path(), &at).unwrap();
        let listed: Result<Vec<_>> = store.list_prefix("").try_collect().await;
        let failed = [
            listed.map(drop).unwrap_err(),
            store.put(&key, "x").await.map(drop).unwrap_err(),
            store.delete(&key).await.unwrap_err(),
        ];
        for error in failed {
            assert!(error.to_string().contains(at.to_str().unwrap()), "{error}");
        }
        assert!(
            store
                .get_bytes(&key, 1)
                .await
                .is_err_and(|e| !e.is_not_found())
        );
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_closed_store_writes_nothing_and_leaves_the_directory_to_the_next_one() {
    for log in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let options = FlatFsOptions::default().log(log);
        let store = FlatFs::open(dir.path(), options).await.unwrap();
        let key = Key::new("abcd").unwrap();
        store.put(&key, "x").await.unwrap();
        let large = Key::new("large").unwrap();
        store.put(&large, vec![7; 3_000_000]).await.unwrap();
        let body = store.get(&large).await.unwrap().body;
        let clone = store.clone();
        store.close().await.unwrap();
        let next = FlatFs::open(dir.path(), options).await.unwrap();
        assert!(!dir.path().join(".log-0").exists());
        // A body that was handed out before is read to its end.
        assert!(body.collect(u64::MAX).await.unwrap() == vec![7; 3_000_000]);
        for store in [store, clone] {
            for error in [
                store.put(&key, "y").await.map(drop).unwrap_err(),
                store
                    .put(&key, vec![7; 100_000])
                    .await
                    .map(drop)
                    .unwrap_err(),
                store.delete(&key).await.unwrap_err(),
            ] {
                assert!(error.to_string().contains("the store is closed"), "{error}");
            }
            // Closing again is fine.
            store.close().await.unwrap();
        }
        next.put(&key, "z").await.unwrap();
        next.close().await.unwrap();
    }
}

/// Directories that each version of go-ds-flatfs wrote, with Kubo's keys: two blocks by multihash
/// and one by CID, all "hello" or empty. They have `diskUsage.cache` and all names in capitals.
#[tokio::test]
async fn directories_of_kubo_are_refused_in_a_sentence_and_left_alone() {
    for version in ["0.3.0", "0.4.5", "0.5.1", "0.5.5"] {
        let kubo = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/vectors/go-ds-flatfs")
            .join(version);
        let dir = copy_of(&kubo);
        let before = files(dir.path());
        assert!(before.contains_key("diskUsage.cache"));
        let blocks = before.keys().filter(|name| name.ends_with(".data")).count();
        assert_eq!(blocks, 3);
        for calls in BOTH {
            let why = reason(open(dir.path(), calls).await.unwrap_err());
            assert!(
                why.contains("is in capitals, as Kubo writes names"),
                "{why}"
            );
        }
        assert_eq!(files(dir.path()), before);
    }
}

/// The name of such a shard does not tell that Kubo wrote it.
#[tokio::test]
async fn a_shard_of_digits_with_names_in_capitals_is_refused() {
    for calls in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), calls).await.unwrap();
        store.put(&Key::new("ab23x").unwrap(), "x").await.unwrap();
        store.close().await.unwrap();
        drop(store);
        open(dir.path(), calls)
            .await
            .unwrap()
            .close()
            .await
            .unwrap();
        fs::create_dir(dir.path().join("45")).unwrap();
        fs::write(dir.path().join("45/CIQAB45C.data"), "x").unwrap();
        let why = reason(open(dir.path(), calls).await.unwrap_err());
        assert!(why.contains("45 is in capitals"), "{why}");
    }
}

#[tokio::test]
async fn a_creation_cut_off_at_any_step_is_taken_up_again() {
    // In the order in which they appear. SHARDING comes first, so that Go refuses none of these but
    // the one with an empty file, which only appears where no file can be made with its content.
    for there in [
        &["SHARDING"][..],
        &["SHARDING", ".lock"],
        &["SHARDING", ".lock", "_README"],
        &[".lock"],
        &["=SHARDING"],
        &["=SHARDING", ".lock"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        for name in there {
            let content = if *name == "SHARDING" {
                "/repo/flatfs/shard/v1/next-to-last/2\n"
            } else {
                ""
            };
            fs::write(dir.path().join(name.trim_start_matches('=')), content).unwrap();
        }
        let store = open(dir.path(), SystemCalls::Native).await.unwrap();
        store.put(&Key::new("abcd").unwrap(), "x").await.unwrap();
        assert_eq!(
            fs::read_to_string(dir.path().join("SHARDING")).unwrap(),
            "/repo/flatfs/shard/v1/next-to-last/2\n",
            "{there:?}"
        );
    }
}

#[tokio::test]
async fn temporary_files_are_removed_at_opening_whatever_they_are() {
    let dir = copy_of_go();
    fs::create_dir_all(dir.path().join(".temp/a/b")).unwrap();
    fs::write(dir.path().join(".temp/temp-123"), "x").unwrap();
    let store = open(dir.path(), SystemCalls::Native).await.unwrap();
    assert_eq!(fs::read_dir(dir.path().join(".temp")).unwrap().count(), 0);
    drop(store);
    fs::remove_dir(dir.path().join(".temp")).unwrap();
    std::os::unix::fs::symlink("/", dir.path().join(".temp")).unwrap();
    drop(open(dir.path(), SystemCalls::Native).await.unwrap());
    assert!(
        fs::symlink_metadata(dir.path().join(".temp"))
            .unwrap()
            .is_dir()
    );
}

#[tokio::test]
async fn a_second_store_is_kept_out_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path(), SystemCalls::Native).await.unwrap();
    let clone = store.clone();
    for calls in BOTH {
        assert!(
            matches!(open(dir.path(), calls).await, Err(Error::InUse { path }) if path == dir.path())
        );
        // By another name, too.
        assert!(matches!(
            open(
                dir.path().join("../").join(dir.path().file_name().unwrap()),
                calls
            )
            .await,
            Err(Error::InUse { .. })
        ));
    }
    drop(store);
    assert!(matches!(
        open(dir.path(), SystemCalls::Native).await,
        Err(Error::InUse { .. })
    ));
    drop(clone);
    open(dir.path(), SystemCalls::Native).await.unwrap();
}

#[tokio::test]
async fn the_longest_key_makes_the_longest_file_name() {
    for calls in BOTH {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), calls).await.unwrap();
        let longest = Key::new("k".repeat(250)).unwrap();
        store.put(&longest, "x").await.unwrap();
        assert_eq!(store.get_bytes(&longest, 1).await.unwrap(), "x");
        let longer = Key::new("k".repeat(251)).unwrap();
        assert!(matches!(
            store.put(&longer, "x").await,
            Err(Error::InvalidKey { .. })
        ));
        assert!(store.get(&longer).await.unwrap_err().is_not_found());
        store.delete(&longer).await.unwrap();
    }
}

#[tokio::test]
async fn listing_passes_over_what_is_not_an_object_in_its_place() {
    for calls in BOTH {
        let dir = copy_of_go();
        let store = open(dir.path(), calls).await.unwrap();
        let before: Vec<_> = store
            .list_prefix("")
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .unwrap();
        for name in [
            "qj/.hidden.data",
            "qj/put-123",
            "qj/UPPER.data",
            "qj/abcd.data",
            "qj/.data",
            "diskUsage.cache",
            "not-a-shard",
            "x",
            "zz",
        ] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        fs::create_dir(dir.path().join("qj/xqja.data")).unwrap();
        fs::create_dir_all(dir.path().join("longer")).unwrap();
        fs::write(dir.path().join("longer/longer.data"), "x").unwrap();
        std::os::unix::fs::symlink("qj", dir.path().join("aaa")).unwrap();
        std::os::unix::fs::symlink("abcd.data", dir.path().join("qj/yqja.data")).unwrap();
        let after: Vec<_> = store
            .list_prefix("")
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .unwrap();
        assert_eq!(after, before);
        store.health().await.unwrap();
    }
}

#[tokio::test]
async fn health_notices_that_the_directory_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flatfs");
    let store = open(&path, SystemCalls::Native).await.unwrap();
    store.health().await.unwrap();
    fs::rename(&path, dir.path().join("elsewhere")).unwrap();
    store.health().await.unwrap_err();
    fs::create_dir(&path).unwrap();
    store.health().await.unwrap_err();
}
