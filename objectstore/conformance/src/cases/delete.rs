//! Rule 10: delete, one and many.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::super::Fixture;
use super::super::check::{OrFail, ensure, ensure_eq};
use super::super::names;
use storehouse_objectstore::{Key, ListOptions};

pub(in super::super) async fn is_idempotent(fixture: Fixture) {
    let (key, other) = (fixture.key("gone"), fixture.key("gone-not"));
    fixture.delete(10, &key).await;
    fixture.put(10, &key, "content").await;
    fixture.put(10, &other, "stays").await;
    for _ in 0..2 {
        fixture.delete(10, &key).await;
        fixture.assert_holds(10, &key, None, "after delete").await;
    }
    fixture
        .assert_holds(
            10,
            &other,
            Some(&Bytes::from("stays")),
            "after another was deleted",
        )
        .await;
    fixture.put(10, &key, "again").await;
    fixture
        .assert_holds(
            10,
            &key,
            Some(&Bytes::from("again")),
            "put again after delete",
        )
        .await;
}

/// Deletes these and asserts that each is given back as often as it was asked for.
async fn delete_many(fixture: &Fixture, keys: &[Key]) {
    let gone = fixture
        .store()
        .delete_many(stream::iter(keys.to_vec()).boxed());
    let gone: Vec<Key> = gone.try_collect().await.or_fail(10, "delete_many");
    let count = |keys: &[Key]| {
        keys.iter().fold(BTreeMap::new(), |mut counts, key| {
            (*counts.entry(key.clone()).or_insert(0) += 1, counts).1
        })
    };
    let (asked, gone) = (count(keys), count(&gone));
    ensure!(
        10,
        asked == gone,
        "delete_many of {} keys gives back {} others",
        asked.len(),
        gone.iter()
            .filter(|entry| asked.get(entry.0) != Some(entry.1))
            .count()
    );
}

pub(in super::super) async fn many(fixture: Fixture) {
    delete_many(&fixture, &[]).await;
    let stays = fixture.key("stays");
    fixture.put(10, &stays, "content").await;
    let mut keys: Vec<_> = (0..fixture.known().pace.many)
        .map(|n| fixture.key(&format!("many-{n:05}")))
        .collect();
    stream::iter(keys.iter().cloned())
        .map(|key| async { fixture.put(10, &{ key }, "x").await })
        .buffer_unordered(32)
        .collect::<Vec<_>>()
        .await;
    // Among them keys that are not there.
    keys.extend((0..10).map(|n| fixture.key(&format!("missing-{n}"))));
    delete_many(&fixture, &keys).await;
    ensure_eq!(
        10,
        fixture.list_keys(10, ListOptions::default()).await,
        vec![stays],
        "what is left after delete_many"
    );
    delete_many(&fixture, &keys[..keys.len().min(20)]).await;
}

pub(in super::super) async fn many_of_any_text(fixture: Fixture) {
    let keys = names::accepted(&fixture, names::RELATED);
    for key in &keys {
        fixture.put(10, key, "x").await;
    }
    // A key that the store does not take is as good as gone.
    let all: Vec<_> = names::RELATED
        .iter()
        .map(|name| Key::new(name).unwrap_or_else(|e| panic!("rule 1: {e}")))
        .collect();
    let all: Vec<_> = all
        .into_iter()
        .filter(|key| !(fixture.known().refuses)(key.as_str()))
        .collect();
    delete_many(&fixture, &all).await;
    ensure_eq!(
        10,
        fixture.list_keys(10, ListOptions::default()).await,
        vec![],
        "what is left after delete_many"
    );
}

pub(in super::super) async fn many_as_they_are_read(fixture: Fixture) {
    let taken = Arc::new(AtomicUsize::new(0));
    let key = fixture.key("missing");
    let endless = {
        let taken = Arc::clone(&taken);
        stream::repeat_with(move || (taken.fetch_add(1, Ordering::SeqCst), key.clone()).1).boxed()
    };
    let mut gone = fixture.store().delete_many(endless);
    ensure_eq!(
        10,
        taken.load(Ordering::SeqCst),
        0,
        "keys taken by delete_many before its result is read"
    );
    for _ in 0..10 {
        let gone = gone
            .next()
            .await
            .unwrap_or_else(|| panic!("rule 10: delete_many of an endless stream of keys ends"));
        gone.or_fail(10, "delete_many");
    }
    let taken = taken.load(Ordering::SeqCst);
    ensure!(
        10,
        taken <= 20_000,
        "delete_many took {taken} keys for 10 results"
    );
}
