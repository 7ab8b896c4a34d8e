//! Records on an S3 server: in this process, or the one that the environment names (see
//! CONTRIBUTING).

mod common;
#[path = "../../objectstore/s3/tests/support/mod.rs"]
mod s3;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use common::records;
use futures_util::TryStreamExt;
use s3::{Kind, Server};
use storehouse_blobstore::Digest;
use storehouse_formats::car::dag_cbor_cid_of;
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt};
use storehouse_s3::S3;
use storehouse_stores::{
    Acceptance, AcceptanceStore, Allocation, AllocationStore, Consolidation, ConsolidationStore,
    Delegation, DelegationStore, Did, Layout, Receipt, ReceiptStore,
};

/// What lies in a bucket.
async fn keys(bucket: &S3) -> BTreeSet<String> {
    bucket
        .list_prefix("")
        .map_ok(|entry| entry.key.to_string())
        .try_collect()
        .await
        .unwrap()
}

/// Whether it was stored. s3s-fs makes a file's name of a key that is longer than the key, and some
/// of a SHA-512 have no room there.
fn stored<E: std::fmt::Debug>(server: &Server, digest: &Digest, put: Result<(), E>) -> bool {
    if server.kind == Kind::S3sFs && digest.as_bytes().len() > 64 {
        return put.is_ok();
    }
    put.unwrap();
    true
}

fn other_space() -> Did {
    "did:web:localhost%3A3000".parse().unwrap()
}

#[tokio::test]
async fn spaces_of_methods_that_escape_less() {
    let server = Server::start().await;
    common::spaces_round_trip(Arc::new(server.store().await), &Layout::s3()).await;
}

#[tokio::test]
async fn allocations() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = AllocationStore::new(Arc::clone(&bucket), &Layout::s3());
    let mut all = BTreeMap::new();
    for (bytes, _) in records("allocation") {
        let first = Allocation::decode(&bytes).unwrap();
        let second = Allocation {
            space: other_space(),
            expires: first.expires + 10,
            ..first.clone()
        };
        for allocation in [first, second] {
            if !stored(
                &server,
                &allocation.blob.digest,
                store.put(&allocation).await,
            ) {
                continue;
            }
            all.insert(
                (
                    allocation.blob.digest.to_string(),
                    allocation.space.to_string(),
                ),
                allocation,
            );
        }
    }
    let expected = all
        .keys()
        .map(|(digest, space)| format!("{digest}/{space}.cbor"))
        .collect::<BTreeSet<_>>();
    assert_eq!(keys(&bucket).await, expected);
    for allocation in all.values() {
        let digest = &allocation.blob.digest;
        assert_eq!(
            &store.get(digest, &allocation.space).await.unwrap(),
            allocation
        );
        assert_eq!(
            &store.get_any(digest).await.unwrap().unwrap().blob.digest,
            digest
        );
        assert!(store.exists(digest).await.unwrap());
        let latest = all
            .values()
            .filter(|other| other.blob.digest == *digest)
            .map(|other| other.expires)
            .max()
            .unwrap();
        assert!(
            store
                .get_any_non_expired(digest, latest - 1)
                .await
                .unwrap()
                .unwrap()
                .is_valid_at(latest - 1)
        );
        assert!(
            store
                .get_any_non_expired(digest, latest)
                .await
                .unwrap()
                .is_none()
        );
        let of_blob: Vec<_> = store.list(Some(digest)).try_collect().await.unwrap();
        assert_eq!(
            of_blob,
            all.values()
                .filter(|other| other.blob.digest == *digest)
                .cloned()
                .collect::<Vec<_>>()
        );
    }
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(
        listed,
        all.values().cloned().collect::<Vec<_>>(),
        "in the order of keys"
    );
    // What expires first goes first, and the rest stays.
    let now = all
        .values()
        .map(|allocation| allocation.expires)
        .min()
        .unwrap();
    let expired = all
        .values()
        .filter(|allocation| !allocation.is_valid_at(now))
        .count();
    assert_eq!(store.remove_expired(now).await.unwrap(), expired as u64);
    assert_eq!(
        store
            .list(None)
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .len(),
        all.len() - expired
    );
    for allocation in all.values() {
        store
            .delete(&allocation.blob.digest, &allocation.space)
            .await
            .unwrap();
        assert!(
            store
                .get(&allocation.blob.digest, &allocation.space)
                .await
                .unwrap_err()
                .is_not_found()
        );
    }
    assert!(
        !store
            .exists(&all.values().next().unwrap().blob.digest)
            .await
            .unwrap()
    );
    s3::remove(&bucket).await;
}

#[tokio::test]
async fn acceptances() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = AcceptanceStore::new(Arc::clone(&bucket), &Layout::s3());
    for (bytes, _) in records("acceptance") {
        let acceptance = Acceptance::decode(&bytes).unwrap();
        let digest = &acceptance.blob().digest;
        if !stored(&server, digest, store.put(&acceptance).await) {
            continue;
        }
        assert_eq!(
            store.get(digest, acceptance.space()).await.unwrap(),
            acceptance
        );
        assert_eq!(
            store.get_any(digest).await.unwrap(),
            Some(acceptance.clone())
        );
        assert_eq!(
            store
                .list(Some(digest))
                .try_collect::<Vec<_>>()
                .await
                .unwrap(),
            std::slice::from_ref(&acceptance)
        );
        let key = Key::new(format!("{digest}/{}.cbor", acceptance.space())).unwrap();
        assert_eq!(
            bucket.get_bytes(&key, 1 << 20).await.unwrap(),
            bytes,
            "what the server holds is what Piri writes"
        );
        store.delete(digest, acceptance.space()).await.unwrap();
        assert!(!store.exists(digest).await.unwrap());
    }
    s3::remove(&bucket).await;
}

#[tokio::test]
async fn delegations() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = DelegationStore::new(Arc::clone(&bucket), &Layout::s3());
    let mut all = BTreeMap::new();
    for (bytes, _) in records("delegation") {
        let delegation = Delegation::decode(bytes.clone()).unwrap();
        store.put(&delegation).await.unwrap();
        assert_eq!(
            store.get(&delegation.cid()).await.unwrap().as_bytes(),
            &bytes
        );
        all.insert(delegation.cid().to_string(), delegation);
    }
    assert_eq!(keys(&bucket).await, all.keys().cloned().collect());
    assert_eq!(
        store.list().try_collect::<Vec<_>>().await.unwrap(),
        all.into_values().collect::<Vec<_>>()
    );
    s3::remove(&bucket).await;
}

/// With the index by the invocation that ran: kept, missing, stale, repaired.
#[tokio::test]
async fn receipts() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = ReceiptStore::new(Arc::clone(&bucket), &Layout::s3()).unwrap();
    let mut by_ran = BTreeMap::new();
    for (bytes, _) in [records("receipt-store"), records("receipt-archive")].concat() {
        let receipt = Receipt::decode(bytes).unwrap();
        store.put(&receipt).await.unwrap();
        assert_eq!(
            store.get(&receipt.cid()).await.unwrap().as_bytes(),
            &receipt.store_form()
        );
        by_ran.insert(receipt.ran(), receipt.cid());
    }
    for (ran, cid) in &by_ran {
        assert_eq!(store.get_by_ran(ran).await.unwrap().unwrap().cid(), *cid);
        let entry = Key::new(format!("receipts-ran/{ran}.ref")).unwrap();
        assert_eq!(
            bucket.get_bytes(&entry, 100).await.unwrap(),
            cid.to_string()
        );
    }
    let count = store.list().try_collect::<Vec<_>>().await.unwrap().len() as u64;
    let sound = store.repair().await.unwrap();
    assert_eq!(
        (sound.records, sound.added, sound.removed),
        (count, 0, 0),
        "{sound:?}"
    );
    // As if cut off between the receipt and its entry.
    let (ran, cid) = by_ran.iter().next().unwrap();
    let entry = Key::new(format!("receipts-ran/{ran}.ref")).unwrap();
    bucket.delete(&entry).await.unwrap();
    assert!(store.get_by_ran(ran).await.unwrap().is_none());
    assert_eq!(store.repair().await.unwrap().added, 1);
    assert!(store.get_by_ran(ran).await.unwrap().is_some());
    // An entry that leads to a receipt of another invocation, and one that leads nowhere.
    let wrong = dag_cbor_cid_of(b"never ran");
    let stale = Key::new(format!("receipts-ran/{wrong}.ref")).unwrap();
    bucket.put(&stale, cid.to_string()).await.unwrap();
    assert!(store.get_by_ran(&wrong).await.unwrap().is_none());
    assert_eq!(store.repair().await.unwrap().removed, 1);
    assert!(!bucket.exists(&stale).await.unwrap());
    s3::remove(&bucket).await;
}

/// In both forms, the old one moved when it is read.
#[tokio::test]
async fn consolidations() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = ConsolidationStore::new(Arc::clone(&bucket), &Layout::s3());
    for (bytes, _) in records("consolidation") {
        let consolidation = Consolidation::decode(&bytes).unwrap();
        let (batch, old) = (
            dag_cbor_cid_of(&bytes),
            dag_cbor_cid_of(&[&bytes[..], b"old"].concat()),
        );
        store.put(&batch, &consolidation).await.unwrap();
        assert_eq!(store.get(&batch).await.unwrap(), consolidation);
        let halves = [
            "consolidation/track/{}.car",
            "consolidation/consolidate/{}.ref",
        ];
        let halves = halves.map(|key| Key::new(key.replace("{}", &old.to_string())).unwrap());
        bucket
            .put(
                &halves[0],
                consolidation.track_invocation.as_bytes().clone(),
            )
            .await
            .unwrap();
        assert!(
            store.get(&old).await.unwrap_err().is_not_found(),
            "half of one"
        );
        bucket
            .put(
                &halves[1],
                consolidation.consolidate_invocation.as_bytes().to_vec(),
            )
            .await
            .unwrap();
        assert!(store.exists(&old).await.unwrap());
        assert_eq!(store.get(&old).await.unwrap(), consolidation);
        assert_eq!(
            keys(&bucket).await,
            BTreeSet::from([format!("{batch}.cbor"), format!("{old}.cbor")])
        );
        for batch in [batch, old] {
            assert_eq!(
                bucket
                    .get_bytes(&Key::new(format!("{batch}.cbor")).unwrap(), 1 << 20)
                    .await
                    .unwrap(),
                bytes
            );
            store.delete(&batch).await.unwrap();
        }
    }
    s3::remove(&bucket).await;
}

/// What cannot be read is an error in its place, and what is too large is not fetched.
#[tokio::test]
async fn a_scan_of_many_and_of_what_is_none() {
    let server = Server::start().await;
    let bucket = Arc::new(server.store().await);
    let store = AllocationStore::new(Arc::clone(&bucket), &Layout::s3());
    let first = Allocation::decode(&records("allocation")[0].0).unwrap();
    let prefix = first.blob.digest.to_string();
    for number in 0..60 {
        let space: Did = format!("did:web:{number:03}").parse().unwrap();
        store
            .put(&Allocation {
                space,
                ..first.clone()
            })
            .await
            .unwrap();
    }
    let broken = Key::new(format!("{prefix}/did:web:030.cbor")).unwrap();
    bucket
        .put(&broken, Bytes::from_static(b"\xa0"))
        .await
        .unwrap();
    let mut scan = store.list(None);
    for number in 0..60 {
        match scan.try_next().await {
            Ok(allocation) => assert_eq!(
                allocation.unwrap().space.to_string(),
                format!("did:web:{number:03}")
            ),
            Err(e) => assert!(number == 30 && e.is_record(), "{number}: {e}"),
        }
    }
    assert!(scan.try_next().await.unwrap().is_none());
    drop(scan);
    s3::remove(&bucket).await;
}

/// A lookup by a record's key is one get; by its digest one list request of one key, and at most
/// one get.
#[tokio::test]
async fn requests() {
    let server = Server::in_process().await;
    let bucket = Arc::new(server.store().await);
    let allocations = AllocationStore::new(Arc::clone(&bucket), &Layout::s3());
    let receipts_bucket = Arc::new(server.store().await);
    let receipts = ReceiptStore::new(receipts_bucket, &Layout::s3()).unwrap();
    let allocation = Allocation::decode(&records("allocation")[0].0).unwrap();
    let digest = &allocation.blob.digest;
    for number in 0..20 {
        let space: Did = format!("did:web:{number:03}").parse().unwrap();
        allocations
            .put(&Allocation {
                space,
                ..allocation.clone()
            })
            .await
            .unwrap();
    }
    allocations.put(&allocation).await.unwrap();
    let receipt = Receipt::decode(records("receipt-store")[0].0.clone()).unwrap();
    receipts.put(&receipt).await.unwrap();
    server.take_requests();
    let took = |what: &str, lists: usize, gets: usize| {
        let requests = server.take_requests();
        let listing = requests
            .iter()
            .filter(|request| request.contains("list-type=2"));
        assert!(listing.clone().all(|request| request.starts_with("GET ")
            && request.contains("max-keys=1&")
            || request.ends_with("max-keys=1")));
        assert_eq!(
            (listing.count(), requests.len()),
            (lists, lists + gets),
            "{what}: {requests:?}"
        );
        assert!(
            requests.iter().all(|request| request.starts_with("GET ")),
            "{what}: {requests:?}"
        );
    };
    allocations.get(digest, &allocation.space).await.unwrap();
    took("get", 0, 1);
    allocations.get_any(digest).await.unwrap().unwrap();
    took("get_any", 1, 1);
    allocations
        .get_any_non_expired(digest, 0)
        .await
        .unwrap()
        .unwrap();
    took("get_any_non_expired", 1, 1);
    assert!(allocations.exists(digest).await.unwrap());
    took("exists", 1, 0);
    receipts.get(&receipt.cid()).await.unwrap();
    took("get of a receipt", 0, 1);
    receipts.get_by_ran(&receipt.ran()).await.unwrap().unwrap();
    took("get_by_ran", 0, 2);
}
