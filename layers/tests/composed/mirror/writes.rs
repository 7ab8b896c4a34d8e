//! Writes with replicas that fail, stall and come back.

use std::time::Duration;

use futures_util::TryStreamExt;
use storehouse_layers::{Fault, MirrorOptions, MirrorStore};
use storehouse_objectstore::{
    Body, CopyOptions, Error, ErrorClass, ListOptions, Memory, ObjectStore, ObjectStoreExt,
    Operation, PutMode, PutOptions,
};
use tokio::time::Instant;

use super::support::{
    assert_same, at_time, content, down, key, listed, mirror, replica, stream_of, up,
};

#[tokio::test(start_paused = true)]
async fn with_one_replica_down_nothing_fails() {
    for out in 0..3 {
        let store = mirror(3, MirrorOptions::default());
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let large = content(1, 400_000);
        store.put(&a, "before").await.unwrap();
        store.put(&b, large.clone()).await.unwrap();
        down(&store, out);

        assert_eq!(store.get_bytes(&a, 100).await.unwrap(), "before");
        assert_eq!(store.get_bytes(&b, 1 << 20).await.unwrap(), large);
        let range = store.get_range(&b, 1000..2000).await.unwrap();
        assert_eq!(
            range.body.collect(1000).await.unwrap(),
            large.slice(1000..2000)
        );
        let etag = store.put(&a, "after").await.unwrap().etag;
        assert_eq!(store.head(&a).await.unwrap().etag, etag);
        let replace = PutOptions::default().mode(PutMode::Replace(etag.clone()));
        store
            .put_opts(&a, "again".into(), replace.clone())
            .await
            .unwrap();
        let again = store.put_opts(&a, "again".into(), replace).await;
        assert!(again.unwrap_err().is_precondition());
        let create = PutOptions::default().mode(PutMode::Create);
        let body = stream_of(&large);
        store.put_opts(&c, body, create.clone()).await.unwrap();
        let created = store.put_opts(&c, "x".into(), create).await;
        assert!(created.unwrap_err().is_already_exists());
        store.delete(&b).await.unwrap();
        assert!(store.get(&b).await.unwrap_err().is_not_found());
        let copied = store.copy_opts(&c, &b, CopyOptions::default()).await;
        copied.unwrap();
        store.delete(&c).await.unwrap();
        store.health().await.unwrap();
        assert_eq!(listed(&store).await, [a.clone(), b.clone()]);

        // Back again, it has missed all of it. Nothing of that shows.
        up(&store, out);
        assert_eq!(store.get_bytes(&a, 100).await.unwrap(), "again");
        assert_eq!(store.get_bytes(&b, 1 << 20).await.unwrap(), large);
        assert!(store.get(&c).await.unwrap_err().is_not_found());
        assert_eq!(listed(&store).await, [a.clone(), b.clone()]);
        let scrubbed = store.scrub().await.unwrap();
        assert_eq!((scrubbed.keys, scrubbed.failed), (3, 0), "{scrubbed:?}");
        assert_eq!(assert_same(&store).await, [a, b, c]);
        let again = store.scrub().await.unwrap();
        assert_eq!((again.repaired, again.swept), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_needs_its_replicas_and_says_which_failed() {
    let store = mirror(3, MirrorOptions::default());
    let a = key("a");
    store.put(&a, "old").await.unwrap();
    let full = Fault::error_with(|operation, key| {
        Error::io(
            operation,
            key,
            "no room",
            std::io::ErrorKind::StorageFull.into(),
        )
    });
    replica(&store, 0)
        .faults()
        .add(full.on(Operation::Put).times(2));
    let refused = Fault::error(ErrorClass::Fatal).on(Operation::Put);
    replica(&store, 2).faults().add(refused.times(2));
    for body in [Body::from("new"), stream_of(&content(1, 2_000_000))] {
        let error = store.put(&a, body).await.unwrap_err();
        let text = error.to_string();
        assert!(error.is_transient() && text.starts_with("put \"a\": needs 2 of 3 replicas"));
        assert!(error.is_full());
        assert!(
            text.contains("replica 0: put \"a\": no room: no storage space"),
            "{text}"
        );
        assert!(
            text.contains("replica 2: put \"a\": a scripted fault"),
            "{text}"
        );
        assert!(!text.contains("replica 1"), "{text}");
    }
    // The one replica that took the small one has the newest, and a scrub makes it the object. The
    // large one was given up before it committed anywhere.
    assert_eq!(store.scrub().await.unwrap().failed, 0);
    assert_same(&store).await;
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "new");

    down(&store, 0);
    down(&store, 1);
    for error in [
        store.get(&a).await.unwrap_err(),
        store.head(&a).await.unwrap_err(),
        store.delete(&a).await.unwrap_err(),
        store
            .list(ListOptions::default())
            .try_next()
            .await
            .unwrap_err(),
        store.health().await.unwrap_err(),
        store.scrub().await.unwrap_err(),
    ] {
        assert!(error.is_transient());
        let text = error.to_string();
        assert!(
            text.contains("replica 0:") && text.contains("replica 1:"),
            "{text}"
        );
    }
    // What all refuse is told as it is.
    let store = mirror(2, MirrorOptions::default());
    for of in store.replicas() {
        let invalid = Fault::error_with(|operation, key| {
            Error::invalid_key(operation, key.unwrap().as_str(), "not here")
        });
        of.faults().add(invalid.on(Operation::Put));
    }
    let error = store.put(&a, "x").await.unwrap_err();
    assert!(matches!(error, Error::InvalidKey { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_fails_midway_does_not_fail_the_put() {
    let store = mirror(3, MirrorOptions::default());
    let bytes = content(3, 3_000_000);
    for (name, out) in [("first", 0), ("last", 2)] {
        replica(&store, out)
            .faults()
            .add(Fault::cut(1_234_567).on(Operation::Put));
        store.put(&key(name), stream_of(&bytes)).await.unwrap();
        assert_eq!(store.get_bytes(&key(name), 1 << 22).await.unwrap(), bytes);
    }
    let scrubbed = store.scrub().await.unwrap();
    assert_eq!((scrubbed.repaired, scrubbed.bytes), (2, 2 * 3_000_044));
    assert_same(&store).await;
}

/// A replica that takes nothing any more, before or while it gets a body.
#[tokio::test(start_paused = true)]
async fn a_stalled_replica_does_not_stall_a_put_for_ever() {
    let options = MirrorOptions::default()
        .timeout(Duration::from_secs(20))
        .wait_for_all(Duration::from_secs(2));
    let store = mirror(3, options);
    let large = content(5, 3_000_000);
    let stalled = |fault: Fault| {
        let faults = replica(&store, 1).faults();
        faults.clear();
        faults.add(fault.on(Operation::Put).always());
    };
    for (fault, body, least, most) in [
        (Fault::delay(Duration::MAX), Body::from("small"), 2, 3),
        // It is known to be slow by now.
        (Fault::delay(Duration::MAX), Body::from("small"), 0, 1),
        (
            Fault::stall(1_000_000, Duration::MAX),
            stream_of(&large),
            0,
            1,
        ),
    ] {
        stalled(fault);
        let begin = Instant::now();
        store.put(&key("a"), body).await.unwrap();
        let took = begin.elapsed().as_secs();
        assert!((least..=most).contains(&took), "{took} s");
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begin = Instant::now();
    store.put(&key("b"), stream_of(&large)).await.unwrap();
    let took = begin.elapsed().as_secs();
    assert!((20..=21).contains(&took), "{took} s");
    up(&store, 1);
    assert_eq!(store.scrub().await.unwrap().failed, 0);
    assert_eq!(assert_same(&store).await, [key("a"), key("b")]);
    // Nor does one that is silent under a scrub.
    replica(&store, 1).inner().delete(&key("b")).await.unwrap();
    stalled(Fault::delay(Duration::MAX));
    let scrubbed = store.scrub().await.unwrap();
    let (of, replica, why) = scrubbed.first_failure.unwrap();
    assert_eq!((of, replica, scrubbed.failed), (key("b"), 1, 1));
    assert!(why.contains("silent for 20s"), "{why}");
    store.close().await.unwrap();
}

/// It failed a moment ago, and is waited for all the same, as there is no other.
#[tokio::test(start_paused = true)]
async fn a_slow_replica_that_a_stream_needs_is_not_cut() {
    let store = mirror(2, MirrorOptions::default());
    let large = content(5, 3_000_000);
    let faults = replica(&store, 1).faults();
    faults.add(Fault::error(ErrorClass::Transient).on(Operation::Put));
    store.put(&key("a"), "small").await.unwrap_err();
    let slow = Duration::from_secs(1);
    for at in [1_000_000, 2_000_000] {
        faults.add(Fault::stall(at, slow).on(Operation::Put));
    }
    store.put(&key("a"), stream_of(&large)).await.unwrap();
    assert_eq!(faults.happened(), 3);
    assert_eq!(assert_same(&store).await, [key("a")]);
}

/// A write needs the answers of a read as well, for its version is newer than theirs.
#[tokio::test(start_paused = true)]
async fn reads_and_writes_go_on_without_as_many_replicas_as_the_table_says() {
    for of in 1..=4 {
        for (writes, reads) in (1..=of).flat_map(|w| (1..=of).map(move |r| (w, r))) {
            for out in 0..=of {
                let options = MirrorOptions::default().writes(writes).reads(reads);
                let store = mirror(of, options);
                store.put(&key("a"), "old").await.unwrap();
                (0..out).for_each(|replica| down(&store, replica));
                let case = format!("{out} of {of} down, writes {writes}, reads {reads}");
                let read = store.get_bytes(&key("a"), 3).await;
                assert_eq!(read.is_ok(), out <= of - reads, "{case}");
                let writes_go_on = out <= (of - writes).min(of - reads);
                let put = store.put(&key("b"), "new").await;
                assert_eq!(put.is_ok(), writes_go_on, "{case}: {put:?}");
                let deleted = store.delete(&key("a")).await;
                assert_eq!(deleted.is_ok(), writes_go_on, "{case}: {deleted:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_write_does_not_undo_a_newer_one() {
    let store = mirror(3, MirrorOptions::default());
    let slow = Fault::delay(Duration::from_secs(5)).on(Operation::Put);
    replica(&store, 0).faults().add(slow);
    store.put(&key("a"), "one").await.unwrap();
    store.put(&key("a"), "two").await.unwrap();
    store.delete(&key("b")).await.unwrap();
    for _ in 0..10 {
        assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "two");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    // The first one arrived there, and the second one was not sent after it.
    assert_eq!(store.scrub().await.unwrap().repaired, 1);
    assert_same(&store).await;
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "two");
}

/// Two replicas of which one is enough: this process knows what the other one missed.
#[tokio::test(start_paused = true)]
async fn one_of_two_is_enough_if_that_is_asked_for() {
    let options = MirrorOptions::default().writes(1).reads(1);
    let store = mirror(2, options.clone());
    let (a, b) = (key("a"), key("b"));
    store.put(&a, "old").await.unwrap();
    store.put(&b, "old").await.unwrap();
    down(&store, 0);
    store.put(&a, "new").await.unwrap();
    store.delete(&b).await.unwrap();
    up(&store, 0);
    down(&store, 1);
    for error in [
        store.get(&a).await.unwrap_err(),
        store.head(&b).await.unwrap_err(),
        store
            .list(ListOptions::default())
            .try_next()
            .await
            .unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("replica 1: "), "{text}");
    }
    up(&store, 1);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for _ in 0..3 {
        assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "new");
        assert!(store.head(&b).await.unwrap_err().is_not_found());
        assert_eq!(listed(&store).await, [a.clone()]);
    }
    store.scrub().await.unwrap();
    down(&store, 1);
    assert_eq!(store.get_bytes(&a, 10).await.unwrap(), "new");
    assert_eq!(listed(&store).await, [a.clone()]);
    up(&store, 1);
    assert_same(&store).await;
}

#[test]
fn options_are_checked() {
    let refused = |replicas: usize, options: MirrorOptions| {
        let replicas = (0..replicas).map(|_| Memory::new());
        MirrorStore::new(replicas, options).unwrap_err().to_string()
    };
    let options = MirrorOptions::default;
    assert!(refused(0, options()).contains("stores: 0 replicas"));
    assert!(refused(17, options()).contains("stores: 17 replicas"));
    assert!(refused(3, options().writes(4)).contains("writes: 4 is not from 1 to 3"));
    assert!(refused(3, options().reads(0)).contains("reads: 0 is not from 1 to 3"));
}

/// As left by a writer whose clock is an hour ahead.
#[tokio::test]
async fn a_write_is_newer_than_what_it_finds() {
    let store = mirror(3, MirrorOptions::default());
    store.put(&key("a"), "old").await.unwrap();
    let inner = replica(&store, 0).inner();
    let record = inner.get_bytes(&key("a"), 100).await.unwrap();
    let record = at_time(&record, |now| now + 3_600_000_000_000);
    for of in store.replicas() {
        of.inner().put(&key("a"), record.clone()).await.unwrap();
    }
    let ahead = store.head(&key("a")).await.unwrap();
    assert!(ahead.last_modified.unwrap() > std::time::SystemTime::now());
    let new = store.put(&key("a"), "new").await.unwrap().etag;
    assert!(new.as_str() > ahead.etag.as_str());
    assert_eq!(store.get_bytes(&key("a"), 10).await.unwrap(), "new");
    store.delete(&key("a")).await.unwrap();
    assert!(store.get(&key("a")).await.unwrap_err().is_not_found());
}
