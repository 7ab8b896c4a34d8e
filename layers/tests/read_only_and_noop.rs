//! `ReadOnlyStore` refuses every write and reads; `NoopStore` takes every write and reads nothing.

use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_layers::{NoopStore, ReadOnlyStore};
use storehouse_objectstore::{
    Body, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
};

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

#[tokio::test]
async fn a_read_only_store_refuses_every_write() {
    let memory = Memory::new();
    memory.put(&key("a"), "content").await.unwrap();
    let store = ReadOnlyStore::new(memory);
    let unread = Body::from_stream(stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<_, Error>>> { panic!("the body is not read") },
    ));
    let options = PutOptions::default().size(1);
    let put = store.put_opts(&key("b"), unread, options).await;
    assert!(matches!(put, Err(Error::Unsupported { .. })));
    let delete = store.delete(&key("a")).await;
    assert!(matches!(delete, Err(Error::Unsupported { .. })));
    let many: Vec<_> = store
        .delete_many(stream::iter([key("a"), key("b")]).boxed())
        .collect()
        .await;
    assert!(matches!(
        &many[..],
        [
            Err(Error::Unsupported { .. }),
            Err(Error::Unsupported { .. })
        ]
    ));
    assert!(
        store.batches().is_none() && !store.capabilities().create && !store.capabilities().replace
    );

    assert_eq!(store.get_bytes(&key("a"), 7).await.unwrap(), "content");
    assert_eq!(store.head(&key("a")).await.unwrap().size, 7);
    let listed: Vec<_> = store
        .list(ListOptions::default())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 1);
    store.health().await.unwrap();
    store.close().await.unwrap();
    assert!(store.get(&key("a")).await.unwrap_err().is_closed());
}

#[tokio::test]
async fn a_noop_store_swallows_and_still_judges() {
    let (store, a) = (NoopStore::new(), key("a"));
    let first = store.put(&a, "content").await.unwrap();
    let second = store.put(&a, "content").await.unwrap();
    assert_ne!(first.etag, second.etag);
    let create = PutOptions::default().mode(PutMode::Create);
    store.put_opts(&a, "content".into(), create).await.unwrap();
    let replace = PutOptions::default().mode(PutMode::Replace(first.etag));
    assert!(
        store
            .put_opts(&a, "".into(), replace)
            .await
            .unwrap_err()
            .is_precondition()
    );
    let short = Body::from_stream(stream::iter([Ok::<_, Error>("x".into())])).with_size(2);
    assert!(matches!(
        store.put(&a, short).await,
        Err(Error::TooSmall { .. })
    ));
    assert!(store.get(&a).await.unwrap_err().is_not_found());
    assert!(store.head(&a).await.unwrap_err().is_not_found());
    store.delete(&a).await.unwrap();
    let gone: Vec<_> = store
        .delete_many(stream::iter([a.clone()]).boxed())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(gone, [a.clone()]);
    assert!(store.list(ListOptions::default()).next().await.is_none());
    store.close().await.unwrap();
    assert!(store.put(&a, "content").await.unwrap_err().is_closed());
    assert!(
        store
            .list(ListOptions::default())
            .next()
            .await
            .unwrap()
            .unwrap_err()
            .is_closed()
    );
}
