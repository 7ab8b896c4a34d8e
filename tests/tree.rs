//! Stores that chain, written in a configuration.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt};
use storehouse::objectstore::{Key, ListOptions, ObjectStore, ObjectStoreExt};
use storehouse::{Config, StoreTypes, Stores, describe};

fn error(toml: &str) -> String {
    Config::from_toml(toml).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_named_by_its_path() {
    for (toml, wanted) in [
        (
            "[stores.a]\npath = '/x'",
            "stores.a.type: is not set; it says what the store is, like \"memory\"",
        ),
        (
            "stores.a = 'memory'",
            "stores.a: is no table; a store has a type and settings",
        ),
        ("[stores.a]\ntype = 3", "stores.a.type: is no text"),
        (
            "[stores.a]\ntype = 'limit'\noperations = 1\nstore = 'neer'\n[stores.near]\ntype = 'memory'",
            "stores.a.store: is \"neer\", which is no store of the section [stores]; did you mean \"near\"?",
        ),
        (
            "[stores.a]\ntype = 'limit'\noperations = 1\nstore = { type = 'prefix', prefix = 'x', store = { type = 'flatfs', pth = '/x' } }",
            "stores.a.store.store.pth: is no setting of this store; did you mean \"path\"?; its settings are log, path",
        ),
        (
            "[stores.a]\ntype = 'limit'\noperations = 'many'\nstore = 'a'",
            "stores.a.operations: invalid type: string, expected usize",
        ),
        (
            "[stores.a]\ntype = 'limit'\nstore = 'a'",
            "stores.a: missing field `operations`",
        ),
        (
            "[stores.a]\ntype = 'limit'\noperations = 0\nstore = 'a'",
            "stores.a.operations: is 0; nothing could go on",
        ),
        (
            "[stores.a]\ntype = 'dedup'\nindex = 'a'",
            "stores.a.chunks: is not set; set \"index\" and \"chunks\", or \"store\" for both",
        ),
        (
            "[stores.a]\ntype = 'dedup'",
            "stores.a.index: is not set; set \"index\" and \"chunks\", or \"store\" for both",
        ),
        (
            "[stores.a]\ntype = 'dedup'\nstore = 'a'\nchunks = 'a'",
            "stores.a.store: is one store for all; set either it, or \"index\" and \"chunks\"",
        ),
        (
            "[stores.a]\ntype = 's3'\nendpoint = 'https://s3.example.com'",
            "stores.a.bucket: is not set",
        ),
        (
            "[stores.a]\ntype = 'limit'\noperations = 1\nstore = 'b'\n[stores.b]\ntype = 'prefix'\nprefix = 'x'\nstore = 'a'",
            "stores.a: is over itself: a over b over a",
        ),
        (
            "[stores.a]\ntype = 'redb'\npath = '/data/x'\n[stores.b]\ntype = 'flatfs'\npath = '/data/x/../x'",
            "",
        ),
        (
            "[stores.a]\ntype = 'flatfs'\npath = '/data/x'\n[stores.b]\ntype = 'flatfs'\npath = '/data/x/y'",
            "stores.b: /data/x/y and /data/x, where stores.a lies, are one directory or one within the other; name the store to use it twice",
        ),
        (
            "[repo]\ndata_dir = '/data'\n[repo.stores.blobs]\nstore = 'a'",
            "repo.stores.blobs.store: is \"a\", and the section [stores] has no store",
        ),
        (
            "[repo]\ndata_dir = '/data'\n[repo.stores.blobs]\nstore = 'a'\npath = '/x'\n[stores.a]\ntype = 'memory'",
            "repo.stores.blobs.path: is set beside store, which says all of it; leave one out",
        ),
    ] {
        if !wanted.is_empty() {
            assert_eq!(error(toml), wanted, "{toml}");
        }
    }
    let unknown = error("[stores.a]\ntype = 'memry'");
    assert!(
        unknown.starts_with("stores.a.type: is \"memry\", which is no type of store; did you mean \"memory\"?; the types are "),
        "{unknown}"
    );
    let many = error("[stores.a]\ntype = 's3'\nbucket = 'b'\nendpoit = 'x'");
    assert!(
        many.starts_with(
            "stores.a.endpoit: is no setting of this store; did you mean \"endpoint\"?"
        ),
        "{many}"
    );
    assert!(!many.contains("bucket_prefix"), "{many}");
}

/// A text of any depth is refused, and none uses up the stack.
#[test]
fn depth_is_bounded_in_tables_and_by_names() {
    let mut nested = "{ type = 'memory' }".to_owned();
    for _ in 0..40 {
        nested = format!("{{ type = 'limit', operations = 1, store = {nested} }}");
    }
    let said = error(&format!("stores.a = {nested}"));
    assert!(said.contains("more than 32 stores"), "{said}");
    let mut chain = "[stores.s0]\ntype = 'memory'\n".to_owned();
    for at in 1..2000 {
        chain += &format!(
            "[stores.s{at}]\ntype = 'limit'\noperations = 1\nstore = 's{}'\n",
            at - 1
        );
    }
    let said = error(&chain);
    assert!(
        said.contains("more than 32 stores over each other"),
        "{said}"
    );
}

/// A tree of names that share stores has few nodes and many ways through; checking it takes no
/// longer for that.
#[test]
fn shared_names_cost_no_more_than_their_number() {
    let mut text = "[stores.s0]\ntype = 'memory'\n".to_owned();
    let types = StoreTypes::default()
        .register("both", |settings| {
            #[derive(serde::Deserialize)]
            struct Both {
                left: storehouse::StoreRef,
                right: storehouse::StoreRef,
            }
            let Both { left, right } = settings.read()?;
            let below = [("left".to_owned(), left), ("right".to_owned(), right)];
            Ok(storehouse::StorePlan::over(below, |mut stores| {
                Ok::<_, storehouse::objectstore::BoxError>(stores.remove(0))
            }))
        })
        .unwrap();
    for at in 1..30 {
        let below = at - 1;
        text += &format!("[stores.s{at}]\ntype = 'both'\nleft = 's{below}'\nright = 's{below}'\n");
    }
    text += "[repo.stores.blobs]\nstore = 's29'\n";
    let config = Config::from_toml_with(&text, &types).unwrap();
    let shown = describe(&config).unwrap().to_string();
    assert_eq!(shown.lines().count(), 6 + 1 + 29 * 3);
}

#[tokio::test]
async fn a_named_store_is_opened_once_for_all_that_name_it() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::from_toml(&format!(
        "[repo]
         data_dir = {data:?}
         [repo.stores]
         receipts = {{ store = 'few' }}
         blobs = {{ store = 'near' }}
         [stores]
         near = {{ type = 'flatfs', path = {near:?} }}
         few = {{ type = 'limit', operations = 2, store = {{ type = 'prefix', prefix = 'r/', store = 'all' }} }}
         all = {{ type = 'memory' }}",
        data = dir.path().join("data"),
        near = dir.path().join("near"),
    ))
    .unwrap();
    let stores = Stores::open(&config).await.unwrap();
    let key = Key::new("a").unwrap();
    stores
        .named("few")
        .unwrap()
        .put(&key, "here")
        .await
        .unwrap();
    let all = stores.named("all").unwrap();
    let read = all.get(&Key::new("r/a").unwrap()).await.unwrap();
    assert_eq!(read.body.collect(9).await.unwrap(), "here");
    let digest =
        storehouse::blobstore::Digest::of(storehouse::blobstore::HashFunction::Sha2_256, b"hello");
    stores.blobs().put(&digest, "hello").await.unwrap();
    // Under Piri's key, because it lies in a flatfs directory.
    let listed = std::fs::read_dir(dir.path().join("near"))
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().path().is_dir())
        .count();
    assert!(listed > 0);
    assert!(
        stores
            .blobs()
            .key(&digest)
            .unwrap()
            .as_str()
            .starts_with("ciq")
    );
    stores.close().await.unwrap();
    assert!(all.get(&key).await.is_err(), "closed with the rest");
    // All was released.
    Stores::open(&config).await.unwrap().close().await.unwrap();
}

#[test]
fn variables_stand_for_text_alone() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    std::fs::write(
        &file,
        "[stores.a]\ntype = 's3'\nendpoint = '${HOST}'\nbucket = '${BUCKET:-blobs}'\n\
         credentials = { access_key_id = 'id', secret_access_key = '${SECRET}' }\n",
    )
    .unwrap();
    let with = |vars: &[(&str, &str)]| {
        let vars = vars
            .iter()
            .map(|(name, held)| ((*name).to_owned(), (*held).to_owned()));
        Config::with_env(Some(&file), vars)
    };
    let said = with(&[("HOST", "h:9000")]).unwrap_err().to_string();
    assert_eq!(
        said,
        "stores.a.credentials.secret_access_key: needs the environment variable SECRET, which is not set"
    );
    let config = with(&[("HOST", "h:9000"), ("SECRET", "hunter2'\n[x]")]).unwrap();
    let shown = format!("{config:?} {}", describe(&config).unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn a_description_shows_the_tree_and_no_secret() {
    let config = Config::from_toml(
        "[repo]
         data_dir = '/data'
         [repo.stores.blobs]
         store = 'blobs'
         [stores.blobs]
         type = 'limit'
         operations = 8
         store = { type = 'prefix', prefix = 'node/', store = 'bucket' }
         [stores.bucket]
         type = 's3'
         endpoint = 'http://127.0.0.1:9'
         bucket = 'big'
         credentials = { access_key_id = 'AK', secret_access_key = 'hunter2' }",
    )
    .unwrap();
    let shown = describe(&config).unwrap().to_string();
    let wanted = "\
blobs         the store \"blobs\"
allocations   redb at /data/records
acceptances   redb at /data/records
delegations   redb at /data/records
receipts      redb at /data/records
consolidations  redb at /data/records
stores.blobs  limit, 8 at once (create, replace, ordered by key, remote, verifies SHA-256)
└─ store  prefix, \"node/\" (create, replace, ordered by key, remote, verifies SHA-256)
   └─ store  the store \"bucket\"
stores.bucket  s3, bucket big at http://127.0.0.1:9 (create, replace, ordered by key, remote, verifies SHA-256)
";
    assert_eq!(shown, wanted);
    let all: BTreeMap<_, _> = config.stores.names().map(|name| (name, ())).collect();
    assert_eq!(all.len(), 2);
}

/// Editors complete a configuration with this file. `UPDATE_SCHEMA=1` writes it anew.
#[test]
fn the_schema_in_the_docs_is_that_of_the_code() {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/docs/reference/config.schema.json"
    );
    let text = serde_json::to_string_pretty(&storehouse::config_schema()).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(file, &text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        text,
        "UPDATE_SCHEMA=1 writes it anew"
    );
    for name in StoreTypes::default().names() {
        assert!(text.contains(&format!("\"const\": \"{name}\"")), "{name}");
    }
}

#[tokio::test]
async fn tiers_over_a_compressed_store() {
    let config = Config::from_toml(
        "repo.backend = 'memory'
         [stores]
         near = { type = 'memory' }
         far = { type = 'memory' }
         blobs = { type = 'tiered', write_fast = 'on_get', fast = 'near', slow = { type = 'compressed', level = 1, store = 'far' } }",
    )
    .unwrap();
    let stores = Stores::open(&config).await.unwrap();
    let key = Key::new("k").unwrap();
    let blobs = stores.named("blobs").unwrap();
    blobs.put(&key, "x".repeat(100_000)).await.unwrap();
    let head = |name: &str| {
        let store = stores.named(name).unwrap().clone();
        async move {
            store
                .head(&Key::new("k").unwrap())
                .await
                .map(|found| found.size)
        }
    };
    assert!(head("near").await.is_err());
    assert!(head("far").await.unwrap() < 1000, "compressed");
    assert_eq!(blobs.get_bytes(&key, 1 << 20).await.unwrap().len(), 100_000);
    assert_eq!(blobs.head(&key).await.unwrap().size, 100_000);
    stores.close().await.unwrap();
}

#[tokio::test]
async fn the_same_bytes_once() {
    for over in [
        "store = 'base'",
        "index = { type = 'memory' }, chunks = { type = 'prefix', prefix = 'chunk-', store = 'base' }",
    ] {
        let config = Config::from_toml(&format!(
            "repo.backend = 'memory'
             [stores]
             base = {{ type = 'memory' }}
             blobs = {{ type = 'dedup', chunk_size = '64 KiB', inline = '1 KiB', grace = '1 min', collect_every = '6 h', {over} }}"
        ))
        .unwrap();
        let shown = describe(&config).unwrap().to_string();
        assert!(shown.contains("chunks of 64.0 KiB on average"), "{shown}");
        let stores = Stores::open(&config).await.unwrap();
        let blobs = stores.named("blobs").unwrap();
        for name in ["a", "b"] {
            let content = vec![b'x'; 50_000];
            let key = Key::new(name).unwrap();
            blobs.put(&key, content.clone()).await.unwrap();
            assert_eq!(blobs.get_bytes(&key, 50_000).await.unwrap(), content);
        }
        let base = stores.named("base").unwrap();
        let chunks = base.list_prefix("chunk-").try_collect::<Vec<_>>().await;
        assert_eq!(chunks.unwrap().len(), 1);
        stores.close().await.unwrap();
    }
}

#[test]
fn collections_every_day_or_never() {
    let shown = |every: &str| {
        let config = Config::from_toml(&format!(
            "repo.backend = 'memory'
             [stores]
             base = {{ type = 'memory' }}
             blobs = {{ type = 'dedup', {every} store = 'base' }}"
        ));
        config.and_then(|config| describe(&config).map(|shown| shown.to_string()))
    };
    for every in ["", "collect_every = '1 h',"] {
        assert!(!shown(every).unwrap().contains("never"));
    }
    for every in ["never", " Never"] {
        let shown = shown(&format!("collect_every = '{every}',")).unwrap();
        assert!(shown.contains("never collected"), "{shown}");
    }
    for every in ["'nevr'", "''", "3600", "'1'"] {
        let error = shown(&format!("collect_every = {every},")).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("stores.blobs.collect_every: "), "{error}");
    }
}

#[tokio::test]
async fn tiers_that_are_written_back() {
    let read = |settings: &str| {
        Config::from_toml(&format!(
            "repo.backend = 'memory'
             [stores]
             near = {{ type = 'memory' }}
             far = {{ type = 'memory' }}
             blobs = {{ type = 'tiered', write_back = true, {settings} fast = 'near', slow = 'far' }}"
        ))
    };
    let config = read("max_due_bytes = '1 GiB', max_due = 100,").unwrap();
    let shown = describe(&config).unwrap().to_string();
    assert!(shown.contains("durable in the fast tier"), "{shown}");
    let stores = Stores::open(&config).await.unwrap();
    let (key, blobs) = (Key::new("k").unwrap(), stores.named("blobs").unwrap());
    blobs.put(&key, "content").await.unwrap();
    assert_eq!(blobs.get_bytes(&key, 7).await.unwrap(), "content");
    let far = stores.named("far").unwrap();
    for _ in 0..1000 {
        if far.exists(&key).await.unwrap() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(far.get_bytes(&key, 7).await.unwrap(), "content");
    stores.close().await.unwrap();
    for settings in ["slow_read_only = true,", "write_fast = 'never',"] {
        let error = read(settings)
            .and_then(|config| describe(&config).map(drop))
            .unwrap_err()
            .to_string();
        assert!(error.contains("stores.blobs.write_back"), "{error}");
    }
}

#[tokio::test]
async fn a_cache_with_a_disk() {
    let read = |settings: &str| {
        Config::from_toml(&format!(
            "repo.backend = 'memory'
             [stores]
             near = {{ type = 'memory' }}
             far = {{ type = 'memory' }}
             blobs = {{ type = 'cache', {settings} store = 'far' }}"
        ))
    };
    let config = read("disk = 'near', disk_bytes = '50 GiB', disk_low_watermark = 80,").unwrap();
    let shown = describe(&config).unwrap().to_string();
    assert!(shown.contains("50.0 GiB on disk"), "{shown}");
    let stores = Stores::open(&config).await.unwrap();
    let (key, blobs) = (Key::new("k").unwrap(), stores.named("blobs").unwrap());
    blobs.put(&key, "content").await.unwrap();
    assert_eq!(blobs.get_bytes(&key, 7).await.unwrap(), "content");
    // Written in the background.
    let near = stores.named("near").unwrap();
    for _ in 0..1000 {
        let blocks = near.list(ListOptions::default()).count().await;
        if blocks == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    assert_eq!(near.list(ListOptions::default()).count().await, 1);
    stores.close().await.unwrap();
    for (settings, setting) in [
        ("disk_bytes = '1 GiB',", "stores.blobs.disk_bytes"),
        (
            "disk = 'near', disk_low_watermark = 101,",
            "stores.blobs.disk_low_watermark",
        ),
        ("disk = 'mear',", "stores.blobs.disk"),
    ] {
        let error = read(settings)
            .and_then(|config| describe(&config).map(drop))
            .unwrap_err()
            .to_string();
        assert!(error.contains(setting), "{error}");
    }
}

/// Every layer that a configuration can name, over one another.
#[tokio::test]
async fn a_stack_of_every_layer() {
    let config = Config::from_toml(
        "repo.backend = 'memory'
         [stores]
         base = { type = 'expiring', store = { type = 'attribute', store = { type = 'memory' } } }
         checked = { type = 'verify', outboards = true, store = { type = 'compressed', store = 'base' } }
         far = { type = 'retry', store = { type = 'timeout', store = { type = 'throttle', read_operations = 1000000, store = { type = 'dedup', store = 'checked' } } } }
         copies = { type = 'mirror', stores = ['far', { type = 'memory' }, { type = 'memory' }] }
         near = { type = 'tiered', fast = { type = 'memory' }, slow = 'copies' }
         all = { type = 'cache', max_bytes = '8 MiB', block_size = '64 KiB', store = { type = 'existence', store = { type = 'event', store = { type = 'limit', operations = 8, store = { type = 'prefix', prefix = 'p/', store = 'near' } } } } }
         seen = { type = 'read_only', store = 'all' }",
    )
    .unwrap();
    let shown = describe(&config).unwrap().to_string();
    assert!(!shown.contains("known once"), "{shown}");
    let stores = Stores::open(&config).await.unwrap();
    let all = stores.named("all").unwrap();
    let key = Key::new("k").unwrap();
    for size in [0, 1, 70_000, 300_000] {
        let content = vec![b'x'; size];
        all.put(&key, content.clone()).await.unwrap();
        let seen = stores.named("seen").unwrap();
        assert_eq!(seen.get_bytes(&key, 1 << 20).await.unwrap(), content);
        assert_eq!(seen.head(&key).await.unwrap().size, size as u64);
        assert!(seen.put(&key, "no").await.is_err());
    }
    all.delete(&key).await.unwrap();
    assert!(all.head(&key).await.unwrap_err().is_not_found());
    stores.close().await.unwrap();
}

#[tokio::test]
async fn a_mirror_from_configuration() {
    let config = Config::from_toml(
        "[stores]
         a = { type = 'memory' }
         b = { type = 'memory' }
         all = { type = 'mirror', writes = 1, hedge_after = '20 ms', keep_tombstones = '1 day', stores = ['a', 'b', { type = 'memory' }] }",
    )
    .unwrap();
    let shown = describe(&config).unwrap().to_string();
    assert!(
        shown.contains("stores.all  mirror, 1 of 3 writes, 3 of 3 reads (create, replace,"),
        "{shown}"
    );
    assert!(shown.contains("├─ stores[1]  the store \"b\""), "{shown}");
    let stores = Stores::open(&config).await.unwrap();
    let (key, all) = (Key::new("k").unwrap(), stores.named("all").unwrap());
    all.put(&key, "content").await.unwrap();
    for replica in ["a", "b"] {
        stores.named(replica).unwrap().head(&key).await.unwrap();
    }
    stores.named("a").unwrap().delete(&key).await.unwrap();
    assert_eq!(all.get_bytes(&key, 7).await.unwrap(), "content");
    stores.close().await.unwrap();

    // Others can reach a bucket, so conditions hold only if they do not write to it.
    let buckets = |more: &str| {
        let bucket =
            |name| format!("{{ type = 's3', endpoint = 'http://127.0.0.1', bucket = '{name}' }}");
        let stores = format!("[{}, {}]", bucket("a"), bucket("b"));
        let config = format!("[stores]\nall = {{ type = 'mirror', {more} stores = {stores} }}");
        describe(&Config::from_toml(&config).unwrap())
            .unwrap()
            .to_string()
    };
    assert!(buckets("").contains("1 of 2 reads (no conditional puts,"));
    assert!(buckets("sole_writer = true,").contains("1 of 2 reads (create, replace,"));

    for (settings, said) in [
        ("stores = []", "stores.all.stores: has 0 stores"),
        (
            "stores = ['a', 'b', 'a']",
            "stores.all.stores[2]: is named twice",
        ),
        (
            "stores = ['a', 'b'], writes = 3",
            "stores.all.writes: is not from 1 to 2",
        ),
        (
            "stores = ['a', 'b'], reads = 0",
            "stores.all.reads: is not from 1 to 2",
        ),
        ("stores = ['a', 'c']", "stores.all.stores[1]: "),
        (
            "stores = ['a', { type = 'fs', pth = '/x' }]",
            "stores.all.stores[1].pth: ",
        ),
        (
            "stores = ['a', 'b'], timeout = '0 s'",
            "stores.all.timeout: is no time at all",
        ),
    ] {
        let config = format!(
            "[stores]\na = {{ type = 'memory' }}\nb = {{ type = 'memory' }}\nall = {{ type = 'mirror', {settings} }}"
        );
        let read = Config::from_toml(&config).and_then(|config| config.check());
        let error = read.unwrap_err().to_string();
        assert!(error.contains(said), "{settings}: {error}");
    }
}
