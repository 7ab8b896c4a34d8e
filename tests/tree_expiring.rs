//! Stores whose objects expire, written in a configuration.

use std::time::{Duration, SystemTime};

use storehouse::objectstore::{Attributes, Key, ObjectStore, ObjectStoreExt, PutOptions};
use storehouse::{Config, Stores, describe};

#[tokio::test]
async fn a_store_whose_objects_expire() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::from_toml(&format!(
        "repo.data_dir = {data:?}
         [stores]
         disk = {{ type = 'flatfs', path = {disk:?} }}
         short = {{ type = 'expiring', default_ttl = '1 h', sweep_every = '20 ms', store = {{ type = 'attribute', store = 'disk' }} }}",
        data = dir.path().join("data"),
        disk = dir.path().join("disk"),
    ))
    .unwrap();
    let shown = describe(&config).unwrap().to_string();
    let wanted = "stores.short  expiring, swept every 20ms, 1h unless told (create, replace,";
    assert!(shown.contains(wanted), "{shown}");
    let stores = Stores::open(&config).await.unwrap();
    let (short, disk) = (
        stores.named("short").unwrap(),
        stores.named("disk").unwrap(),
    );
    let (hour, soon) = (Key::new("hour").unwrap(), Key::new("soon").unwrap());
    let before = SystemTime::now();
    short.put(&hour, "for an hour").await.unwrap();
    let expires = short.head(&hour).await.unwrap().attributes.expires();
    assert!(expires.unwrap() >= before + Duration::from_secs(3599));
    let at = SystemTime::now() + Duration::from_millis(1);
    let options = PutOptions::default().attributes(Attributes::default().with_expires(at));
    short
        .put_opts(&soon, "gone soon".into(), options)
        .await
        .unwrap();
    while disk.exists(&soon).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!short.exists(&soon).await.unwrap());
    assert_eq!(short.get_bytes(&hour, 99).await.unwrap(), "for an hour");
    stores.close().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_said() {
    let error = |settings: &str| {
        let text = format!("stores.a = {{ type = 'expiring', {settings} }}");
        Config::from_toml(&text)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        error("default_ttl = '0 s', store = { type = 'memory' }"),
        "stores.a.default_ttl: is no time at all"
    );
    assert_eq!(
        error("sweep_every = '0 s', store = { type = 'memory' }"),
        "stores.a.sweep_every: is no time at all"
    );
    let said = error("sweep = '1 s', store = { type = 'memory' }");
    assert!(
        said.starts_with("stores.a.sweep: is no setting of this store"),
        "{said}"
    );

    let dir = tempfile::tempdir().unwrap();
    let config = Config::from_toml(&format!(
        "repo.data_dir = {data:?}
         stores.a = {{ type = 'expiring', store = {{ type = 'flatfs', path = {disk:?} }} }}",
        data = dir.path().join("data"),
        disk = dir.path().join("disk"),
    ))
    .unwrap();
    let error = Stores::open(&config).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.to_string(), "stores.a: cannot be opened");
    assert!(cause.contains("AttributeStore"), "{cause}");
}
