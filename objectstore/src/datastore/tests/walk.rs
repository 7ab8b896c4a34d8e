//! Pages that are read ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use tokio::runtime::Builder;

use super::super::disk::Disk;
use super::super::open::open_on;
use super::super::walk::Walk;
use super::super::{Core, Datastore, DatastoreOptions};
use super::{runtime, sim};
use crate::{Batch, Key, ListOptions, ObjectStore};

const RECORDS: u64 = 60_000;

/// A store with records in it, and its core.
async fn filled() -> (Datastore, Arc<Core>) {
    let disk: Arc<dyn Disk> = Arc::new(sim::SimDisk::default());
    let (core, flushing) = open_on(disk, DatastoreOptions::default(), None).unwrap();
    let store = Datastore::new(Arc::clone(&core), "simulated".into(), flushing);
    let put = |batch: Batch, number: u64| {
        batch.put(
            Key::new(format!("{number:06}")).unwrap(),
            number.to_le_bytes().to_vec(),
        )
    };
    store
        .batch((0..RECORDS).fold(Batch::new(), put))
        .await
        .unwrap();
    (store, core)
}

fn keys_from(number: u64) -> Vec<String> {
    (number..RECORDS)
        .map(|number| format!("{number:06}"))
        .collect()
}

#[test]
fn a_listing_reads_a_few_pages_ahead_and_no_further() {
    runtime().block_on(async {
        let (store, core) = filled().await;
        let mut walk = Walk::new(core, ListOptions::default());
        for _ in 0..2 {
            walk.next().await.unwrap().unwrap();
        }
        let mut ahead = 0;
        // However busy the machine is, it begins some time.
        while walk.ahead() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(1)).await;
            ahead = ahead.max(walk.ahead());
        }
        assert!((1..=4).contains(&ahead), "{ahead} pages");
        // And gives all of them, in order, and what follows.
        let rest: Vec<_> = walk
            .map_ok(futures_util::stream::iter)
            .try_flatten()
            .map_ok(|entry| entry.key.to_string())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(rest, keys_from(RECORDS - rest.len() as u64));
        assert!(rest.len() as u64 > RECORDS - 100);
        store.close().await.unwrap();
    });
}

#[test]
fn a_long_listing_lets_other_tasks_go_on() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (store, core) = filled().await;
        let ticks = Arc::new(AtomicU64::new(0));
        let ticking = tokio::spawn({
            let ticks = Arc::clone(&ticks);
            async move {
                loop {
                    ticks.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            }
        });
        // A spawned task, like the one that ticks: each is asked in its turn.
        let longest = tokio::spawn(async move {
            let (mut walk, mut pages, mut longest, mut ticked) =
                (Walk::new(core, ListOptions::default()), 0, 0, 0);
            while let Some(page) = walk.next().await {
                page.unwrap();
                // So that the next ones are always there.
                std::thread::sleep(Duration::from_millis(2));
                let now = ticks.load(Ordering::Relaxed);
                pages = if now == ticked { pages + 1 } else { 0 };
                (longest, ticked) = (longest.max(pages), now);
            }
            longest
        });
        let longest = longest.await.unwrap();
        // Eight, or twice as many if it is asked again before the other one.
        assert!(
            (1..=16).contains(&longest),
            "{longest} of some sixty pages without a pause"
        );
        ticking.abort();
        store.close().await.unwrap();
    });
}

#[test]
fn a_listing_that_is_dropped_lets_go_of_the_store() {
    runtime().block_on(async {
        let (store, core) = filled().await;
        let handles = Arc::strong_count(&core);
        for asked in [0, 1, 9, 3000] {
            let mut listing = store.list(ListOptions::default());
            for _ in 0..asked {
                listing.next().await.unwrap().unwrap();
            }
            drop(listing);
            let let_go = async {
                while Arc::strong_count(&core) > handles {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(60), let_go)
                .await
                .expect("somebody still reads");
        }
    });
}

#[test]
fn a_listing_whose_runtime_is_gone_says_so() {
    let (own, other) = (
        runtime(),
        Builder::new_current_thread().enable_all().build().unwrap(),
    );
    let (_store, core) = own.block_on(filled());
    let (mut walk, handle) = (
        Walk::new(core, ListOptions::default()),
        other.handle().clone(),
    );
    other.block_on(walk.next()).unwrap().unwrap();
    other.shutdown_background();
    // If this waited for anything, it would do so for ever.
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _in_it = handle.enter();
        ended.send(futures_util::FutureExt::now_or_never(
            walk.collect::<Vec<_>>(),
        ))
    });
    let rest = end
        .recv_timeout(Duration::from_secs(60))
        .expect("an answer")
        .expect("an end");
    assert_eq!(rest.len(), 1);
    let error = rest.into_iter().next().unwrap().unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
}
