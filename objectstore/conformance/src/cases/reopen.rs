//! Rules 3 and 14: what a put promised is there when the data is opened again, and only one store
//! has it open.

use bytes::Bytes;

use super::super::Fixture;
use super::super::bodies::{halting, script};
use super::super::check::{OrFail, ensure_eq, ensure_err, story};
use super::super::content::stamped;
use storehouse_objectstore::{Durability, Error, ListOptions, ObjectStore, PutOptions};

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
