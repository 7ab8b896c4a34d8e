//! Where objects lie, and what becomes of files that other programs put there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, TryStreamExt};
use storehouse_fs::{Fs, FsOptions, SystemCalls};
use storehouse_objectstore::{
    Attributes, CopyOptions, Durability, Error, Key, ListOptions, ObjectStore, ObjectStoreExt,
    PutMode, PutOptions,
};
use tempfile::TempDir;

fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

async fn open(dir: &Path) -> Fs {
    Fs::open(dir, FsOptions::default()).await.unwrap()
}

async fn fresh() -> (TempDir, Fs) {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    (dir, store)
}

async fn keys(store: &Fs, options: ListOptions) -> Vec<String> {
    let keys = store.list(options).map_ok(|entry| entry.key.to_string());
    keys.try_collect().await.unwrap()
}

async fn all(store: &Fs) -> Vec<String> {
    keys(store, ListOptions::default()).await
}

async fn content(store: &Fs, name: &str) -> Option<Vec<u8>> {
    match store.get_bytes(&key(name), 1 << 20).await {
        Ok(bytes) => Some(bytes.to_vec()),
        Err(e) if e.is_not_found() => None,
        Err(e) => panic!("{name}: {e:?}"),
    }
}

/// What lies in the directory, without the store's own.
fn tree(dir: &Path) -> Vec<String> {
    fn walk(dir: &Path, root: &Path, found: &mut Vec<String>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            if name == ".storehouse" {
                continue;
            }
            if path.is_dir() {
                found.push(format!("{name}/"));
                walk(&path, root, found);
            } else {
                found.push(name);
            }
        }
    }
    let mut found = Vec::new();
    walk(dir, dir, &mut found);
    found.sort();
    found
}

#[tokio::test]
async fn objects_lie_where_the_page_says() {
    let (dir, store) = fresh().await;
    let long = "k".repeat(600);
    let part = "k".repeat(250);
    let rest = "k".repeat(100);
    let places = [
        ("Photos/Cat.jpg", "Photos/Cat.jpg"),
        (
            "did:web:localhost%3A3000.cbor",
            "did:web:localhost%253A3000.cbor",
        ),
        (".storehouse/lock", "%2Estorehouse/lock"),
        ("lost+found", "%6Cost+found"),
        ("a./b", "a%2E/b"),
        (&long, &format!("{part}%more/{part}%more/{rest}")),
    ];
    for (name, path) in places {
        store.put(&key(name), name.to_owned()).await.unwrap();
        assert_eq!(
            fs::read(dir.path().join(path)).unwrap(),
            name.as_bytes(),
            "{name}"
        );
        let mode = fs::metadata(dir.path().join(path))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let mut names: Vec<_> = places.iter().map(|(name, _)| (*name).to_owned()).collect();
    names.sort();
    assert_eq!(all(&store).await, names);
    for (name, _) in places {
        store.delete(&key(name)).await.unwrap();
    }
    assert_eq!(tree(dir.path()), [""; 0], "no directory is left");
}

#[tokio::test]
async fn an_object_makes_way_for_a_directory_and_stays_readable() {
    let (dir, store) = fresh().await;
    let options = ListOptions::default();
    store.put(&key("a"), "1").await.unwrap();
    let tag = store.head(&key("a")).await.unwrap().etag;
    store.put(&key("a/b"), "2").await.unwrap();
    assert_eq!(tree(dir.path()), ["a%file", "a/", "a/b"]);
    assert_eq!(content(&store, "a").await.unwrap(), b"1");
    assert_eq!(store.head(&key("a")).await.unwrap().etag, tag);
    let replace = PutOptions::default().mode(PutMode::Replace(tag));
    store
        .put_opts(&key("a"), "3".into(), replace)
        .await
        .unwrap();
    assert_eq!(keys(&store, options).await, ["a", "a/b"]);
    assert_eq!(tree(dir.path()), ["a%file", "a/", "a/b"]);
    let create = || PutOptions::default().mode(PutMode::Create);
    let exists = store.put_opts(&key("a"), "4".into(), create()).await;
    assert!(exists.unwrap_err().is_already_exists());
    // The directory goes with its last object; the object stays where it is.
    store.delete(&key("a/b")).await.unwrap();
    assert_eq!(tree(dir.path()), ["a%file"]);
    assert_eq!(content(&store, "a").await.unwrap(), b"3");
    store.delete(&key("a")).await.unwrap();
    assert_eq!(tree(dir.path()), [""; 0]);
    // The other order: the directory is there first.
    store.put(&key("a/b/c"), "5").await.unwrap();
    store
        .put_opts(&key("a/b"), "6".into(), create())
        .await
        .unwrap();
    assert_eq!(tree(dir.path()), ["a/", "a/b%file", "a/b/", "a/b/c"]);
    store.delete(&key("a/b/c")).await.unwrap();
    store.delete(&key("a/b")).await.unwrap();
    store.put(&key("a/b"), "7").await.unwrap();
    assert_eq!(
        tree(dir.path()),
        ["a/", "a/b"],
        "a new object gets the plain name"
    );
}

#[tokio::test]
async fn files_of_others_are_objects() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("Photos/2026")).unwrap();
    fs::create_dir_all(at("empty/er")).unwrap();
    for name in [
        "Photos/2026/Cat.jpg",
        "Photos/ключ",
        "100%",
        "x%file",
        "%41",
        "a.",
        "b ",
        "tab\there",
        "c%61",
    ] {
        fs::write(at(name), name).unwrap();
    }
    fs::write(at(&"n".repeat(251)), "").unwrap();
    symlink("100%", at("link")).unwrap();
    let store = open(dir.path()).await;
    let expected = [
        "100%",
        "A",
        "Photos/2026/Cat.jpg",
        "Photos/ключ",
        "c%61",
        "x",
    ];
    let mut expected: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
    expected.retain(|name| name != "A" && name != "c%61");
    assert_eq!(all(&store).await, expected);
    assert_eq!(content(&store, "x").await.unwrap(), b"x%file");
    assert_eq!(content(&store, "a.").await, None);
    // Changed in place, and by renaming.
    let (cat, etag) = (
        key("Photos/2026/Cat.jpg"),
        store.head(&key("Photos/2026/Cat.jpg")).await.unwrap().etag,
    );
    fs::write(at("Photos/2026/Cat.jpg"), "other").unwrap();
    assert_ne!(store.head(&cat).await.unwrap().etag, etag);
    assert_eq!(store.get_bytes(&cat, 100).await.unwrap(), "other");
    // An empty directory is in the way of nothing.
    store.put(&key("empty/er"), "1").await.unwrap();
    assert!(at("empty/er").is_file());
    store.delete(&cat).await.unwrap();
    assert!(!at("Photos/2026").exists() && at("Photos").exists());
    // A file of another program makes way like any other.
    store.put(&key("100%/x"), "1").await.unwrap();
    assert_eq!(fs::read(at("100%%file")).unwrap(), b"100%");
    assert_eq!(content(&store, "100%").await.unwrap(), b"100%");
}

#[tokio::test]
async fn links_are_not_followed() {
    for system_calls in [SystemCalls::Native, SystemCalls::Portable] {
        let (dir, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("x"), "secret").unwrap();
        symlink(outside.path(), dir.path().join("dir")).unwrap();
        symlink(outside.path().join("x"), dir.path().join("file")).unwrap();
        let store = Fs::open(dir.path(), FsOptions::default().system_calls(system_calls))
            .await
            .unwrap();
        assert_eq!(all(&store).await, [""; 0]);
        assert_eq!(
            keys(&store, ListOptions::default().prefix("dir/").limit(1))
                .await
                .len(),
            0
        );
        for name in ["dir/x", "file"] {
            let error = store.get_bytes(&key(name), 100).await.unwrap_err();
            assert!(!error.is_not_found(), "{error:?}");
        }
        let error = store.put(&key("dir/y"), "1").await.unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("dir is a symbolic link"), "{error}: {cause}");
        store.put(&key("file"), "1").await.unwrap();
        assert_eq!(fs::read(outside.path().join("x")).unwrap(), b"secret");
        assert_eq!(content(&store, "file").await.unwrap(), b"1");
        // The directory itself may be reached by one.
        let link = outside.path().join("link");
        symlink(dir.path(), &link).unwrap();
        assert!(matches!(
            Fs::open(&link, FsOptions::default()).await,
            Err(Error::InUse { .. })
        ));
    }
}

#[tokio::test]
async fn what_cannot_be_a_store_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let message = Fs::open(&file, FsOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("file is not a directory"), "{message}");
    let linked = dir.path().join("linked");
    fs::create_dir(&linked).unwrap();
    symlink(dir.path(), linked.join(".storehouse")).unwrap();
    let message = Fs::open(&linked, FsOptions::default())
        .await
        .unwrap_err()
        .to_string();
    assert!(message.contains("symbolic link"), "{message}");
    // As on a file system that does not tell them apart.
    for (name, why) in [
        ("eXACT-\u{c9}", "upper from lower"),
        ("Exact-\u{e9}", "upper from lower"),
        ("Exact-E\u{301}", "composed"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        open(dir.path()).await.close().await.unwrap();
        fs::write(dir.path().join(".storehouse").join(name), "").unwrap();
        let message = Fs::open(dir.path(), FsOptions::default())
            .await
            .unwrap_err()
            .to_string();
        assert!(message.contains(why), "{message}");
    }
}

#[tokio::test]
async fn what_a_crash_left_is_removed_at_opening() {
    let (dir, store) = fresh().await;
    store.close().await.unwrap();
    let temp = dir.path().join(".storehouse/temp");
    fs::write(temp.join("put-0"), "half").unwrap();
    fs::create_dir(temp.join("d")).unwrap();
    let store = open(dir.path()).await;
    assert_eq!(fs::read_dir(&temp).unwrap().count(), 0);
    // It moved, and the directory was never made.
    store.put(&key("a"), "1").await.unwrap();
    fs::rename(dir.path().join("a"), dir.path().join("a%file")).unwrap();
    assert_eq!(content(&store, "a").await.unwrap(), b"1");
    assert_eq!(all(&store).await, ["a"]);
    // Both names: the plain one is the object, and a delete removes both.
    fs::write(dir.path().join("a"), "2").unwrap();
    assert_eq!(
        (all(&store).await, content(&store, "a").await.unwrap()),
        (vec!["a".to_owned()], b"2".to_vec())
    );
    store.delete(&key("a")).await.unwrap();
    assert_eq!(tree(dir.path()), [""; 0]);
}

#[tokio::test]
async fn failed_puts_leave_no_directories() {
    let (dir, store) = fresh().await;
    let replace =
        PutOptions::default().mode(PutMode::Replace(storehouse_objectstore::ETag::new("x")));
    let error = store
        .put_opts(&key("a/b/c"), "1".into(), replace)
        .await
        .unwrap_err();
    assert!(error.is_precondition(), "{error:?}");
    fs::write(dir.path().join("plain"), "").unwrap();
    fs::create_dir_all(dir.path().join("x/y%file")).unwrap();
    fs::create_dir_all(dir.path().join("x/y/z")).unwrap();
    let error = store.put(&key("x/y"), "1").await.unwrap_err();
    assert!(!error.is_not_found(), "{error:?}");
    assert_eq!(
        tree(dir.path()),
        ["plain", "x/", "x/y%file/", "x/y/", "x/y/z/"]
    );
}

#[tokio::test]
async fn relaxed_puts_are_seen_and_kept() {
    let (dir, store) = fresh().await;
    let relaxed = || PutOptions::default().durability(Durability::Relaxed);
    store
        .put_opts(&key("d/a"), "1".into(), relaxed())
        .await
        .unwrap();
    store
        .put_opts(&key("d"), "2".into(), relaxed())
        .await
        .unwrap();
    store.close().await.unwrap();
    let store = open(dir.path()).await;
    assert_eq!(all(&store).await, ["d", "d/a"]);
    assert!(store.free_space().await.unwrap() > 0);
    store.health().await.unwrap();
    fs::rename(dir.path(), dir.path().with_extension("moved")).unwrap();
    assert!(store.health().await.is_err());
    fs::rename(dir.path().with_extension("moved"), dir.path()).unwrap();
}

/// Objects whose files make way for directories, under readers and listings.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn moving_objects_are_never_missed() {
    let (_dir, store) = fresh().await;
    let relaxed = || PutOptions::default().durability(Durability::Relaxed);
    let names: Vec<String> = (0..900)
        .map(|n| format!("{n:04}{}", "k".repeat(100)))
        .collect();
    for name in &names {
        let key = key(name);
        let put = store.put_opts(&key, name.clone().into(), relaxed());
        put.await.unwrap();
    }
    // The next one to move.
    let next = Arc::new(AtomicUsize::new(0));
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let (store, names, next) = (store.clone(), names.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(name) = names.get(next.load(Ordering::Relaxed)) {
                    store.head(&key(name)).await.unwrap();
                }
            })
        })
        .collect();
    let mover = {
        let (store, names, next) = (store.clone(), names.clone(), Arc::clone(&next));
        tokio::spawn(async move {
            for name in names {
                let below = key(&format!("{name}/below"));
                store.put_opts(&below, "x".into(), relaxed()).await.unwrap();
                next.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    let mut rounds = 0;
    while next.load(Ordering::Relaxed) < names.len() || rounds == 0 {
        rounds += 1;
        let listed: Vec<String> = all(&store).await;
        let plain = listed.iter().filter(|name| !name.contains('/')).count();
        let missed: Vec<&String> = names.iter().filter(|name| !listed.contains(name)).collect();
        assert!(
            missed.is_empty() && plain == names.len(),
            "round {rounds}: {plain}, {missed:?}"
        );
        assert!(listed.is_sorted());
    }
    mover.await.unwrap();
    for reader in readers {
        reader.await.unwrap();
    }
    for name in &names {
        assert_eq!(content(&store, name).await.unwrap(), name.as_bytes());
    }
}

#[tokio::test]
async fn a_long_listing_holds_few_names_and_can_be_resumed_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    // Many names in one directory, directories beside files, and long segments between short ones.
    let mut names: Vec<String> = (0..300).map(|n| format!("f{:03}", n * 7 % 300)).collect();
    names.extend((0..40).map(|n| format!("f{:03}/x{n}", n * 5)));
    let stem = "l".repeat(250);
    names.extend(["", "a", "b", &"c".repeat(300)].map(|end| format!("{stem}{end}")));
    names.extend((0..200).map(|n| format!("{stem}{}{n:03}", "m".repeat(260))));
    names.extend(["l", "l/a", "l-", "m"].map(str::to_owned));
    let options = FsOptions::default().listed_names(64);
    let store = Fs::open(dir.path(), options).await.unwrap();
    let relaxed = PutOptions::default().durability(Durability::Relaxed);
    for name in &names {
        store
            .put_opts(&key(name), "1".into(), relaxed.clone())
            .await
            .unwrap();
    }
    names.sort();
    assert_eq!(all(&store).await, names);
    for (n, name) in names.iter().enumerate().step_by(23) {
        let after = ListOptions::default().start_after(key(name)).limit(70);
        let expected: Vec<_> = names[n + 1..].iter().take(70).cloned().collect();
        assert_eq!(keys(&store, after).await, expected, "after {name}");
        let prefix = &name[..name.len().min(4)];
        let with = ListOptions::default().prefix(prefix);
        let expected: Vec<_> = names
            .iter()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect();
        assert_eq!(keys(&store, with).await, expected, "with {prefix}");
    }
    for odd in [
        "/",
        "a//b",
        "../",
        "./",
        ".storehouse/",
        "l/../",
        "\0",
        &"x".repeat(5000),
    ] {
        let listed = store
            .list(ListOptions::default().prefix(odd))
            .collect::<Vec<_>>()
            .await;
        assert!(listed.is_empty(), "{odd:.20?}: {listed:?}");
    }
}

#[tokio::test]
async fn a_replaced_file_frees_its_space_for_readers_too() {
    let (dir, store) = fresh().await;
    let big = vec![7; 3 << 20];
    store.put(&key("big"), big.clone()).await.unwrap();
    let object = store.get(&key("big")).await.unwrap();
    let inode = fs::metadata(dir.path().join("big")).unwrap().ino();
    store.put(&key("big"), "small").await.unwrap();
    assert_ne!(fs::metadata(dir.path().join("big")).unwrap().ino(), inode);
    assert_eq!(object.body.collect(u64::MAX).await.unwrap(), big);
    assert_eq!(content(&store, "big").await.unwrap(), b"small");
}

#[tokio::test]
async fn attributes_lie_in_one_extended_attribute() {
    let (dir, store) = fresh().await;
    if store.capabilities().max_attributes == 0 {
        return;
    }
    let attributes = Attributes::default()
        .with_content_type("image/jpeg")
        .and_then(|attributes| attributes.with_user("colour", ["red", "blue"]))
        .unwrap();
    let put = PutOptions::default().attributes(attributes.clone());
    store.put_opts(&key("a"), "1".into(), put).await.unwrap();
    let name = "user.storehouse";
    let text = || {
        let mut text = vec![0; 4096];
        let len = rustix::fs::getxattr(dir.path().join("b/c"), name, &mut text).unwrap();
        String::from_utf8(text[..len].to_vec()).unwrap()
    };
    // They go along with a copy and a rename.
    store.copy(&key("a"), &key("b")).await.unwrap();
    store.rename(&key("b"), &key("b/c")).await.unwrap();
    let expected = "storehouse 1\nhttp content-type image/jpeg\nuser colour red\n+ blue\n";
    assert_eq!(text(), expected);
    assert_eq!(
        store.head(&key("b/c")).await.unwrap().attributes,
        attributes
    );
    let other = CopyOptions::default()
        .remove_source(true)
        .attributes(Attributes::default());
    let refused = store.copy_opts(&key("b/c"), &key("d"), other).await;
    assert!(matches!(refused, Err(Error::Unsupported { .. })));
    // What another program wrote there is an error that says so.
    let (path, flags) = (dir.path().join("a"), rustix::fs::XattrFlags::empty());
    rustix::fs::setxattr(path, name, b"else", flags).unwrap();
    let error = store.head(&key("a")).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("says no attributes"), "{cause}");
    store.put(&key("a"), "2").await.unwrap();
    assert!(store.head(&key("a")).await.unwrap().attributes.is_empty());
}

#[tokio::test]
async fn renames_take_objects_under_and_over_each_other() {
    let (dir, store) = fresh().await;
    store.put(&key("a"), "1").await.unwrap();
    store.rename(&key("a"), &key("a/b/c")).await.unwrap();
    assert_eq!(tree(dir.path()), ["a/", "a/b/", "a/b/c"]);
    store.rename(&key("a/b/c"), &key("a")).await.unwrap();
    assert_eq!(content(&store, "a").await.unwrap(), b"1");
    assert_eq!(all(&store).await, ["a"]);
    store.put(&key("d/e"), "2").await.unwrap();
    let create = CopyOptions::default()
        .remove_source(true)
        .mode(PutMode::Create);
    let refused = store.copy_opts(&key("a"), &key("d/e"), create).await;
    assert!(refused.unwrap_err().is_already_exists());
    // Two names of one file, by another program.
    fs::hard_link(dir.path().join("d/e"), dir.path().join("d/f")).unwrap();
    store.rename(&key("d/e"), &key("d/f")).await.unwrap();
    assert_eq!(all(&store).await, ["a", "d/f"]);
    assert_eq!(content(&store, "d/f").await.unwrap(), b"2");
    let missing = store.rename(&key("none"), &key("x/y")).await.unwrap_err();
    assert!(missing.is_not_found());
    assert!(!dir.path().join("x").exists());
}

#[tokio::test]
async fn empty_directories_of_others_are_no_folders() {
    let (dir, store) = fresh().await;
    fs::create_dir_all(dir.path().join("empty/er")).unwrap();
    fs::create_dir_all(dir.path().join("deep/er/still")).unwrap();
    fs::write(dir.path().join("deep/er/still/x"), "1").unwrap();
    fs::create_dir(dir.path().join("odd")).unwrap();
    fs::write(dir.path().join("odd/a."), "1").unwrap();
    let listing = store.list_folder("").map_ok(|item| item.to_string());
    assert_eq!(listing.try_collect::<Vec<_>>().await.unwrap(), ["deep/"]);
}
