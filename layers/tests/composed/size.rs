//! `SizeStore`.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_conformance::Fixture;
use storehouse_layers::{SizeOptions, SizeStore};
use storehouse_objectstore::{
    Body, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};

use super::backends::{Inner, over_memories};

/// A boundary amid the sizes that the suite writes.
fn sized(mut inner: Vec<Inner>) -> SizeStore<Inner, Inner> {
    let large = inner.pop().unwrap();
    let options = SizeOptions::default().largest_small(4_999);
    SizeStore::new(inner.pop().unwrap(), large, options).unwrap()
}

async fn memories() -> Fixture {
    over_memories(2, sized)
}

storehouse_conformance::tests!(over_memory, memories);

#[cfg(unix)]
storehouse_conformance::tests!(over_flatfs, || crate::backends::over_directories(2, sized));

const MOST: usize = 1000;

fn pair() -> (SizeStore<Memory, Memory>, Memory, Memory) {
    let (small, large) = (Memory::new(), Memory::new());
    let options = SizeOptions::default().largest_small(MOST as u64);
    let store = SizeStore::new(small.clone(), large.clone(), options).unwrap();
    (store, small, large)
}

fn streamed(len: usize) -> Body {
    let pieces = (0..len).map(|n| Ok::<_, Error>(Bytes::from(vec![n as u8])));
    Body::from_stream(stream::iter(pieces)).with_size(len as u64)
}

#[tokio::test]
async fn an_object_lies_where_its_size_says_and_nowhere_else() {
    let (store, small, large) = pair();
    let key = Key::new("k").unwrap();
    // Every change of size class, in both ways of giving a body.
    for len in [
        MOST - 1,
        MOST + 1,
        MOST,
        MOST + 1,
        MOST + 1,
        0,
        MOST * 3,
        MOST - 1,
    ] {
        for as_bytes in [true, false] {
            let body = if as_bytes {
                vec![7; len].into()
            } else {
                streamed(len)
            };
            let put = store.put(&key, body).await.unwrap();
            assert_eq!(store.head(&key).await.unwrap().etag, put.etag);
            assert_eq!(small.exists(&key).await.unwrap(), len <= MOST, "{len}");
            assert_eq!(large.exists(&key).await.unwrap(), len > MOST, "{len}");
        }
    }
    store.delete(&key).await.unwrap();
    assert!(!small.exists(&key).await.unwrap() && !large.exists(&key).await.unwrap());
}

#[tokio::test]
async fn conditions_hold_across_the_boundary() {
    let (store, _, _) = pair();
    let key = Key::new("k").unwrap();
    let sizes = [10, MOST + 10];
    for before in sizes {
        for after in sizes {
            store.put(&key, vec![1; before]).await.unwrap();
            let create = PutOptions::default().mode(PutMode::Create);
            let put = store.put_opts(&key, vec![2; after].into(), create).await;
            assert!(put.unwrap_err().is_already_exists(), "{before} {after}");
            let old = store.head(&key).await.unwrap().etag;
            let replace = PutOptions::default().mode(PutMode::Replace(old.clone()));
            let put = store.put_opts(&key, vec![2; after].into(), replace.clone());
            let new = put.await.unwrap().etag;
            assert_ne!(old, new);
            let put = store.put_opts(&key, vec![3; before].into(), replace).await;
            assert!(put.unwrap_err().is_precondition(), "{before} {after}");
            assert_eq!(store.get_bytes(&key, 5000).await.unwrap(), vec![2; after]);
        }
    }
}

/// What a crash between the two steps of a put leaves.
#[tokio::test]
async fn a_twin_is_not_seen_and_is_swept() {
    let (store, small, large) = pair();
    let (a, b) = (Key::new("a").unwrap(), Key::new("b").unwrap());
    for key in [&a, &b] {
        small.put(key, "small").await.unwrap();
        large.put(key, "the twin").await.unwrap();
    }
    large.put(&Key::new("c").unwrap(), "no twin").await.unwrap();
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    let listed: Vec<_> = listed
        .iter()
        .map(|e| (e.key.as_str(), e.metadata.size))
        .collect();
    assert_eq!(listed, [("a", 5), ("b", 5), ("c", 7)]);
    assert_eq!(store.get_bytes(&a, 100).await.unwrap(), "small");
    // A delete does not uncover it.
    store.delete(&a).await.unwrap();
    assert!(!store.exists(&a).await.unwrap());
    let sweep = tokio::spawn(async move { store.sweep().await.map(|swept| (store, swept)) });
    let (store, swept) = sweep.await.unwrap().unwrap();
    assert_eq!(swept, 1);
    assert!(!large.exists(&b).await.unwrap());
    assert_eq!(store.get_bytes(&b, 100).await.unwrap(), "small");
    assert_eq!(store.sweep().await.unwrap(), 0);
}

/// Every object is there all the while, and moves from one store to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_moves_is_found_and_listed() {
    let (store, _, _) = pair();
    // More than a page of a listing of memory.
    let keys: Vec<_> = (0..1500)
        .map(|n| Key::new(format!("{n:04}")).unwrap())
        .collect();
    for key in &keys {
        store.put(key, vec![0; 10]).await.unwrap();
    }
    let mover = tokio::spawn({
        let (store, keys) = (store.clone(), keys.clone());
        async move {
            for round in 0..4 {
                for key in keys.iter().rev() {
                    let len = if round % 2 == 0 { MOST + 1 } else { 10 };
                    store.put(key, vec![0; len]).await.unwrap();
                }
            }
        }
    });
    let mut rounds = 0;
    while !mover.is_finished() {
        let mut listing = store.list(ListOptions::default());
        let mut listed = Vec::new();
        while let Some(entry) = listing.next().await {
            listed.push(entry.unwrap().key);
            if listed.len() % 100 == 0 {
                tokio::task::yield_now().await;
                store.head(&keys[listed.len() - 1]).await.unwrap();
            }
        }
        assert_eq!(listed, keys);
        rounds += 1;
    }
    mover.await.unwrap();
    assert!(rounds > 1);
}

#[test]
fn stores_that_do_not_fit_are_refused() {
    let too_large = SizeOptions::default().largest_small(u64::MAX);
    let error = SizeStore::new(Memory::new(), Memory::new(), too_large).unwrap_err();
    assert!(error.to_string().contains("largest_small"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn stores_of_different_orders_are_refused() {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

    let dir = tempfile::tempdir().unwrap();
    let large = FlatFs::open(dir.path(), FlatFsOptions::default())
        .await
        .unwrap();
    let error = SizeStore::new(Memory::new(), large, SizeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("order"), "{error}");
}
