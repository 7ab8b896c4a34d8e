//! The stores that never leave the machine, opened by configuration.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use storehouse::local::journal::Retention;
use storehouse::local::keystore::{Ed25519Key, ImportOptions, PutKey, import_piri_wallet};
use storehouse::{Config, Stores};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/local/tests/vectors");

fn in_directory(path: &Path) -> Config {
    let mut config = Config::default();
    config.repo.data_dir = Some(path.into());
    config
}

#[tokio::test]
async fn nothing_configured_is_memory_and_says_so() {
    let stores = Stores::open(&Config::default()).await.unwrap();
    let local = stores.local();
    assert_eq!(
        (local.data_dir(), local.to_string().as_str()),
        (None, "memory, gone with the process")
    );
    local
        .journal()
        .append(b"archive".as_slice().into())
        .await
        .unwrap();
    assert_eq!(local.journal().status().await.unwrap().frames, 1);
    let key = Ed25519Key::generate().unwrap();
    local
        .keys()
        .put(&"node".parse().unwrap(), &key.to_secret(), PutKey::Create)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_data_dir_of_piri() {
    let dir = tempfile::tempdir().unwrap();
    let journal_dir = dir.path().join("egress_tracker/journal");
    for (from, to) in [
        ("journal", &journal_dir),
        ("wallet", &dir.path().join("wallet")),
    ] {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(Path::new(VECTORS).join(from)).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
    let stores = Stores::open(&in_directory(dir.path())).await.unwrap();
    let local = stores.local();
    assert_eq!(local.data_dir(), Some(dir.path()));
    assert_eq!(local.journal_recovery(), &Default::default());
    assert_eq!(local.journal().pending().await.unwrap().len(), 2);
    let report = import_piri_wallet(
        dir.path().join("wallet"),
        &**local.keys(),
        ImportOptions::default(),
    )
    .await
    .unwrap();
    assert_eq!(report.imported.len(), 3);
    assert_eq!(
        fs::metadata(dir.path().join("keystore"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o700
    );
    drop(stores);

    // Opened again: what was torn is reported, and a directory that others may read is refused by
    // the setting's name.
    let open = journal_dir.join("egress.car.wip");
    let torn = fs::read(&open).unwrap();
    fs::write(&open, &torn[..torn.len() - 1]).unwrap();
    let stores = Stores::open(&in_directory(dir.path())).await.unwrap();
    assert!(stores.local().journal_recovery().torn > 0);
    assert_eq!(stores.local().keys().list().await.unwrap().len(), 3);
    drop(stores);
    fs::set_permissions(
        dir.path().join("keystore"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let error = Stores::open(&in_directory(dir.path())).await.unwrap_err();
    let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
    let chain: Vec<_> = chain.map(ToString::to_string).collect();
    assert!(chain[0].starts_with("repo.data_dir: "), "{chain:?}");
    assert!(
        chain.iter().any(|error| error.contains("chmod 700 ")),
        "{chain:?}"
    );
}

#[tokio::test]
async fn a_keystore_under_a_passphrase() {
    let dir = tempfile::tempdir().unwrap();
    let passphrase_file = dir.path().join("passphrase");
    fs::write(&passphrase_file, "mArKoFaSeCrEt\n").unwrap();
    let data_dir = dir.path().join("data");
    let config = |keystore: &str| {
        Config::from_toml(&format!(
            "[repo]\ndata_dir = {data_dir:?}\n[repo.keystore]\n{keystore}"
        ))
        .unwrap()
    };
    let (name, key) = ("node".parse().unwrap(), Ed25519Key::generate().unwrap());
    let stores = Stores::open(&config(&format!("passphrase_file = {passphrase_file:?}")))
        .await
        .unwrap();
    stores
        .local()
        .keys()
        .put(&name, &key.to_secret(), PutKey::Create)
        .await
        .unwrap();
    drop(stores);
    let file = fs::read(data_dir.join("keystore/node.key")).unwrap();
    assert!(
        !file
            .windows(32)
            .any(|window| window == &key.to_secret().expose()[..32]),
        "the key lies there as it is"
    );

    for (keystore, expected) in [
        ("passphrase = 'mArKoFaSeCrEt'", None),
        ("passphrase = 'mArKoFaSeCrEt 2'", Some("another passphrase")),
        ("", Some("none was given")),
    ] {
        let stores = Stores::open(&config(keystore)).await.unwrap();
        match (stores.local().keys().get(&name).await, expected) {
            (Ok(found), None) => {
                assert_eq!(Ed25519Key::from_secret(&found).unwrap().did(), key.did())
            }
            (Err(error), Some(expected)) => {
                assert!(error.to_string().contains(expected), "{error}")
            }
            (result, _) => panic!("{keystore}: {result:?}"),
        }
    }
    // A key that was stored before there was a passphrase is named, and sealed by a call.
    let (other, plain) = (
        "other".parse().unwrap(),
        Stores::open(&config("")).await.unwrap(),
    );
    plain
        .local()
        .keys()
        .put(&other, &key.to_secret(), PutKey::Create)
        .await
        .unwrap();
    assert!(plain.local().unsealed_keys().is_empty());
    drop(plain);
    let sealing = "passphrase = 'mArKoFaSeCrEt'";
    let allowing = format!("{sealing}\nallow_unsealed = true");
    let stores = Stores::open(&config(&allowing)).await.unwrap();
    stores.local().keys().get(&other).await.unwrap();
    drop(stores);
    let stores = Stores::open(&config(sealing)).await.unwrap();
    let local = stores.local();
    assert_eq!(local.unsealed_keys(), std::slice::from_ref(&other));
    assert!(local.keys().get(&other).await.is_err());
    assert_eq!(
        local.seal_unsealed_keys().await.unwrap(),
        std::slice::from_ref(&other)
    );
    local.keys().get(&other).await.unwrap();
    drop(stores);

    fs::remove_file(&passphrase_file).unwrap();
    let error = Stores::open(&config(&format!("passphrase_file = {passphrase_file:?}")))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("repo.keystore.passphrase_file: ") && error.contains("cannot be read"),
        "{error}"
    );
}

#[tokio::test]
async fn a_journal_as_configured() {
    let dir = tempfile::tempdir().unwrap();
    let journal = "rotate_bytes = 300\nsync = 'on_rotation'\nrotate_seconds = 5\nretain_bytes = 7";
    for data_dir in [
        "backend = \"memory\"".to_owned(),
        format!("data_dir = {:?}", dir.path()),
    ] {
        let config =
            Config::from_toml(&format!("[repo]\n{data_dir}\n[repo.journal]\n{journal}")).unwrap();
        let stores = Stores::open(&config).await.unwrap();
        let local = stores.local();
        assert!(
            local
                .journal()
                .append(vec![1; 100].into())
                .await
                .unwrap()
                .rotated
                .is_none()
        );
        assert_eq!(
            local.journal().status().await.unwrap().unsynced > 0,
            local.data_dir().is_some(),
            "nothing was synced"
        );
        assert!(
            local
                .journal()
                .append(vec![2; 200].into())
                .await
                .unwrap()
                .rotated
                .is_some()
        );
        let options = local.rotator_options();
        assert_eq!(
            (options.rotate_every.as_secs(), options.retention),
            (5, Retention::default().total_above(7))
        );
    }
}
