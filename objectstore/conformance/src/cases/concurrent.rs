//! Rules 2, 6 and 7: many at once on one key.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;

use super::super::Fixture;
use super::super::bodies::{halting, script};
use super::super::check::{OrFail, ensure, ensure_eq, read};
use super::super::content::{stamped, version_of};
use super::super::register::{Act, Event, is_linearizable};
use storehouse_objectstore::{
    Error, GetOptions, Key, ListOptions, ObjectStore, PutMode, PutOptions, Result,
};

/// Workers on one key, and what each does in a round: with one more event it is a history of at
/// most 64.
const WORKERS: u64 = 4;
const STEPS: u64 = 6;

/// Lengths of objects: some of one piece, some of several, so that sizes tell versions apart too.
fn content(version: u64) -> bytes::Bytes {
    stamped(version, [40, 3_000, 200_000, 70_000][version as usize % 4])
}

/// What the key holds; an error where the store is known to show unfinished writes.
async fn look(store: &dyn ObjectStore, key: &Key) -> Result<Option<u64>> {
    let object = match store.get_opts(key, GetOptions::default()).await {
        Err(Error::NotFound { .. }) => return Ok(None),
        got => got?,
    };
    let size = object.size();
    let bytes = object.body.collect(1 << 20).await?;
    ensure_eq!(
        7,
        bytes.len() as u64,
        size,
        "the length of an object read during writes, against its size"
    );
    Ok(Some(version_of(&bytes).unwrap_or_else(|what| {
        panic!("rule 2: a reader during writes sees {what}")
    })))
}

/// One operation, chosen by `choice`, and what came of it.
async fn act(store: &dyn ObjectStore, key: &Key, choice: u64, version: u64) -> Result<Act> {
    let create = store.capabilities().create;
    Ok(match choice % 10 {
        0..=2 => store
            .put_opts(key, content(version).into(), PutOptions::default())
            .await
            .map(|_| Act::Wrote(version))?,
        3 if create => match store
            .put_opts(
                key,
                content(version).into(),
                PutOptions::default().mode(PutMode::Create),
            )
            .await
        {
            Ok(_) => Act::Created(version),
            Err(Error::AlreadyExists { .. }) => Act::FoundItThere,
            Err(error) => return Err(error),
        },
        4 | 5 => store.delete(key).await.map(|()| Act::Deleted)?,
        _ => Act::Saw(look(store, key).await?),
    })
}

/// A number that looks random, for a seed.
fn scatter(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub(in super::super) async fn is_linearizable_on_one_key(fixture: Fixture) {
    let key = fixture.key("register");
    let clock = Arc::new(AtomicU64::new(0));
    let mut held = None;
    for round in 0..fixture.known().pace.rounds as u64 {
        let workers = (0..WORKERS).map(|worker| {
            let (store, key, clock) = (fixture.handle(), key.clone(), Arc::clone(&clock));
            tokio::spawn(async move {
                let mut events = Vec::new();
                for step in 0..STEPS {
                    let version = (round * WORKERS + worker) * STEPS + step;
                    let called = clock.fetch_add(1, Ordering::SeqCst);
                    let act = act(&*store, &key, scatter(version), version).await;
                    let returned = clock.fetch_add(1, Ordering::SeqCst);
                    events.push((called, returned, act));
                }
                events
            })
        });
        let mut history = Vec::new();
        for (called, returned, act) in join_all(workers)
            .await
            .into_iter()
            .flat_map(|events| events.unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic())))
        {
            match act {
                Ok(act) => history.push(Event {
                    called,
                    returned,
                    act,
                }),
                failed if fixture.known().linearizable => {
                    let _: Act = failed.or_fail(6, "an operation among others on one key");
                }
                Err(_) => {}
            }
        }
        // At rest, what is there is whole, however it got there.
        let last = read(fixture.store(), 6, &key).await;
        let last = last.map(|bytes| {
            version_of(&bytes).unwrap_or_else(|what| {
                panic!("rule 2: at rest after writes at once there are {what}")
            })
        });
        let now = clock.fetch_add(2, Ordering::SeqCst);
        history.push(Event {
            called: now,
            returned: now + 1,
            act: Act::Saw(last),
        });
        history.sort_by_key(|event| event.called);
        if fixture.known().linearizable {
            ensure!(
                6,
                is_linearizable(held, &history),
                "no order of these operations on a key that held {held:?} explains their answers: {history:#?}"
            );
        }
        held = last;
    }
    fixture
        .assert_nothing_left(6, "writes and deletes at once")
        .await;
}

pub(in super::super) async fn readers_see_whole_versions(fixture: Fixture) {
    let key = fixture.key("versions");
    let version = |n: u64| stamped(n, 300_000 + n as usize % 7);
    fixture.put(2, &key, version(0)).await;
    let last = 4 * fixture.known().pace.rounds as u64;
    let written = Arc::new(AtomicU64::new(0));
    let readers: Vec<_> = (0..3)
        .map(|_| {
            let (store, key, written) = (fixture.handle(), key.clone(), Arc::clone(&written));
            let linearizable = fixture.known().linearizable;
            tokio::spawn(async move {
                let mut newest = 0;
                while newest < last {
                    let before = written.load(Ordering::SeqCst);
                    let seen = match look(&*store, &key).await {
                        Err(_) if !linearizable => continue,
                        seen => seen
                            .or_fail(7, "a read during overwrites")
                            .unwrap_or_else(|| {
                                panic!("rule 2: an object is gone while it is overwritten")
                            }),
                    };
                    ensure!(
                        6,
                        seen >= before,
                        "a reader sees version {seen} after the put of version {before} returned"
                    );
                    ensure!(
                        6,
                        seen >= newest,
                        "a reader sees version {seen} after it saw version {newest}"
                    );
                    newest = seen;
                    // A store that never makes its reader wait would leave no thread for the
                    // writer.
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for n in 1..=last {
        // In pieces, with a wait before each: time enough to see an unfinished one.
        let options = PutOptions::default().size(version(n).len() as u64);
        fixture
            .try_put(&key, script(halting(&version(n), 90_000)).0, options)
            .await
            .or_fail(6, "overwrite");
        written.store(n, Ordering::SeqCst);
    }
    for reader in readers {
        reader
            .await
            .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
    }
}

pub(in super::super) async fn many_keys_at_once(fixture: Fixture) {
    let puts = (0..100).map(|n| {
        let (store, key) = (fixture.handle(), fixture.key(&format!("at-once-{n:03}")));
        tokio::spawn(async move {
            store
                .put_opts(&key, content(n).into(), PutOptions::default())
                .await
        })
    });
    for put in join_all(puts).await {
        put.expect("a put panicked")
            .or_fail(6, "one of 100 puts at once");
    }
    let keys = fixture.list_keys(11, ListOptions::default()).await;
    ensure_eq!(6, keys.len(), 100, "objects after 100 puts at once");
    for n in 0..100 {
        let key = fixture.key(&format!("at-once-{n:03}"));
        ensure!(
            6,
            fixture.read(6, &key).await == Some(content(n)),
            "object {n} of 100 put at once is another"
        );
    }
}
