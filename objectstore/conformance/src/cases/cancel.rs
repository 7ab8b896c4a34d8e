//! Rules 2 and 12: an operation dropped at any await leaves nothing behind.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use super::super::Fixture;
use super::super::bodies::{Step, halting, script};
use super::super::check::{OrFail, brief, ensure};
use super::super::content::stamped;
use storehouse_objectstore::{Body, GetOptions, Key, ListOptions, PutOptions};

/// When a future is dropped.
#[derive(Clone, Copy, Debug)]
enum Drop {
    /// As soon as it was polled so often: what it waits for has only begun.
    AtOnce(usize),
    /// When it is woken after this number of polls: what it waits for has happened.
    WhenWoken(usize),
}

/// Runs a future until it is done (and gives its output) or until it is to be dropped; counts its
/// polls.
async fn dropped<T>(future: impl Future<Output = T>, when: Drop, polls: &mut usize) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if matches!(when, Drop::AtOnce(0))
            || matches!(when, Drop::WhenWoken(after) if *polls > after)
        {
            return Poll::Ready(None);
        }
        *polls += 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if matches!(when, Drop::AtOnce(after) if *polls >= after) => {
                Poll::Ready(None)
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// All the moments to drop a future that takes `polls` polls, or as many of them as the store's
/// pace affords, spread evenly.
fn moments(fixture: &Fixture, polls: usize) -> impl Iterator<Item = Drop> + use<> {
    let affordable = (fixture.known().pace.rounds / 2).max(2);
    let count = (polls + 1).min(affordable);
    (0..count)
        .map(move |n| n * polls / (count - 1).max(1))
        .flat_map(|after| [Drop::AtOnce(after), Drop::WhenWoken(after)])
}

/// Counts the polls that an operation takes when it is left alone.
async fn polls_of<T>(future: impl Future<Output = T>) -> usize {
    let mut polls = 0;
    dropped(future, Drop::WhenWoken(usize::MAX), &mut polls).await;
    polls
}

/// Asserts that the key holds one of these, whole.
async fn assert_one_of(fixture: &Fixture, key: &Key, versions: &[Option<&Bytes>], when: &str) {
    let there = fixture.read(2, key).await;
    ensure!(
        2,
        versions.contains(&there.as_ref()),
        "{when}, {key:?} holds {}, which is neither the old nor the new object",
        brief(there.as_ref())
    );
}

/// Drops puts of `new` at every await, over an object and over none.
async fn puts(fixture: &Fixture, new: &Bytes, piece: usize) {
    let old = stamped(1, 5000);
    let options = PutOptions::default().size(new.len() as u64);
    let body = || -> Body { script(halting(new, piece)).0 };
    let polls = polls_of(fixture.store().put_opts(
        &fixture.key("measured"),
        body(),
        options.clone(),
    ))
    .await;
    for (round, when) in moments(fixture, polls).enumerate() {
        for was in [None, Some(&old)] {
            // A key of its own: what was dropped may still arrive, but never over what is put
            // elsewhere.
            let key = fixture.key(&format!(
                "cancelled-{}-{round}-{}",
                new.len(),
                was.is_some()
            ));
            if let Some(old) = was {
                fixture.put(2, &key, old.clone()).await;
            }
            let done = dropped(
                fixture.store().put_opts(&key, body(), options.clone()),
                when,
                &mut 0,
            )
            .await;
            let possible = match done {
                Some(put) => (put.or_fail(2, "put"), [Some(new); 2]).1,
                None => [was, Some(new)],
            };
            let story = format!(
                "after a put of {} bytes in {polls} polls was dropped {when:?}",
                new.len()
            );
            assert_one_of(fixture, &key, &possible, &story).await;
            fixture.assert_nothing_left(12, &story).await;
            assert_one_of(fixture, &key, &possible, &story).await;
            // No lock is left on the key either.
            let next = stamped(3, 100);
            fixture.put(12, &key, next.clone()).await;
            assert_one_of(
                fixture,
                &key,
                &[Some(&next), Some(new)],
                "after the next put",
            )
            .await;
        }
    }
}

pub(in super::super) async fn put_at_every_await(mut fixture: Fixture) {
    puts(&fixture, &stamped(2, 200_000), 50_000).await;
    // Again, in parts where there are parts.
    let large = fixture.known().pace.largest.min(11 << 20) as usize;
    puts(&fixture, &stamped(2, large), 2 << 20).await;
    fixture.reopen().await;
    fixture
        .assert_nothing_left(12, "cancelled puts and opening again")
        .await;
}

pub(in super::super) async fn put_that_waits_for_its_body(mut fixture: Fixture) {
    let (key, old) = (fixture.key("waits"), stamped(1, 5000));
    fixture.put(2, &key, old.clone()).await;
    for given in [0, 1, 70_000, 6 << 20, 10 << 20] {
        let new = stamped(2, 11 << 20);
        let (body, taken) = script(halting(&new.slice(..given), 1 << 20).chain([Step::Hang]));
        let options = PutOptions::default().size(new.len() as u64);
        let mut put = fixture.store().put_opts(&key, body, options);
        // Until it has taken all that there is.
        while taken.bytes() < given as u64 {
            let step = tokio::time::timeout(std::time::Duration::from_millis(1), &mut put).await;
            ensure!(
                2,
                step.is_err(),
                "a put of a body that does not end gives {step:?}"
            );
        }
        drop(put);
        fixture
            .assert_holds(
                2,
                &key,
                Some(&old),
                "after a put was dropped that waited for its body",
            )
            .await;
        fixture
            .assert_nothing_left(12, "a put dropped while it waited for its body")
            .await;
    }
    fixture.reopen().await;
    fixture
        .assert_holds(2, &key, Some(&old), "opened again")
        .await;
}

pub(in super::super) async fn reads_at_every_await(mut fixture: Fixture) {
    let (key, bytes) = (fixture.key("read"), stamped(1, 2 << 20));
    fixture.put(12, &key, bytes.clone()).await;
    let store = fixture.handle();
    let whole = || async {
        store
            .get_opts(&key, GetOptions::default())
            .await?
            .body
            .collect(u64::MAX)
            .await
    };
    for when in moments(&fixture, polls_of(whole()).await) {
        dropped(whole(), when, &mut 0).await;
    }
    let head = || store.head(&key);
    for when in moments(&fixture, polls_of(head()).await) {
        dropped(head(), when, &mut 0).await;
    }
    let list = || store.list(ListOptions::default()).collect::<Vec<_>>();
    for when in moments(&fixture, polls_of(list()).await) {
        dropped(list(), when, &mut 0).await;
    }
    let health = || store.health();
    for when in moments(&fixture, polls_of(health()).await) {
        dropped(health(), when, &mut 0).await;
    }
    drop(store);
    fixture
        .assert_holds(12, &key, Some(&bytes), "after reads that were dropped")
        .await;
    fixture.reopen().await;
    fixture
        .assert_holds(12, &key, Some(&bytes), "opened again")
        .await;
}

pub(in super::super) async fn deletes_at_every_await(mut fixture: Fixture) {
    let bytes = stamped(1, 1000);
    let one = fixture.key("one");
    let polls = polls_of(fixture.store().delete(&one)).await.max(4);
    for when in moments(&fixture, polls) {
        fixture.put(12, &one, bytes.clone()).await;
        dropped(fixture.store().delete(&one), when, &mut 0).await;
        assert_one_of(
            &fixture,
            &one,
            &[None, Some(&bytes)],
            "after a delete that was dropped",
        )
        .await;
        fixture.delete(12, &one).await;
        fixture
            .assert_holds(12, &one, None, "after the next delete")
            .await;
    }
    let keys: Vec<_> = (0..5).map(|n| fixture.key(&format!("many-{n}"))).collect();
    let many = || {
        fixture
            .store()
            .delete_many(stream::iter(keys.clone()).boxed())
            .collect::<Vec<_>>()
    };
    let polls = polls_of(many()).await.max(4);
    for when in moments(&fixture, polls) {
        for key in &keys {
            fixture.put(12, key, bytes.clone()).await;
        }
        dropped(many(), when, &mut 0).await;
        for key in &keys {
            assert_one_of(
                &fixture,
                key,
                &[None, Some(&bytes)],
                "after delete_many was dropped",
            )
            .await;
            fixture.delete(12, key).await;
        }
    }
    fixture
        .assert_nothing_left(12, "deletes that were dropped")
        .await;
    fixture.reopen().await;
}
