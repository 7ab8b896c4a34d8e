//! Reads: the first good answer, and repair.

use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_layers::{Fault, FaultStore, MirrorOptions, MirrorStore, ScrubOptions};
use storehouse_objectstore::{
    ErrorClass, GetOptions, ListOptions, ObjectStore, ObjectStoreExt, Operation,
};
use tokio::time::Instant;

use super::support::{assert_same, content, down, key, mirror, raw, repaired, replica, up};

#[tokio::test(start_paused = true)]
async fn reads_are_hedged() {
    let options = MirrorOptions::default().hedge_after(Duration::from_millis(10));
    let store = mirror(2, options);
    let large = content(2, 3_000_000);
    store.put(&key("small"), "small").await.unwrap();
    store.put(&key("large"), large.clone()).await.unwrap();
    let faults = replica(&store, 0).faults().clone();
    let hour = Duration::from_secs(3600);
    let quick = |begin: Instant| assert!(begin.elapsed() < Duration::from_millis(100));

    faults.add(Fault::delay(hour).on(Operation::Get));
    let begin = Instant::now();
    assert_eq!(store.get_bytes(&key("small"), 10).await.unwrap(), "small");
    quick(begin);
    // The content, after its size is known; at its beginning and in its middle.
    for (n, fault) in [
        Fault::delay(hour),
        Fault::stall(0, hour),
        Fault::stall(2_000_000, hour),
    ]
    .into_iter()
    .enumerate()
    {
        faults.clear();
        faults.add(fault.on(Operation::Get).skip(1));
        let begin = Instant::now();
        let read = store.get_bytes(&key("large"), 1 << 22).await.unwrap();
        assert!(read == large);
        quick(begin);
        assert_eq!(faults.happened(), n as u64 + 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_goes_on_in_another_replica() {
    let store = mirror(3, MirrorOptions::default());
    let large = content(2, 3_000_000);
    store.put(&key("a"), large.clone()).await.unwrap();
    for at in [0, 1, 1_048_576, 2_999_999] {
        for fault in [Fault::cut(at), Fault::short(at)] {
            for first in 0..3 {
                replica(&store, first).faults().clear();
            }
            let all = store.replicas().map(FaultStore::faults);
            // Of each replica the second get, which is the content's.
            all.take(2).for_each(|faults| {
                faults.add(fault.clone().on(Operation::Get).skip(1));
            });
            let read = store.get_bytes(&key("a"), 1 << 22).await.unwrap();
            assert!(read == large, "broken after {at}");
        }
    }
}

/// A hedge uses up no replica, whether it was lost or won.
#[tokio::test(start_paused = true)]
async fn after_a_hedge_a_body_still_has_the_other_replica_to_go_on_in() {
    let store = mirror(2, MirrorOptions::default());
    let large = content(2, 3_000_000);
    store.put(&key("a"), large.clone()).await.unwrap();
    let faults = |of: usize| replica(&store, of).faults();
    let millis = Duration::from_millis;
    let content_of = |fault: Fault| fault.on(Operation::Get).skip(1);
    let stall = |time| content_of(Fault::stall(1_000_000, time));
    let late = || Fault::delay(millis(1000)).on(Operation::Get);
    let stalls_early = || content_of(Fault::stall(0, millis(1000)));
    let cut = |at| content_of(Fault::cut(at));
    for (first, second) in [
        // Lost before the other replica has said what it holds, and before its first piece.
        (vec![stall(millis(300)), cut(2_000_000)], vec![late()]),
        (
            vec![stall(millis(300)), cut(2_000_000)],
            vec![stalls_early()],
        ),
        // Won.
        (vec![stall(millis(3_600_000))], vec![cut(1_000_000)]),
    ] {
        for (of, planned) in [(0, first), (1, second)] {
            faults(of).clear();
            planned.into_iter().for_each(|fault| faults(of).add(fault));
        }
        let read = store.get_bytes(&key("a"), 1 << 22).await.unwrap();
        assert!(read == large);
        // Until the replica that was cut is asked first again.
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    // A body that is slow all the time is not asked for again with each piece.
    faults(0).clear();
    faults(1).clear();
    for n in 1..15 {
        faults(0).add(content_of(Fault::stall(n * 200_000, millis(150))));
    }
    faults(1).add(late().always());
    let before = faults(1).calls(Operation::Get);
    let read = store.get_bytes(&key("a"), 1 << 22).await.unwrap();
    assert!(read == large);
    assert_eq!(faults(1).calls(Operation::Get) - before, 1);
}

#[tokio::test(start_paused = true)]
async fn the_next_replica_is_asked_at_once_when_one_fails() {
    let store = mirror(
        2,
        MirrorOptions::default().hedge_after(Duration::from_secs(5)),
    );
    store.put(&key("a"), "content").await.unwrap();
    down(&store, 0);
    let begin = Instant::now();
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "content");
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // Without need, only one is asked.
    let asked = |of: usize| replica(&store, of).faults().calls(Operation::Get);
    up(&store, 0);
    tokio::time::sleep(Duration::from_secs(60)).await;
    let before = (asked(0), asked(1));
    store.head(&key("a")).await.unwrap();
    assert_eq!((asked(0), asked(1)), (before.0 + 1, before.1));
}

#[tokio::test]
async fn a_read_repairs() {
    let store = mirror(3, MirrorOptions::default());
    let large = content(1, 300_000);
    for (name, bytes) in [("small", Bytes::from("small")), ("large", large)] {
        store.put(&key(name), bytes.clone()).await.unwrap();
        replica(&store, 0).inner().delete(&key(name)).await.unwrap();
        assert_eq!(store.get_bytes(&key(name), 1 << 20).await.unwrap(), bytes);
        repaired(&store, 0, &key(name)).await;
    }
    assert_same(&store).await;
}

#[tokio::test]
async fn damage_in_one_replica_is_not_given_and_repaired() {
    let store = mirror(3, MirrorOptions::default());
    let small = content(9, 1000);
    store.put(&key("a"), small.clone()).await.unwrap();
    let good = raw(replica(&store, 1).inner()).await;
    let inner = replica(&store, 0).inner().clone();
    let stored = good[0].1.clone();
    for at in [0, 999, 1000, 1008, 1016, 1024, 1028, 1032, 1036, 1043] {
        let mut damaged = stored.to_vec();
        damaged[at] ^= 1;
        inner.put(&key("a"), damaged).await.unwrap();
        assert_eq!(store.get_bytes(&key("a"), 1000).await.unwrap(), small);
        let range = store.get_range(&key("a"), 10..20).await.unwrap();
        assert_eq!(range.body.collect(10).await.unwrap(), small.slice(10..20));
        let options = ScrubOptions::default().contents(true);
        let scrubbed: Vec<_> = store.scrub_keys(options).try_collect().await.unwrap();
        assert!(scrubbed[0].failed.is_empty(), "{scrubbed:?}");
        assert_eq!(
            inner.get_bytes(&key("a"), 2000).await.unwrap(),
            stored,
            "byte {at}"
        );
    }
    for odd in [
        "",
        "short",
        "what was not written by a mirror, though long enough for it",
    ] {
        inner.put(&key("a"), odd).await.unwrap();
        assert_eq!(store.get_bytes(&key("a"), 1000).await.unwrap(), small);
        let entries = store.list(ListOptions::default()).try_collect::<Vec<_>>();
        assert_eq!(entries.await.unwrap().len(), 1);
        store.scrub().await.unwrap();
        assert_eq!(inner.get_bytes(&key("a"), 2000).await.unwrap(), stored);
    }
    // Of a large content the last piece is held back until all was right.
    let large = content(4, 2_000_000);
    store.put(&key("b"), large.clone()).await.unwrap();
    let mut damaged = inner.get_bytes(&key("b"), 1 << 22).await.unwrap().to_vec();
    damaged[5] ^= 1;
    inner.put(&key("b"), damaged).await.unwrap();
    let error = store.get_bytes(&key("b"), 1 << 22).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
    for _ in 0..1000 {
        if store
            .get_bytes(&key("b"), 1 << 22)
            .await
            .is_ok_and(|read| read == large)
            && inner.get_bytes(&key("b"), 1 << 22).await.unwrap()[5] == large[5]
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("the damaged content was not repaired");
}

#[tokio::test]
async fn a_version_has_one_tag_in_all_replicas() {
    let store = mirror(3, MirrorOptions::default());
    let etag = store.put(&key("a"), "content").await.unwrap().etag;
    for out in 0..3 {
        down(&store, out);
        let options = GetOptions::default().if_match(etag.clone());
        let object = store.get_opts(&key("a"), options).await.unwrap();
        assert_eq!(object.metadata.etag, etag);
        up(&store, out);
    }
    // Another mirror of the same replicas goes on from there, whatever its clock says.
    let other = MirrorStore::new(store.replicas().cloned(), MirrorOptions::default()).unwrap();
    assert_eq!(other.head(&key("a")).await.unwrap().etag, etag);
    let newer = other.put(&key("a"), "other").await.unwrap().etag;
    assert!(newer.as_str() > etag.as_str());
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "other");
}

/// Each request takes 5 ms, as to a server far away.
#[tokio::test(start_paused = true)]
async fn an_eager_get_takes_one_round_trip() {
    for (eager, round_trips) in [(true, 1), (false, 2)] {
        let options = MirrorOptions::default().eager_gets(eager);
        let store = mirror(2, options);
        let large = content(2, 300_000);
        store.put(&key("a"), large.clone()).await.unwrap();
        store.put(&key("none"), "").await.unwrap();
        for of in store.replicas() {
            let far = Fault::delay(Duration::from_millis(5)).on(Operation::Get);
            of.faults().add(far.always());
        }
        let begin = Instant::now();
        assert!(store.get_bytes(&key("a"), 1 << 20).await.unwrap() == large);
        let took = begin.elapsed().as_millis();
        assert!(
            (5 * round_trips..5 * round_trips + 4).contains(&took),
            "{took} ms"
        );
        assert_eq!(store.get_bytes(&key("none"), 0).await.unwrap(), "");
        assert!(store.get(&key("b")).await.unwrap_err().is_not_found());
    }
}

#[tokio::test(start_paused = true)]
async fn an_eager_get_gives_the_newest_whatever_the_first_replica_has() {
    let options = MirrorOptions::default()
        .eager_gets(true)
        .repair_reads(false);
    let store = mirror(3, options);
    let (old, new) = (content(1, 300_000), content(2, 300_000));
    store.put(&key("a"), old).await.unwrap();
    let first = replica(&store, 0).faults();
    down(&store, 0);
    store.put(&key("a"), new.clone()).await.unwrap();
    up(&store, 0);
    // As another process that does not know which replica is behind.
    let store = MirrorStore::new(
        store.replicas().cloned(),
        MirrorOptions::default()
            .eager_gets(true)
            .repair_reads(false),
    )
    .unwrap();
    let a = key("a");
    let get = || store.get_bytes(&a, 1 << 20);
    assert!(get().await.unwrap() == new);
    store.scrub().await.unwrap();
    let hour = Duration::from_secs(3600);
    for fault in [
        Fault::error(ErrorClass::Transient).on(Operation::Get),
        Fault::delay(hour).on(Operation::Get),
        Fault::cut(100_000).on(Operation::Get),
        Fault::cut(300_000).on(Operation::Get),
        Fault::stall(100_000, hour).on(Operation::Get),
    ] {
        for skip in [0, 1] {
            first.clear();
            first.add(fault.clone().skip(skip));
            let begin = Instant::now();
            assert!(get().await.unwrap() == new, "{fault:?}");
            assert!(begin.elapsed() < Duration::from_secs(1), "{fault:?}");
        }
    }
}

/// What one reader saw the next one sees, although it asks another replica.
#[tokio::test(start_paused = true)]
async fn reads_of_one_replica_do_not_go_back_while_a_put_commits() {
    let store = mirror(2, MirrorOptions::default());
    store.put(&key("a"), "old").await.unwrap();
    let slow = Fault::delay(Duration::from_secs(1)).on(Operation::Put);
    replica(&store, 1).faults().add(slow);
    let put = tokio::spawn({
        let store = store.clone();
        async move { store.put(&key("a"), "new").await }
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let first = store.get_bytes(&key("a"), 10).await.unwrap();
    down(&store, 0);
    let second = store.get_bytes(&key("a"), 10).await.unwrap();
    assert!(
        first == "old" || second == "new",
        "{first:?}, then {second:?}"
    );
    up(&store, 0);
    put.await.unwrap().unwrap();
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "new");
}
