//! Putting, getting, listing and deleting, in files and in memory.

use std::fs;

use storehouse_local::keystore::{
    FileKeyStore, KeyName, KeyStore, MAX_KEY, MemoryKeyStore, PutKey,
};
use storehouse_local::{Error, Secret};

use crate::support::{key, name, show, store};

async fn behaves(keys: &dyn KeyStore) {
    assert!(keys.list().await.unwrap().is_empty());
    let error = keys.get(&name("a")).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    show(&error);
    keys.delete(&name("a")).await.unwrap();

    keys.put(&name("b"), &key(1), PutKey::Create).await.unwrap();
    keys.put(&name("a"), &key(2), PutKey::Replace)
        .await
        .unwrap();
    keys.put(&name("B"), &key(3), PutKey::Create).await.unwrap();
    assert_eq!(keys.list().await.unwrap(), ["B", "a", "b"].map(name));
    assert!(keys.has(&name("b")).await.unwrap() && !keys.has(&name("c")).await.unwrap());

    let error = keys
        .put(&name("b"), &key(4), PutKey::Create)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::KeyExists { name } if name == "b"),
        "{error:?}"
    );
    show(&error);
    assert_eq!(
        keys.get(&name("b")).await.unwrap().expose(),
        key(1).expose()
    );
    keys.put(&name("b"), &key(4), PutKey::Replace)
        .await
        .unwrap();
    assert_eq!(
        keys.get(&name("b")).await.unwrap().expose(),
        key(4).expose()
    );

    for size in [1, 64, 2048, MAX_KEY] {
        keys.put(&name("size"), &vec![7; size].into(), PutKey::Replace)
            .await
            .unwrap();
        assert_eq!(
            keys.get(&name("size")).await.unwrap().expose(),
            vec![7; size]
        );
    }
    for size in [0, MAX_KEY + 1] {
        let error = keys
            .put(&name("size"), &vec![7; size].into(), PutKey::Replace)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::InvalidKey { .. }), "{error:?}");
    }
    keys.delete(&name("size")).await.unwrap();
    keys.delete(&name("B")).await.unwrap();
    assert_eq!(keys.list().await.unwrap(), ["a", "b"].map(name));
}

#[tokio::test]
async fn in_files_and_in_memory() {
    let (_dir, keys) = store().await;
    behaves(&keys).await;
    behaves(&MemoryKeyStore::new()).await;
    let again = FileKeyStore::open(keys.path(), Default::default())
        .await
        .unwrap();
    assert_eq!(
        again.get(&name("b")).await.unwrap().expose(),
        key(4).expose()
    );
}

#[test]
fn names() {
    let longest = "a".repeat(128);
    for good in [
        "default",
        "0xA1b2C3",
        "_",
        "a.b",
        "a..b",
        "did:key:z6Mk+=@-_",
        &longest,
    ] {
        assert_eq!(good.parse::<KeyName>().unwrap().as_str(), good);
    }
    let too_long = "a".repeat(129);
    for bad in [
        "", ".", "..", ".a", "-a", "a/b", "/a", "../a", "a\\b", "a b", "a\0", "a\n", "ä", "a'b",
        "a$b", &too_long,
    ] {
        let error = bad.parse::<KeyName>().unwrap_err();
        assert!(matches!(error, Error::InvalidName { .. }), "{bad:?}");
        assert!(error.to_string().len() < 300);
    }
}

/// Of many who create one name at once, in one process or several, one does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_creates() {
    let (_dir, keys) = store().await;
    let puts: Vec<_> = (0..20)
        .map(|n| {
            let path = keys.path().to_owned();
            tokio::spawn(async move {
                let keys = FileKeyStore::open(path, Default::default()).await.unwrap();
                keys.put(&name("one"), &key(n), PutKey::Create)
                    .await
                    .map(|()| n)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for put in puts {
        match put.await.unwrap() {
            Ok(n) => winners.push(n),
            Err(error) => assert!(matches!(error, Error::KeyExists { .. }), "{error:?}"),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(
        keys.get(&name("one")).await.unwrap().expose(),
        key(winners[0]).expose()
    );
    assert_eq!(fs::read_dir(keys.path()).unwrap().count(), 1);
}

/// A crash leaves a temporary file; it is no key, and the next opening removes it. Other files are
/// left alone.
#[tokio::test]
async fn what_a_crash_leaves() {
    let (_dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    fs::write(keys.path().join(".new-0123456789abcdef"), b"half").unwrap();
    fs::write(keys.path().join("README"), b"not ours").unwrap();
    fs::write(keys.path().join("-x.key"), b"not ours").unwrap();
    assert_eq!(keys.list().await.unwrap(), [name("a")]);
    let keys = FileKeyStore::open(keys.path(), Default::default())
        .await
        .unwrap();
    assert!(!keys.path().join(".new-0123456789abcdef").exists());
    assert!(keys.path().join("README").exists());
    assert_eq!(keys.list().await.unwrap(), [name("a")]);
}

/// A put that fails leaves nothing behind, and the key as it was.
#[tokio::test]
async fn a_failed_put() {
    let (_dir, keys) = store().await;
    fs::create_dir(keys.path().join("a.key")).unwrap();
    let error = keys
        .put(&name("a"), &key(1), PutKey::Replace)
        .await
        .unwrap_err();
    show(&error);
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
    assert_eq!(fs::read_dir(keys.path()).unwrap().count(), 1);
    let error = keys.get(&name("a")).await.unwrap_err();
    assert!(matches!(error, Error::FileKind { .. }), "{error:?}");
}

#[tokio::test]
async fn damage_is_found() {
    let (_dir, keys) = store().await;
    keys.put(&name("a"), &key(1), PutKey::Create).await.unwrap();
    let path = keys.path().join("a.key");
    let whole = fs::read(&path).unwrap();
    let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|cut| whole[..cut].to_vec()).collect();
    broken.extend((0..whole.len()).map(|at| {
        let mut file = whole.clone();
        file[at] ^= 4;
        file
    }));
    broken.push([&whole[..], b"x"].concat());
    for file in broken {
        fs::write(&path, &file).unwrap();
        let error = keys.get(&name("a")).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
        show(&error);
    }
    fs::write(&path, vec![0; 1 << 20]).unwrap();
    assert!(matches!(
        keys.get(&name("a")).await,
        Err(Error::Damaged { .. })
    ));
}

#[test]
fn secrets_do_not_print() {
    let secret: Secret = key(1);
    assert_eq!(format!("{secret:?} {secret:#?}"), "[redacted] [redacted]");
}
