//! Keys of a Piri node.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use storehouse_local::keystore::{
    Ed25519Key, ImportOptions, KeyStore, MemoryKeyStore, PutKey, import_piri_wallet,
};
use storehouse_local::{Error, Secret};

use crate::support::{key, name, show, store};

fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors")
}

fn expected() -> BTreeMap<String, Secret> {
    let index: serde_json::Value =
        serde_json::from_slice(&fs::read(vectors().join("index.json")).unwrap()).unwrap();
    let unhex = |hex: &str| {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
            .collect::<Vec<_>>()
    };
    let keys = index["keystore"].as_array().unwrap();
    keys.iter()
        .map(|key| {
            (
                key["name"].as_str().unwrap().to_owned(),
                unhex(key["bytes"].as_str().unwrap()).into(),
            )
        })
        .collect()
}

fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let file = |path: PathBuf| {
        (
            path.clone(),
            (
                fs::read(&path).unwrap(),
                fs::metadata(&path).unwrap().modified().unwrap(),
            ),
        )
    };
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| file(entry.unwrap().path()))
        .collect()
}

#[tokio::test]
async fn all_keys_once_and_the_database_as_it_was() {
    let wallet = vectors().join("wallet");
    let before = snapshot(&wallet);
    let (_dir, keys) = store().await;

    let dry = import_piri_wallet(&wallet, &keys, ImportOptions::default().dry_run(true))
        .await
        .unwrap();
    assert_eq!(
        (dry.imported.len(), dry.present.len(), dry.others),
        (3, 0, 0)
    );
    assert!(keys.list().await.unwrap().is_empty());

    let first = import_piri_wallet(&wallet, &keys, ImportOptions::default())
        .await
        .unwrap();
    assert_eq!(first, dry);
    for (name_, key) in expected() {
        assert_eq!(
            keys.get(&name(&name_)).await.unwrap().expose(),
            key.expose()
        );
    }
    let again = import_piri_wallet(&wallet, &keys, ImportOptions::default())
        .await
        .unwrap();
    assert_eq!(
        (again.imported.len(), again.present, again.others),
        (0, first.imported, 0)
    );
    assert_eq!(snapshot(&wallet), before);

    // A key is bytes: 32 of them can be a seed, the 64 of `second` are made up and no key pair.
    Ed25519Key::from_secret(&keys.get(&name("default")).await.unwrap()).unwrap();
    show(&Ed25519Key::from_secret(&keys.get(&name("second")).await.unwrap()).unwrap_err());
}

#[tokio::test]
async fn another_key_of_the_same_name_stops_it_before_it_begins() {
    let keys = MemoryKeyStore::new();
    keys.put(&name("second"), &key(1), PutKey::Create)
        .await
        .unwrap();
    for dry_run in [true, false] {
        let error = import_piri_wallet(
            vectors().join("wallet"),
            &keys,
            ImportOptions::default().dry_run(dry_run),
        )
        .await
        .unwrap_err();
        assert!(
            matches!(&error, Error::ImportConflict { name } if name == "second"),
            "{error:?}"
        );
        show(&error);
        assert_eq!(keys.list().await.unwrap(), [name("second")]);
    }
    // An import that was interrupted goes on where it was.
    keys.put(&name("second"), &expected()["second"], PutKey::Replace)
        .await
        .unwrap();
    let report = import_piri_wallet(vectors().join("wallet"), &keys, ImportOptions::default())
        .await
        .unwrap();
    assert_eq!((report.imported.len(), report.present.len()), (2, 1));
}

#[tokio::test]
async fn other_records_are_counted_and_no_database_is_an_error() {
    let keys = MemoryKeyStore::new();
    let report = import_piri_wallet(vectors().join("claim"), &keys, ImportOptions::default())
        .await
        .unwrap();
    assert_eq!((report.imported.len(), report.others), (0, 24));
    let empty = tempfile::tempdir().unwrap();
    for missing in [empty.path().to_owned(), empty.path().join("nowhere")] {
        let error = import_piri_wallet(missing, &keys, ImportOptions::default())
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error:?}");
        show(&error);
    }
}
