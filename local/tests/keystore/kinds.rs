//! What is not a private file or directory of this user is refused, and nothing hangs.

use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use storehouse_local::keystore::{FileKeyStore, FileKeyStoreOptions, KeyStore, PutKey};
use storehouse_local::{Error, Result};

use crate::support::{key, mode, name, passphrase, sealing, set_mode, show, store};

fn fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
}

async fn soon<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(Duration::from_secs(10), work)
        .await
        .expect("nothing hangs")
}

/// The kind that an error names.
fn kind<T: std::fmt::Debug>(result: Result<T>) -> &'static str {
    match result {
        Err(error @ Error::FileKind { found, .. }) => {
            show(&error);
            found
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_no_regular_file_is_refused_at_once() {
    let (dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let place = |name: &str| keys.path().join(format!("{name}.key"));
    fifo(&place("fifo"));
    let _socket = UnixListener::bind(place("socket")).unwrap();
    symlink(place("a"), place("link")).unwrap();
    symlink("/dev/zero", place("device")).unwrap();
    symlink(dir.path().join("nothing"), place("dangling")).unwrap();
    fs::create_dir(place("directory")).unwrap();
    for (key, expected) in [
        ("fifo", "a FIFO"),
        ("socket", "a socket"),
        ("link", "a symbolic link"),
        ("device", "a symbolic link"),
        ("dangling", "a symbolic link"),
        ("directory", "a directory"),
    ] {
        assert_eq!(kind(soon(keys.get(&name(key))).await), expected);
    }
    // They do not keep the store from opening, with a passphrase either.
    for options in [FileKeyStoreOptions::default(), sealing(passphrase(1))] {
        soon(FileKeyStore::open(keys.path(), options))
            .await
            .unwrap();
    }
    // Replaced and deleted, a link loses itself and not what it names.
    for link in ["link", "device"] {
        keys.put(&name(link), &key(2), PutKey::Replace)
            .await
            .unwrap();
        assert!(fs::symlink_metadata(place(link)).unwrap().is_file());
    }
    soon(keys.delete(&name("dangling"))).await.unwrap();
    soon(keys.delete(&name("fifo"))).await.unwrap();
    assert_eq!(
        keys.get(&name("a")).await.unwrap().expose(),
        key(1).expose()
    );
}

#[tokio::test]
async fn what_is_no_directory_is_refused_at_once() {
    let (dir, keys) = store().await;
    let path = |name: &str| dir.path().join(name);
    fifo(&path("fifo"));
    symlink(keys.path(), path("link")).unwrap();
    fs::write(path("file"), b"").unwrap();
    for (place, expected) in [
        ("fifo", "a FIFO"),
        ("link", "a symbolic link"),
        ("file", "a regular file"),
    ] {
        let opened = soon(FileKeyStore::open(path(place), Default::default())).await;
        assert_eq!(kind(opened), expected);
    }
    // A parent may be a link, as `/var/run` is.
    symlink(dir.path(), path("parent")).unwrap();
    let keys = FileKeyStore::open(path("parent").join("keystore"), Default::default())
        .await
        .unwrap();
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
}

/// Leftovers that are no files stay, and are no obstacle.
#[tokio::test]
async fn a_directory_with_a_temporary_name() {
    let (_dir, keys) = store().await;
    fs::create_dir(keys.path().join(".new-x")).unwrap();
    symlink("/nonexistent", keys.path().join(".new-y")).unwrap();
    FileKeyStore::open(keys.path(), Default::default())
        .await
        .unwrap();
    assert!(keys.path().join(".new-x").is_dir());
    assert!(fs::symlink_metadata(keys.path().join(".new-y")).is_err());
}

/// Another owner is refused by name. Only root can give a file away, so without it the check is
/// shown on a directory of root's.
#[tokio::test]
async fn another_owner_is_refused() {
    if !rustix::process::geteuid().is_root() {
        let error = FileKeyStore::open("/", Default::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::ForeignOwner { owner: 0, .. }),
            "{error:?}"
        );
        return;
    }
    let (_dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let file = keys.path().join("a.key");
    chown(&file, Some(12_345), None).unwrap();
    let error = keys.get(&name("a")).await.unwrap_err();
    show(&error);
    let Error::ForeignOwner {
        owner, user, fix, ..
    } = &error
    else {
        panic!("{error:?}")
    };
    assert_eq!((*owner, *user), (12_345, 0));
    assert!(
        fix.starts_with("chown 0 '") && error.to_string().contains(fix),
        "{error}"
    );
    chown(&file, Some(0), None).unwrap();
    keys.get(&name("a")).await.unwrap();

    chown(keys.path(), Some(12_345), None).unwrap();
    for error in [
        keys.get(&name("a")).await.unwrap_err(),
        keys.put(&name("b"), &key(1), PutKey::Create)
            .await
            .unwrap_err(),
        keys.list().await.unwrap_err(),
        keys.delete(&name("a")).await.unwrap_err(),
        FileKeyStore::open(keys.path(), Default::default())
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(error, Error::ForeignOwner { .. }), "{error:?}");
    }
}

/// As Kubernetes makes a volume with `fsGroup`: the group may use everything, others nothing.
#[tokio::test]
async fn access_for_the_group_is_refused_unless_allowed() {
    let (_dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let file = keys.path().join("a.key");
    set_mode(&file, 0o660);
    set_mode(keys.path(), 0o2770);
    let error = FileKeyStore::open(keys.path(), Default::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Exposed { mode: 0o2770, .. }),
        "{error:?}"
    );

    let options = FileKeyStoreOptions::default().allow_group_access(true);
    let group = FileKeyStore::open(keys.path(), options).await.unwrap();
    assert_eq!(
        group.get(&name("a")).await.unwrap().expose(),
        key(1).expose()
    );
    group
        .put(&name("b"), &key(2), PutKey::Create)
        .await
        .unwrap();
    assert_eq!(mode(&keys.path().join("b.key")), 0o600);

    set_mode(&file, 0o664);
    let error = group.get(&name("a")).await.unwrap_err();
    assert!(
        matches!(error, Error::Exposed { mode: 0o664, .. }),
        "{error:?}"
    );
    set_mode(keys.path(), 0o2775);
    let error = group.list().await.unwrap_err();
    assert!(
        matches!(error, Error::Exposed { mode: 0o2775, .. }),
        "{error:?}"
    );
}
