//! Rules 3, 14 and 15: what a put promised is there when the data is opened again, only one store
//! has it open, and a closed one is at rest.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::Fixture;
use super::super::bodies::{halting, script};
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err, story};
use super::super::content::stamped;
use storehouse_objectstore::{
    Batch, Body, Durability, Error, ListOptions, ObjectStore, ObjectStoreExt, PutOptions,
};

pub(in super::super) async fn keeps_everything(mut fixture: Fixture) {
    let objects: Vec<_> = [0usize, 1, 5000, 300_000]
        .iter()
        .map(|size| {
            (
                fixture.key(&format!("kept-{size}")),
                stamped(*size as u64, *size),
            )
        })
        .collect();
    for (key, bytes) in &objects {
        fixture.put(3, key, bytes.clone()).await;
    }
    let gone = fixture.key("gone");
    fixture.put(3, &gone, "to be deleted").await;
    fixture.delete(3, &gone).await;
    let listed = fixture.list(3, ListOptions::default()).await;
    for round in 0..2 {
        fixture.reopen().await;
        for (key, bytes) in &objects {
            fixture
                .assert_holds(3, key, Some(bytes), &format!("opened again, round {round}"))
                .await;
        }
        fixture
            .assert_holds(3, &gone, None, "deleted, then opened again")
            .await;
        ensure_eq!(
            3,
            fixture.list(3, ListOptions::default()).await,
            listed,
            "what is listed after the data was opened again"
        );
    }
    fixture.assert_nothing_left(3, "opening again").await;
}

pub(in super::super) async fn open_twice(mut fixture: Fixture) {
    let (key, bytes) = (fixture.key("both"), Bytes::from("seen by both"));
    fixture.put(14, &key, bytes.clone()).await;
    let second = fixture.second().await;
    if fixture.known().exclusive {
        match second {
            Err(Error::InUse { .. }) => {}
            other => panic!(
                "rule 14: opening data that is open gives {} instead of InUse",
                story(&other.map(|_| "a store"))
            ),
        }
        fixture
            .assert_holds(14, &key, Some(&bytes), "after a second store was refused")
            .await;
        fixture.put(14, &key, "still writable").await;
        fixture.reopen().await;
        fixture
            .assert_holds(
                14,
                &key,
                Some(&Bytes::from("still writable")),
                "opened again",
            )
            .await;
    } else {
        let second = second.or_fail(
            14,
            "opening data that is open, which the profile says is not exclusive",
        );
        let there = super::super::check::read(&*second, 14, &key).await;
        ensure_eq!(
            14,
            there,
            Some(bytes),
            "what a second store over the same data reads"
        );
        second
            .delete(&key)
            .await
            .or_fail(14, "delete by the second store");
        fixture
            .assert_holds(14, &key, None, "deleted by a second store")
            .await;
    }
}

pub(in super::super) async fn keeps_relaxed_puts(mut fixture: Fixture) {
    let key = fixture.key("relaxed");
    let options = |len: usize| {
        PutOptions::default()
            .size(len as u64)
            .durability(Durability::Relaxed)
    };
    for len in [0, 100, 300_000] {
        let bytes = stamped(len as u64, len);
        fixture
            .try_put(&key, bytes.clone(), options(len))
            .await
            .or_fail(3, "a relaxed put");
        fixture
            .assert_holds(2, &key, Some(&bytes), "after a relaxed put")
            .await;
        let failed = fixture
            .try_put(&key, script(halting(&bytes, 90_000)).0, options(len + 1))
            .await;
        ensure_err!(
            4,
            failed,
            Error::TooSmall { .. },
            "a relaxed put of one byte less"
        );
        fixture
            .assert_holds(2, &key, Some(&bytes), "after a relaxed put that failed")
            .await;
        // A crash of the machine may lose it; an end of the process does not.
        fixture.reopen().await;
        fixture
            .assert_holds(3, &key, Some(&bytes), "a relaxed put, opened again")
            .await;
    }
    fixture.assert_nothing_left(4, "relaxed puts").await;
}

pub(in super::super) async fn close_is_at_rest(mut fixture: Fixture) {
    let (kept, late) = (fixture.key("kept"), fixture.key("late"));
    let bytes = stamped(1, 300_000);
    fixture.put(15, &kept, bytes.clone()).await;
    // A put whose body ends only once closing has begun.
    let (send, receive) = tokio::sync::oneshot::channel::<()>();
    let (first, rest) = (bytes.slice(..100_000), bytes.slice(100_000..));
    let rest = stream::once(async move {
        // Whether the sender sent or is gone: the rest comes now.
        receive.await.ok();
        Ok::<_, Error>(rest)
    });
    let body = Body::from_stream(stream::iter([Ok(first)]).chain(rest));
    let (store, key) = (fixture.handle(), late.clone());
    let options = PutOptions::default().size(bytes.len() as u64);
    let putting = tokio::spawn(async move { store.put_opts(&key, body, options).await });
    tokio::task::yield_now().await;
    let store = fixture.handle();
    let closing = tokio::spawn(async move { store.close().await });
    tokio::task::yield_now().await;
    drop(send);
    let put = putting.await.expect("a put ends without a panic");
    closing
        .await
        .expect("closing ends without a panic")
        .or_fail(15, "close");
    if let Err(error) = &put {
        ensure!(
            15,
            error.is_closed(),
            "a put while the store closes gives {}",
            story(&put)
        );
    }

    let store = fixture.store();
    store.close().await.or_fail(15, "closing again");
    ensure_err!(
        15,
        store.put(&kept, "x").await,
        Error::Closed { .. },
        "put after close"
    );
    ensure_err!(
        15,
        store.get(&kept).await,
        Error::Closed { .. },
        "get after close"
    );
    ensure_err!(
        15,
        store.head(&kept).await,
        Error::Closed { .. },
        "head after close"
    );
    ensure_err!(
        15,
        store.delete(&kept).await,
        Error::Closed { .. },
        "delete after close"
    );
    ensure_err!(
        15,
        store.health().await,
        Error::Closed { .. },
        "health after close"
    );
    let keys = stream::iter([kept.clone()]).boxed();
    let deleted: Result<Vec<_>, _> = store.delete_many(keys).try_collect().await;
    ensure_err!(15, deleted, Error::Closed { .. }, "delete_many after close");
    let listed: Result<Vec<_>, _> = store.list(ListOptions::default()).try_collect().await;
    ensure_err!(15, listed, Error::Closed { .. }, "list after close");
    if let Some(batches) = store.batches() {
        let batch = Batch::new().put(kept.clone(), "x");
        ensure_err!(
            15,
            batches.batch(batch).await,
            Error::Closed { .. },
            "a batch after close"
        );
    }

    // At once, and while handles of the closed store are still there.
    fixture.reopen_beside().await;
    fixture
        .assert_holds(15, &kept, Some(&bytes), "opened again after close")
        .await;
    let whole = put.is_ok().then_some(&bytes);
    fixture
        .assert_holds(15, &late, whole, "put while the store closed, opened again")
        .await;
    fixture.assert_nothing_left(15, "close").await;
}
