//! Batches, where a store has them: rules 2, 5 and 6 for several writes at once.

use futures_util::future::join_all;

use bytes::Bytes;

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq, ensure_err};
use storehouse_objectstore::{
    Batch, BatchResult, Batches, ETag, Error, Key, ObjectStore, Operation, Result,
};

/// How many batches race.
const RACERS: usize = 8;

/// The store's batches, which are there just if the profile says so.
fn batches<'a>(fixture: &Fixture, store: &'a dyn ObjectStore) -> Option<&'a dyn Batches> {
    let batches = store.batches();
    ensure_eq!(
        2,
        batches.is_some(),
        fixture.known().batches,
        "whether the store has batches, against its profile"
    );
    batches
}

async fn commit(store: &dyn ObjectStore, batch: Batch) -> Result<BatchResult> {
    match store.batches() {
        Some(batches) => batches.batch(batch).await,
        None => panic!("rule 2: the store had batches and has none now"),
    }
}

pub(in super::super) async fn all_or_nothing(fixture: Fixture) {
    let Some(store) = batches(&fixture, fixture.store()) else {
        return;
    };
    let [kept, gone, made, missing] =
        ["kept", "gone", "made", "missing"].map(|name| fixture.key(name));
    let (old, new) = (Bytes::from("old"), Bytes::from("new"));
    let etag = fixture.put(2, &kept, old.clone()).await.etag;
    fixture.put(2, &gone, old.clone()).await;
    let changes = || {
        Batch::new()
            .put(kept.clone(), new.clone())
            .delete(gone.clone())
            .put(made.clone(), new.clone())
    };
    let stale = ETag::new("\"0123456789abcdef0123456789abcdef\"");
    type Refused = fn(&Error) -> bool;
    let exists: Refused = |e| matches!(e, Error::AlreadyExists { .. });
    let failing: [(&str, Batch, &Key, Refused); 5] = [
        (
            "a create of what is there",
            Batch::new().create(kept.clone(), "x"),
            &kept,
            exists,
        ),
        (
            "a replace of another version",
            Batch::new().replace(kept.clone(), stale.clone(), "x"),
            &kept,
            Error::is_precondition,
        ),
        (
            "a replace of what is missing",
            Batch::new().replace(missing.clone(), etag.clone(), "x"),
            &missing,
            Error::is_precondition,
        ),
        (
            "a delete of another version",
            Batch::new().delete_if(kept.clone(), stale),
            &kept,
            Error::is_precondition,
        ),
        (
            "a delete of what is missing",
            Batch::new().delete_if(missing.clone(), etag.clone()),
            &missing,
            Error::is_precondition,
        ),
    ];
    for (what, failing, key, refused) in failing {
        // First, between and last: what stands before a failing condition is undone, or rather
        // never done.
        for place in 0..=3 {
            let mut batch = changes();
            batch.ops.splice(place..place, failing.ops.clone());
            let error = match store.batch(batch).await {
                Err(error) => error,
                done => panic!("rule 2: a batch with {what} at place {place} gives {done:?}"),
            };
            ensure!(
                2,
                refused(&error),
                "a batch with {what} at place {place} fails with {error:?}"
            );
            let about = match &error {
                Error::AlreadyExists { key }
                | Error::Precondition {
                    operation: Operation::Put | Operation::Delete,
                    key,
                } => Some(key),
                _ => None,
            };
            ensure_eq!(
                2,
                about,
                Some(key),
                "the key that the error of {what} names"
            );
            fixture
                .assert_holds(2, &kept, Some(&old), "after a refused batch")
                .await;
            fixture
                .assert_holds(2, &gone, Some(&old), "after a refused batch")
                .await;
            fixture
                .assert_holds(2, &made, None, "after a refused batch")
                .await;
        }
    }
    let done = store
        .batch(changes().delete(missing.clone()))
        .await
        .or_fail(2, "a batch without conditions");
    ensure_eq!(
        2,
        done.etags.iter().map(Option::is_some).collect::<Vec<_>>(),
        [true, false, true, false],
        "which operations have an ETag"
    );
    for (key, etag) in [(&kept, &done.etags[0]), (&made, &done.etags[2])] {
        fixture
            .assert_holds(2, key, Some(&new), "after a batch")
            .await;
        ensure_eq!(
            2,
            Some(
                fixture
                    .store()
                    .head(key)
                    .await
                    .or_fail(2, "head after a batch")
                    .etag
            ),
            *etag,
            "the ETag of {key:?}, against the batch's"
        );
    }
    fixture
        .assert_holds(2, &gone, None, "after a batch that deleted it")
        .await;
    ensure_eq!(
        2,
        store.batch(Batch::new()).await.or_fail(2, "an empty batch"),
        BatchResult::default(),
        "the result of an empty batch"
    );
}

pub(in super::super) async fn in_order(fixture: Fixture) {
    let Some(store) = batches(&fixture, fixture.store()) else {
        return;
    };
    let key = fixture.key("ordered");
    let twice = Batch::new()
        .create(key.clone(), "a")
        .create(key.clone(), "b");
    ensure_err!(
        2,
        store.batch(twice).await,
        Error::AlreadyExists { .. },
        "two creates of one key in a batch"
    );
    fixture
        .assert_holds(2, &key, None, "after a refused batch")
        .await;
    let batch = Batch::new()
        .create(key.clone(), "a")
        .delete(key.clone())
        .create(key.clone(), "b")
        .put(key.clone(), "c");
    let done = store
        .batch(batch)
        .await
        .or_fail(2, "create, delete, create and put of one key in a batch");
    fixture
        .assert_holds(
            2,
            &key,
            Some(&"c".into()),
            "after a batch that wrote it three times",
        )
        .await;
    let etag = fixture
        .store()
        .head(&key)
        .await
        .or_fail(2, "head after a batch")
        .etag;
    ensure_eq!(
        2,
        done.etags.last(),
        Some(&Some(etag.clone())),
        "the last ETag of a batch, against head"
    );
    let batch = Batch::new()
        .put(key.clone(), "d")
        .delete_if(key.clone(), etag.clone());
    ensure_err!(
        2,
        store.batch(batch).await,
        Error::Precondition { .. },
        "a delete of the version that the batch replaced"
    );
    let batch = Batch::new()
        .replace(key.clone(), etag, "d")
        .delete(key.clone());
    store
        .batch(batch)
        .await
        .or_fail(2, "replace and delete of one key in a batch");
    fixture
        .assert_holds(2, &key, None, "after a batch that deleted it last")
        .await;
}

pub(in super::super) async fn racing(fixture: Fixture) {
    if batches(&fixture, fixture.store()).is_none() {
        return;
    }
    let (key, mirror) = (fixture.key("raced"), fixture.key("mirror"));
    for round in 0..fixture.known().pace.rounds {
        let etag = fixture.put(6, &key, format!("round {round}")).await.etag;
        let racers = (0..RACERS).map(|racer| {
            let (store, text) = (fixture.handle(), format!("racer {racer} of round {round}"));
            let batch = Batch::new().put(mirror.clone(), text.clone()).replace(
                key.clone(),
                etag.clone(),
                text,
            );
            tokio::spawn(async move { commit(&store, batch).await })
        });
        let done: Vec<_> = join_all(racers)
            .await
            .into_iter()
            .map(|done| done.expect("a racing batch panicked"))
            .collect();
        let winners: Vec<_> = done
            .iter()
            .enumerate()
            .filter(|(_, done)| done.is_ok())
            .map(|(racer, _)| racer)
            .collect();
        let [winner] = winners[..] else {
            panic!("rule 6: of several batches that need one version, {winners:?} won")
        };
        for lost in done.iter().filter_map(|done| done.as_ref().err()) {
            ensure!(
                6,
                lost.is_precondition(),
                "a racing batch that lost fails with {lost:?}"
            );
        }
        let text = Bytes::from(format!("racer {winner} of round {round}"));
        fixture
            .assert_holds(6, &key, Some(&text), "after a race of batches")
            .await;
        fixture
            .assert_holds(6, &mirror, Some(&text), "after a race of batches")
            .await;
    }
}
