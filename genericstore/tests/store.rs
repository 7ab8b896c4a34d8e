//! Records in any namespace of any store: what is put is found, what is too large or broken is
//! said.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use common::Plain;
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_genericstore::{
    Cbor, Codec, DagCbor, Error, GenericStore, Json, Namespace, Raw, ScanOptions,
};
use storehouse_objectstore::{Memory, ObjectStore, ObjectStoreExt};

type Numbers = GenericStore<u64, Json, Arc<dyn ObjectStore>>;

fn numbers(store: impl ObjectStore, prefix: &str, suffix: &str) -> Numbers {
    GenericStore::new(
        Arc::new(store),
        Json,
        Namespace::new(prefix, suffix).unwrap(),
    )
}

async fn scanned(store: &Numbers, options: ScanOptions) -> Vec<(String, u64)> {
    store
        .scan(options)
        .map_ok(|record| (record.key, record.value))
        .try_collect()
        .await
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// A store against a map, in namespaces beside each other.
    #[test]
    fn like_a_map(steps in prop::collection::vec(("[a-c]{1,2}(/[a-c]{1,2})?", prop::option::of(any::<u64>())), 1..40), prefix in "[a-c]{0,2}/?") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let memory = Memory::new();
            let left = numbers(memory.clone(), "left/", "");
            let right = numbers(memory, "right/", ".json");
            let mut model = BTreeMap::new();
            for (key, value) in &steps {
                match value {
                    Some(value) => {
                        left.put(key, value).await.unwrap();
                        right.put(key, &!value).await.unwrap();
                        model.insert(key.clone(), *value);
                    }
                    None => {
                        left.delete(key).await.unwrap();
                        model.remove(key);
                    }
                }
                assert_eq!(left.get(key).await.ok(), model.get(key).copied());
                assert_eq!(left.exists(key).await.unwrap(), model.contains_key(key));
            }
            let expected: Vec<_> = model.iter().filter(|(key, _)| key.starts_with(&prefix)).map(|(key, value)| (key.clone(), *value)).collect();
            assert_eq!(scanned(&left, ScanOptions::prefix(&prefix)).await, expected);
            assert_eq!(left.count(&prefix).await.unwrap(), expected.len() as u64);
            assert_eq!(left.exists_prefix(&prefix).await.unwrap(), !expected.is_empty());
            assert_eq!(left.keys(ScanOptions::prefix(&prefix)).try_collect::<Vec<_>>().await.unwrap(), expected.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>());
            let even = |value: &u64| value.is_multiple_of(2);
            let first = left.first(&prefix, even).await.unwrap().map(|record| (record.key, record.value));
            assert_eq!(first, expected.iter().find(|(_, value)| even(value)).cloned());
            if let Some((after, _)) = expected.first() {
                assert_eq!(scanned(&left, ScanOptions::prefix(&prefix).start_after(after)).await, expected[1..]);
            }
        });
    }
}

#[tokio::test]
async fn modes() {
    let store = numbers(Memory::new(), "", "");
    let one = store.put_if_absent("a", &1).await.unwrap();
    assert!(
        store
            .put_if_absent("a", &2)
            .await
            .unwrap_err()
            .is_already_exists()
    );
    let two = store
        .replace_if_unchanged("a", &2, one.clone())
        .await
        .unwrap();
    assert!(
        store
            .replace_if_unchanged("a", &3, one.clone())
            .await
            .unwrap_err()
            .is_precondition()
    );
    assert_eq!(store.get_record("a").await.unwrap().etag, two);
    assert!(!store.delete_if_unchanged("a", one).await.unwrap());
    assert!(store.delete_if_unchanged("a", two).await.unwrap());
    assert!(store.get("a").await.unwrap_err().is_not_found());
    let plain = numbers(Plain::new(), "", "");
    let etag = plain.put("a", &1).await.unwrap();
    assert!(plain.delete_if_unchanged("a", etag.clone()).await.unwrap());
    assert!(!plain.delete_if_unchanged("a", etag).await.unwrap());
}

/// A record over the limit is refused by its size, whichever way it would come.
#[tokio::test]
async fn the_limit() {
    let memory = Memory::new();
    let store =
        GenericStore::<Bytes, _, _>::new(memory.clone(), Raw, Namespace::root()).with_limit(4);
    store.put("fits", &Bytes::from("1234")).await.unwrap();
    assert!(matches!(
        store.put("not", &Bytes::from("12345")).await,
        Err(Error::TooLarge {
            size: 5,
            limit: 4,
            ..
        })
    ));
    assert!(!store.exists("not").await.unwrap());
    let big = store.object_key("big").unwrap();
    memory.put(&big, "12345").await.unwrap();
    assert!(matches!(
        store.get("big").await,
        Err(Error::TooLarge { size: 5, .. })
    ));
    let items: Vec<_> = store.scan(ScanOptions::default()).collect().await;
    assert!(
        matches!(items.as_slice(), [Err(e), Ok(fits)] if e.key() == Some(&big) && e.is_record() && fits.key == "fits"),
        "{items:?}"
    );
    // Sixteen mebibytes, inclusive, if nothing else is said.
    let store = GenericStore::<Bytes, _, _>::new(memory, Raw, Namespace::root());
    let most = Bytes::from(vec![0; 16 << 20]);
    store.put("most", &most).await.unwrap();
    assert_eq!(store.get("most").await.unwrap(), most);
    assert!(matches!(
        store
            .put("more", &Bytes::from(vec![0; (16 << 20) + 1]))
            .await,
        Err(Error::TooLarge { .. })
    ));
}

/// One broken record is an error in its place; what comes after it is read.
#[tokio::test]
async fn a_broken_record_among_others() {
    let memory = Memory::new();
    let store = numbers(memory.clone(), "n/", ".json");
    for key in ["a", "b", "c"] {
        store.put(key, &1).await.unwrap();
    }
    let broken = store.object_key("b").unwrap();
    memory.put(&broken, "one").await.unwrap();
    let items: Vec<_> = store.scan(ScanOptions::default()).collect().await;
    assert!(
        matches!(items.as_slice(), [Ok(_), Err(Error::Decode { key, .. }), Ok(_)] if *key == broken),
        "{items:?}"
    );
    assert_eq!(
        items[1].as_ref().unwrap_err().to_string(),
        "record \"n/b.json\" cannot be decoded"
    );
    assert_eq!(
        store.first("b", |_| true).await.unwrap_err().key(),
        Some(&broken)
    );
    assert_eq!(store.first("", |_| true).await.unwrap().unwrap().key, "a");
    memory
        .delete(&store.object_key("a").unwrap())
        .await
        .unwrap();
    assert_eq!(
        store.first("", |_| true).await.unwrap().unwrap().key,
        "c",
        "a broken record before it does not hide it"
    );
    // Objects of others in between are no records.
    memory
        .put(&storehouse_objectstore::Key::new("n/a.other").unwrap(), "x")
        .await
        .unwrap();
    assert_eq!(store.count("").await.unwrap(), 2);
    assert!(store.exists_prefix("").await.unwrap() && !store.exists_prefix("a").await.unwrap());
}

/// The first by prefix takes one list request and one get.
#[tokio::test]
async fn requests_of_the_first() {
    let plain = Plain::new();
    let store = numbers(plain.clone(), "", "");
    for n in 0..100 {
        store.put(&format!("x/{n:03}"), &n).await.unwrap();
    }
    plain.requests();
    assert_eq!(store.first("x/", |_| true).await.unwrap().unwrap().value, 0);
    assert_eq!(plain.requests(), (1, 1));
    store.get("x/005").await.unwrap();
    assert_eq!(plain.requests(), (1, 0));
    assert!(store.exists_prefix("x/").await.unwrap());
    assert_eq!(plain.requests(), (0, 1));
}

/// What a listing brings along is not fetched again, and what is too large is not brought along.
#[tokio::test]
async fn values_of_a_listing() {
    let plain = Plain::new().listing_values();
    let store = numbers(plain.clone(), "", "").with_limit(3);
    let large = numbers(plain.clone(), "", "");
    for n in 0..100 {
        store.put(&format!("x/{n:03}"), &n).await.unwrap();
    }
    large.put("x/050", &12345).await.unwrap();
    plain.requests();
    let scanned: Vec<_> = store.scan(ScanOptions::default()).collect().await;
    assert_eq!(plain.requests(), (1, 1));
    for (n, record) in scanned.iter().enumerate() {
        match record {
            Ok(record) => assert_eq!(
                (&record.key, record.value),
                (&format!("x/{n:03}"), n as u64)
            ),
            Err(e) => assert!(
                n == 50
                    && matches!(
                        e,
                        Error::TooLarge {
                            size: 5,
                            limit: 3,
                            ..
                        }
                    ),
                "{n}: {e}"
            ),
        }
    }
    assert_eq!(scanned.len(), 100);
    plain.requests();
    assert_eq!(store.first("x/", |_| true).await.unwrap().unwrap().value, 0);
    assert_eq!(plain.requests(), (0, 1));
    let etag = scanned[7].as_ref().unwrap().etag.clone();
    store.replace_if_unchanged("x/007", &8, etag).await.unwrap();
}

/// A scan fetches a bounded number of records ahead, and gives them in order.
#[tokio::test]
async fn read_ahead() {
    let plain = Plain::new();
    let store = numbers(plain.clone(), "", "").with_read_ahead(8);
    for n in 0..100 {
        store.put(&format!("{n:03}"), &n).await.unwrap();
    }
    plain.requests();
    let mut scan = store.scan(ScanOptions::default());
    assert_eq!(scan.next().await.unwrap().unwrap().value, 0);
    let (gets, _) = plain.requests();
    assert!((2..=9).contains(&gets), "{gets}");
    let rest: Vec<u64> = scan
        .map_ok(|record| record.value)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(rest, (1..100).collect::<Vec<_>>());
}

/// In the order of flatfs, which is by shard.
#[tokio::test]
async fn in_the_backends_order() {
    let dir = tempfile::tempdir().unwrap();
    let flatfs = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    let order = flatfs.capabilities().order.clone();
    let store = numbers(flatfs, "", "");
    let mut keys: Vec<String> = (0..50)
        .map(|n: u32| format!("{:04}", n * 7919 % 1000))
        .collect();
    for key in &keys {
        store.put(key, &1).await.unwrap();
    }
    let key = |text: &String| storehouse_objectstore::Key::new(text).unwrap();
    keys.sort_by(|a, b| order.compare(&key(a), &key(b)));
    assert_eq!(
        store
            .keys(ScanOptions::default())
            .try_collect::<Vec<_>>()
            .await
            .unwrap(),
        keys
    );
}

#[test]
fn codecs_refuse_what_follows() {
    fn refuses<C: Codec<u64>>(codec: C) {
        let bytes = codec.encode(&7).unwrap();
        assert_eq!(codec.decode(&bytes).unwrap(), 7);
        let more = Bytes::from([&bytes[..], &bytes[..], b"\x00"].concat());
        let error = codec.decode(&more).unwrap_err();
        assert!(
            error.to_string().starts_with("not valid as ")
                && std::error::Error::source(&error).is_some()
        );
        assert!(codec.decode(&Bytes::new()).is_err());
    }
    refuses(Json);
    refuses(Cbor);
    refuses(DagCbor);
}

#[test]
fn namespaces_and_keys() {
    for (prefix, suffix) in [("/", ""), ("a//", ""), ("../", ""), ("", "/"), ("\n", "")] {
        assert!(
            Namespace::new(prefix, suffix).is_err(),
            "{prefix:?} {suffix:?}"
        );
    }
    let flat = Namespace::new("a/", ".x").unwrap().flat();
    assert!(
        flat.object_key("b").is_ok()
            && flat.object_key("b/c").is_err()
            && flat.object_key("").is_err()
            && flat.object_key("../b").is_err()
    );
}
