//! `AttributeStore`.

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_layers::{AttributeStore, FaultStore, Faults};
use storehouse_objectstore::{
    Attributes, CopyOptions, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutOptions,
};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn text() -> Attributes {
    Attributes::default()
        .with_content_type("text/plain")
        .unwrap()
}

/// A store, what it stands on, and the requests that it makes there.
fn counted() -> (AttributeStore<FaultStore<Memory>>, Memory, Faults) {
    let (inner, faults) = (Memory::new(), Faults::new());
    let counting = FaultStore::with_faults(inner.clone(), faults.clone());
    (AttributeStore::new(counting), inner, faults)
}

#[tokio::test]
async fn each_read_makes_as_many_requests_as_it_says() {
    let (store, _, faults) = counted();
    let content: Bytes = (0..9000_u32).flat_map(u32::to_le_bytes).collect();
    let options = PutOptions::default().attributes(text());
    store
        .put_opts(&key("k"), content.clone().into(), options)
        .await
        .unwrap();
    let gets = || faults.calls(Operation::Get);
    assert_eq!(store.head(&key("k")).await.unwrap().attributes, text());
    assert_eq!((gets(), faults.calls(Operation::Head)), (1, 0));
    let whole = store.get(&key("k")).await.unwrap();
    assert_eq!(whole.metadata.attributes, text());
    assert_eq!(whole.body.collect(99_999).await.unwrap(), content);
    assert_eq!(gets(), 2);
    for (range, requests) in [(0..4000_u64, 1), (3000..5000, 2), (35_999..36_000, 2)] {
        let before = gets();
        let object = store.get_range(&key("k"), range.clone()).await.unwrap();
        let part = content.slice(range.start as usize..range.end as usize);
        assert_eq!(object.metadata.attributes, text());
        assert_eq!(object.body.collect(9999).await.unwrap(), part);
        assert_eq!(gets() - before, requests, "{range:?}");
    }
    // A listing of an inner store that has the bytes makes none.
    store.put(&key("small"), "value").await.unwrap();
    let before = gets();
    let options = ListOptions::default().prefix("small").inline_values(5);
    let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
    assert_eq!(listed[0].value.as_deref(), Some(&b"value"[..]));
    assert_eq!(gets(), before);
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        (listed[0].metadata.size, &listed[0].metadata.attributes),
        (36_000, &text())
    );
    assert_eq!((listed[1].metadata.size, gets() - before), (5, 1));
}

#[tokio::test]
async fn a_copy_has_the_attributes_of_its_source_or_others() {
    let (store, _, faults) = counted();
    let options = PutOptions::default().attributes(text());
    store
        .put_opts(&key("a"), "content".into(), options)
        .await
        .unwrap();
    let same = CopyOptions::default();
    store
        .copy_opts(&key("a"), &key("same"), same)
        .await
        .unwrap();
    assert_eq!(faults.calls(Operation::Get), 0);
    let none = CopyOptions::default().attributes(Attributes::default());
    store
        .copy_opts(&key("a"), &key("none"), none)
        .await
        .unwrap();
    for (name, attributes) in [("same", text()), ("none", Attributes::default())] {
        assert_eq!(store.head(&key(name)).await.unwrap().attributes, attributes);
        assert_eq!(store.get_bytes(&key(name), 9).await.unwrap(), "content");
    }
    let rename = CopyOptions::default().remove_source(true);
    let renamed = store.copy_opts(&key("a"), &key("b"), rename).await;
    assert!(matches!(renamed, Err(Error::Unsupported { .. })));
}

/// What others put there, or changed, is an error that names it.
#[tokio::test]
async fn other_objects_are_refused() {
    let (store, inner, _) = counted();
    let options = PutOptions::default().attributes(text());
    store
        .put_opts(&key("k"), "content".into(), options)
        .await
        .unwrap();
    let there = inner.get_bytes(&key("k"), 999).await.unwrap();
    let header = there.len() - 7;
    let cut: Vec<Bytes> = (0..header).map(|len| there.slice(..len)).collect();
    let flipped = (0..header).map(|at| {
        let mut bytes = there.to_vec();
        bytes[at] ^= 1;
        Bytes::from(bytes)
    });
    for bytes in cut.into_iter().chain(flipped) {
        inner.put(&key("k"), bytes.clone()).await.unwrap();
        let listed: Result<Vec<_>, _> = store.list(ListOptions::default()).try_collect().await;
        for error in [
            store.get(&key("k")).await.map(|_| ()).unwrap_err(),
            store
                .get_range(&key("k"), 0..1)
                .await
                .map(|_| ())
                .unwrap_err(),
            store.head(&key("k")).await.map(|_| ()).unwrap_err(),
            listed.map(|_| ()).unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(
                said.contains("\"k\"") && said.contains("not one with attributes"),
                "{said}: {bytes:?}"
            );
        }
    }
}
