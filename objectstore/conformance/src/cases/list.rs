//! Rule 11: listings, in the store's order, by a prefix that is text, from any key on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};

use super::super::Fixture;
use super::super::check::{OrFail, brief, ensure, ensure_eq};
use super::super::content::stamped;
use super::super::names;
use storehouse_objectstore::{Entry, Key, ListOptions};

/// Writes an object of its own length under each name that the store takes, and gives the keys in
/// the store's order.
async fn filled(fixture: &Fixture) -> Vec<Key> {
    let mut keys = names::accepted(fixture, names::RELATED);
    for (len, key) in keys.iter().enumerate() {
        fixture.put(11, key, vec![0; len]).await;
    }
    let order = fixture.store().capabilities().order.clone();
    keys.sort_by(|a, b| order.compare(a, b));
    keys
}

/// What a listing of `keys`, which are in order, has to give.
fn expected(fixture: &Fixture, keys: &[Key], options: &ListOptions) -> Vec<Key> {
    let order = &fixture.store().capabilities().order;
    keys.iter()
        .filter(|key| key.as_str().starts_with(&options.prefix))
        .filter(|key| {
            options
                .start_after
                .as_ref()
                .is_none_or(|after| order.compare(key, after).is_gt())
        })
        .take(options.limit.unwrap_or(usize::MAX))
        .cloned()
        .collect()
}

async fn assert_lists(fixture: &Fixture, keys: &[Key], options: ListOptions) {
    let expected = expected(fixture, keys, &options);
    let listed = fixture.list_keys(11, options.clone()).await;
    ensure_eq!(11, listed, expected, "list {options:?}");
}

pub(in super::super) async fn empty(fixture: Fixture) {
    let after = fixture.key("a");
    for options in [
        ListOptions::default(),
        ListOptions::default().prefix("a"),
        ListOptions::default().limit(0),
        ListOptions::default().limit(10).start_after(after),
    ] {
        assert_lists(&fixture, &[], options).await;
    }
}

pub(in super::super) async fn order(fixture: Fixture) {
    let keys = filled(&fixture).await;
    assert_lists(&fixture, &keys, ListOptions::default()).await;
}

pub(in super::super) async fn entries(fixture: Fixture) {
    filled(&fixture).await;
    for entry in fixture.list(11, ListOptions::default()).await {
        let head = fixture
            .store()
            .head(&entry.key)
            .await
            .or_fail(11, format_args!("head of {:?}, which is listed", entry.key));
        // The times may differ in precision: a server gives milliseconds here and seconds there.
        ensure_eq!(
            11,
            (entry.metadata.size, &entry.metadata.etag),
            (head.size, &head.etag),
            "size and ETag listed for {:?}",
            entry.key
        );
    }
}

pub(in super::super) async fn prefixes_are_text(fixture: Fixture) {
    let keys = filled(&fixture).await;
    // Every beginning of every key, whole or cut within a segment, and some that begin nothing.
    let mut prefixes: Vec<String> = vec![
        "nothing-starts-so".into(),
        "/".into(),
        "a//".into(),
        "%".into(),
        "..".into(),
        "\u{10ffff}".into(),
    ];
    for key in &keys {
        prefixes.extend(
            key.as_str()
                .char_indices()
                .map(|(at, _)| key.as_str()[..at].to_owned()),
        );
        prefixes.push(key.to_string());
        prefixes.push(format!("{key}0"));
    }
    prefixes.sort();
    prefixes.dedup();
    for prefix in prefixes {
        assert_lists(&fixture, &keys, ListOptions::default().prefix(prefix)).await;
    }
}

pub(in super::super) async fn resume_at_every_key(fixture: Fixture) {
    let keys = filled(&fixture).await;
    // Keys that are there, keys that are not, keys that the store would not take.
    let others = [
        "-",
        "0a",
        "a-a",
        "ab0",
        "b-",
        "zzzz",
        "a/a",
        "a/b!",
        "~~~",
        "\u{10ffff}",
    ];
    let others = others
        .iter()
        .map(|text| Key::new(text).unwrap_or_else(|e| panic!("rule 1: {e}")));
    for after in keys.iter().cloned().chain(others) {
        assert_lists(
            &fixture,
            &keys,
            ListOptions::default().start_after(after.clone()),
        )
        .await;
        for prefix in ["a", "a-", "b"] {
            assert_lists(
                &fixture,
                &keys,
                ListOptions::default()
                    .prefix(prefix)
                    .start_after(after.clone()),
            )
            .await;
        }
    }
}

pub(in super::super) async fn limits(fixture: Fixture) {
    let keys = filled(&fixture).await;
    for limit in [
        0,
        1,
        2,
        keys.len() - 1,
        keys.len(),
        keys.len() + 1,
        1000,
        1001,
        usize::MAX,
    ] {
        assert_lists(&fixture, &keys, ListOptions::default().limit(limit)).await;
        assert_lists(
            &fixture,
            &keys,
            ListOptions::default()
                .limit(limit)
                .prefix("a")
                .start_after(keys[1].clone()),
        )
        .await;
    }
    // A walk in steps of three, each from where the one before ended.
    let mut walked: Vec<Key> = Vec::new();
    loop {
        let options = ListOptions::default()
            .start_after(walked.last().cloned())
            .limit(3);
        let page = fixture.list_keys(11, options).await;
        if page.is_empty() {
            break;
        }
        ensure!(
            11,
            walked.len() < keys.len(),
            "a walk in steps of three does not end"
        );
        walked.extend(page);
    }
    ensure_eq!(11, walked, keys, "a walk in steps of three");
}

/// Writes as many small objects as the store's pace affords, many at once.
async fn many(fixture: &Fixture) -> Vec<Key> {
    let mut keys: Vec<_> = (0..fixture.known().pace.many)
        .map(|n| fixture.key(&format!("many-{:05}", n * 7919 % 99_991)))
        .collect();
    futures_util::stream::iter(keys.iter().cloned())
        .map(|key| async move { fixture.put(11, &key, "x").await })
        .buffer_unordered(32)
        .collect::<Vec<_>>()
        .await;
    let order = fixture.store().capabilities().order.clone();
    keys.sort_by(|a, b| order.compare(a, b));
    keys
}

pub(in super::super) async fn more_than_a_page(fixture: Fixture) {
    let keys = many(&fixture).await;
    assert_lists(&fixture, &keys, ListOptions::default()).await;
    let middle = keys[keys.len() / 2].clone();
    assert_lists(
        &fixture,
        &keys,
        ListOptions::default().start_after(middle.clone()),
    )
    .await;
    assert_lists(
        &fixture,
        &keys,
        ListOptions::default().prefix("many-0").start_after(middle),
    )
    .await;
    for limit in [keys.len() - 1, 999, 1000, 1001] {
        assert_lists(&fixture, &keys, ListOptions::default().limit(limit)).await;
    }
}

pub(in super::super) async fn left_unread(fixture: Fixture) {
    let keys = filled(&fixture).await;
    let mut listings: Vec<_> = (0..8)
        .map(|_| fixture.store().list(ListOptions::default()))
        .collect();
    for listing in &mut listings {
        let first = listing
            .next()
            .await
            .map(|entry| entry.or_fail(11, "the first entry").key);
        ensure_eq!(
            11,
            first.as_ref(),
            keys.first(),
            "the first key of a listing"
        );
    }
    // Rule 13: nothing waits for unread listings. Half of them are dropped, half read
    // on.
    let late = fixture.key("late");
    fixture.put(13, &late, "put during listings").await;
    fixture.delete(13, &late).await;
    listings.truncate(4);
    for listing in listings {
        let rest: Vec<_> = listing
            .map_ok(|entry| entry.key)
            .try_collect()
            .await
            .or_fail(11, "reading on");
        let rest: Vec<_> = rest.into_iter().filter(|key| *key != late).collect();
        ensure_eq!(
            11,
            rest,
            keys[1..].to_vec(),
            "the rest of a listing that was left unread for a while"
        );
    }
}

pub(in super::super) async fn values(fixture: Fixture) {
    let keys = names::accepted(&fixture, names::RELATED);
    let puts = Mutex::new(HashMap::new());
    let put = async |key: &Key, bytes: Bytes| {
        let put = fixture.put(11, key, bytes.clone()).await;
        puts.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((key.clone(), put.etag), bytes);
    };
    for (number, key) in keys.iter().enumerate() {
        put(key, stamped(number as u64, 8 * number)).await;
    }
    for entry in fixture.list(11, ListOptions::default()).await {
        ensure!(
            11,
            entry.value.is_none(),
            "bytes were listed for {:?} though nobody asked for them",
            entry.key
        );
    }
    let mut listed = Vec::new();
    for most in [0, 64, 65, u64::MAX] {
        for entry in fixture
            .list(11, ListOptions::default().inline_values(most))
            .await
        {
            ensure!(
                11,
                entry.value.is_none() || entry.metadata.size <= most,
                "bytes of {:?}, which has more than {most}",
                entry.key
            );
            listed.push(entry);
        }
    }
    // While other versions come.
    let listing = async {
        for limit in [1, keys.len(), usize::MAX] {
            listed.extend(
                fixture
                    .list(
                        11,
                        ListOptions::default().inline_values(u64::MAX).limit(limit),
                    )
                    .await,
            );
        }
    };
    let writing = async {
        for (number, key) in keys.iter().enumerate() {
            put(key, stamped(1000 + number as u64, 8 * number + 100)).await;
        }
    };
    futures_util::join!(listing, writing);
    let puts = puts.into_inner().unwrap_or_else(PoisonError::into_inner);
    for Entry {
        key,
        metadata,
        value,
    } in listed
    {
        let Some(value) = value else { continue };
        let written = puts.get(&(key.clone(), metadata.etag.clone()));
        ensure!(
            7,
            written == Some(&value) && value.len() as u64 == metadata.size,
            "{} listed for {key:?} with {metadata:?}, which is {}",
            brief(Some(&value)),
            brief(written)
        );
    }
}

pub(in super::super) async fn while_writing(fixture: Fixture) {
    let stable: Vec<_> = (0..fixture.known().pace.many.min(200))
        .map(|n| fixture.key(&format!("stable-{n:03}")))
        .collect();
    for key in &stable {
        fixture.put(11, key, "stays").await;
    }
    let done = Arc::new(AtomicBool::new(false));
    let churn = {
        let (store, done) = (fixture.handle(), Arc::clone(&done));
        let keys: Vec<_> = (0..20)
            .map(|n| fixture.key(&format!("stable-{:03}-churn", n * 10)))
            .collect();
        tokio::spawn(async move {
            while !done.load(Ordering::SeqCst) {
                for key in &keys {
                    store
                        .put_opts(
                            key,
                            Bytes::from_static(b"comes and goes").into(),
                            Default::default(),
                        )
                        .await
                        .or_fail(11, "put during a listing");
                }
                for key in &keys {
                    store
                        .delete(key)
                        .await
                        .or_fail(11, "delete during a listing");
                }
                tokio::task::yield_now().await;
            }
        })
    };
    let order = fixture.store().capabilities().order.clone();
    let mut in_order = stable.clone();
    in_order.sort_by(|a, b| order.compare(a, b));
    for round in 0..fixture.known().pace.rounds.min(20) {
        let listed = fixture.list_keys(11, ListOptions::default()).await;
        let wrong = listed
            .windows(2)
            .find(|pair| order.compare(&pair[0], &pair[1]).is_ge());
        ensure!(
            11,
            wrong.is_none(),
            "a listing while writing gives {wrong:?}, which are not in order"
        );
        let kept: Vec<_> = listed
            .into_iter()
            .filter(|key| !key.as_str().ends_with("churn"))
            .collect();
        ensure_eq!(
            11,
            kept,
            in_order,
            "the objects that stay, listed while others come and go, round {round}"
        );
    }
    done.store(true, Ordering::SeqCst);
    churn
        .await
        .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
}
