//! Stores that encrypt, written in a configuration.

use storehouse::local::keystore::PutKey;
use storehouse::objectstore::{Key, ObjectStoreExt};
use storehouse::{Config, Stores, describe};

/// Keys come from a file or from the keystore, and are in no text.
#[tokio::test]
async fn a_store_that_encrypts() {
    let dir = tempfile::tempdir().unwrap();
    let (file, data) = (dir.path().join("keys"), dir.path().join("data"));
    let (old, new) = ("cd".repeat(32), "ef".repeat(32));
    std::fs::write(&file, format!("2025 {old}\n")).unwrap();
    let text = |keys: &str| {
        Config::from_toml(&format!(
            "repo.data_dir = {data:?}
             [stores]
             disk = {{ type = 'fs', path = {disk:?} }}
             sealed = {{ type = 'encrypted', {keys}, store = 'disk' }}",
            disk = dir.path().join("disk"),
        ))
    };
    let key = Key::new("k").unwrap();
    let by_file = text(&format!("keys_file = {file:?}")).unwrap();
    let shown = format!("{by_file:?} {}", describe(&by_file).unwrap());
    assert!(!shown.contains("cdcd") && !shown.contains("known once"));
    let stores = Stores::open(&by_file).await.unwrap();
    let sealed = stores.named("sealed").unwrap();
    sealed.put(&key, "the secret").await.unwrap();
    let disk = stores.named("disk").unwrap();
    let stored = disk.get_bytes(&key, 1 << 20).await.unwrap();
    assert!(!stored.windows(6).any(|part| part == b"secret"));

    // The same key in the keystore, and a newer one.
    let keys = stores.local().keys();
    for (name, byte) in [("2025", 0xcd), ("2026", 0xef)] {
        let secret = vec![byte; 32].into();
        keys.put(&name.parse().unwrap(), &secret, PutKey::Create)
            .await
            .unwrap();
    }
    let short = "too short".into();
    keys.put(&"short".parse().unwrap(), &short, PutKey::Create)
        .await
        .unwrap();
    stores.close().await.unwrap();
    let by_store = text("keys = ['2026', '2025']").unwrap();
    let stores = Stores::open(&by_store).await.unwrap();
    let sealed = stores.named("sealed").unwrap();
    assert_eq!(sealed.get_bytes(&key, 99).await.unwrap(), "the secret");
    sealed.put(&key, "anew").await.unwrap();
    stores.close().await.unwrap();
    let stores = Stores::open(&by_file).await.unwrap();
    let error = stores.named("sealed").unwrap().get(&key).await.unwrap_err();
    assert!(error.to_string().contains("\"2026\""), "{error}");
    stores.close().await.unwrap();

    for (keys, wanted) in [
        (
            "keys = ['2027']",
            "stores.sealed.keys: names \"2027\", which the keystore does not give",
        ),
        (
            "keys = ['short']",
            "stores.sealed.keys: names \"short\", which has 9 bytes, not 32",
        ),
        (
            "keys_file = '/no/such/file'",
            "stores.sealed.keys_file: cannot be used",
        ),
    ] {
        let error = Stores::open(&text(keys).unwrap()).await.unwrap_err();
        assert_eq!(error.to_string(), wanted);
    }
    for (keys, wanted) in [
        ("keys = []", "stores.sealed.keys: no name is in it"),
        (
            "keys = ['a', 'a']",
            "stores.sealed.keys: two keys have the id \"a\"",
        ),
        (
            "keys = ['seventeen-letters']",
            "stores.sealed.keys: \"seventeen-letters\" is no id of a key: 1 to 16 ASCII letters, digits, - or _",
        ),
        (
            "keys = ['../a']",
            "stores.sealed.keys: \"../a\" is no key's name",
        ),
        (
            "keys = ['a'], keys_file = '/x'",
            "stores.sealed.keys_file: is set beside keys; leave one out",
        ),
        (
            "operations = 1",
            "stores.sealed.operations: is no setting of this store; its settings are keys, keys_file, store",
        ),
    ] {
        assert_eq!(text(keys).unwrap_err().to_string(), wanted);
    }
    let in_memory = Config::from_toml(
        "stores.a = { type = 'encrypted', keys = ['x'], store = { type = 'memory' } }",
    );
    let error = Stores::open(&in_memory.unwrap()).await.unwrap_err();
    assert!(
        error.to_string().ends_with("repo.data_dir is not set"),
        "{error}"
    );
    assert!(!format!("{error:?}").contains(&new));
}
