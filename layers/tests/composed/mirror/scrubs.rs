//! Scrubs and deletes.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use storehouse_layers::{Fault, MirrorOptions, ScrubOptions, Scrubbed};
use storehouse_objectstore::{Error, ObjectStore, ObjectStoreExt, Operation, PutMode, PutOptions};

use super::support::{assert_same, down, key, listed, mirror, raw, replica, up};

#[tokio::test(start_paused = true)]
async fn deletes_are_not_resurrected() {
    for out in 0..3 {
        let store = mirror(3, MirrorOptions::default().keep_tombstones(Duration::ZERO));
        let a = key("a");
        store.put(&a, "content").await.unwrap();
        down(&store, out);
        store.delete(&a).await.unwrap();
        // As long as one replica may hold an older object, the record of the delete stays.
        let scrubbed = store.scrub().await;
        assert!(
            scrubbed
                .unwrap_err()
                .to_string()
                .contains(&format!("replica {out}:"))
        );
        assert_eq!(raw(replica(&store, (out + 1) % 3).inner()).await.len(), 1);
        up(&store, out);
        for _ in 0..3 {
            assert!(store.get(&a).await.unwrap_err().is_not_found());
            assert!(listed(&store).await.is_empty());
        }
        let scrubbed = store.scrub().await.unwrap();
        assert_eq!((scrubbed.swept, scrubbed.failed), (1, 0), "{scrubbed:?}");
        assert!(assert_same(&store).await.is_empty());
        assert_eq!(store.scrub().await.unwrap(), Scrubbed::default());
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_deletes_are_kept_for_a_time() {
    let store = mirror(
        3,
        MirrorOptions::default().keep_tombstones(Duration::from_secs(3600)),
    );
    store.delete(&key("never")).await.unwrap();
    assert!(assert_same(&store).await.is_empty());
    store.put(&key("a"), "content").await.unwrap();
    store.delete(&key("a")).await.unwrap();
    store.delete(&key("a")).await.unwrap();
    let puts = |of: usize| replica(&store, of).faults().calls(Operation::Put);
    assert_eq!([puts(0), puts(1), puts(2)], [2; 3]);
    assert_eq!(store.scrub().await.unwrap().swept, 0);
    assert_eq!(assert_same(&store).await, [key("a")]);
    assert!(listed(&store).await.is_empty());
    let create = PutOptions::default().mode(PutMode::Create);
    store
        .put_opts(&key("a"), "new".into(), create)
        .await
        .unwrap();
    assert_eq!(store.get_bytes(&key("a"), 3).await.unwrap(), "new");
}

#[tokio::test]
async fn a_scrub_goes_on_where_it_stopped() {
    let store = mirror(3, MirrorOptions::default());
    for n in 0..40 {
        store
            .put(&key(&format!("k{n:02}")), "content")
            .await
            .unwrap();
    }
    for n in 0..40 {
        let inner = replica(&store, n % 3).inner();
        inner.delete(&key(&format!("k{n:02}"))).await.unwrap();
    }
    let first = store.scrub_keys(ScrubOptions::default()).take(15);
    let first: Vec<_> = first.try_collect().await.unwrap();
    let options = ScrubOptions::default().start_after(first[14].key.clone());
    let rest: Vec<_> = store.scrub_keys(options).try_collect().await.unwrap();
    let all: Vec<_> = first.iter().chain(&rest).collect();
    assert!(all.is_sorted_by(|a, b| a.key < b.key) && all.len() == 40);
    assert_same(&store).await;
    // Those that the first one had begun beyond its last key may be repaired already.
    let repaired = all.iter().filter(|one| one.repaired.len() == 1).count();
    assert!(repaired >= 36, "{repaired}");
    let options = ScrubOptions::default().prefix("k1");
    assert_eq!(store.scrub_keys(options).count().await, 10);
}

/// As of a server that puts its largest objects in parts, without conditions.
#[tokio::test]
async fn a_replica_that_has_no_conditions_for_an_object_is_repaired() {
    let store = mirror(2, MirrorOptions::default());
    let (missing, old) = (key("missing"), key("old"));
    let second = replica(&store, 1);
    store.put(&old, "old").await.unwrap();
    let record = second.inner().get_bytes(&old, 100).await.unwrap();
    store.put(&old, "new").await.unwrap();
    store.put(&missing, "new").await.unwrap();
    second.inner().put(&old, record).await.unwrap();
    second.inner().delete(&missing).await.unwrap();
    for prefix in ["missing", "old"] {
        let unconditional = Fault::error_with(|operation, key| Error::Unsupported {
            operation,
            key: key.unwrap().clone(),
            feature: "conditions",
        });
        let fault = unconditional.on(Operation::Put).under(prefix);
        second.faults().add(fault);
    }
    let scrubbed = store.scrub().await.unwrap();
    assert_eq!((scrubbed.repaired, scrubbed.failed), (2, 0), "{scrubbed:?}");
    assert_eq!(assert_same(&store).await, [missing, old]);
}
