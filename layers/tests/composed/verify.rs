//! `VerifyStore`.

use bytes::Bytes;
use futures_util::StreamExt;
use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{FaultStore, Faults, Verified, VerifyOptions, VerifyStore};
use storehouse_objectstore::{
    Error, GetOptions, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation, PutOptions,
};

use super::backends::{Inner, over_memories};

fn with_trees(inner: Vec<Inner>) -> VerifyStore<Inner> {
    let options = VerifyOptions::default().outboards(true);
    VerifyStore::new(inner.into_iter().next().unwrap(), options)
}

fn without_trees(inner: Vec<Inner>) -> VerifyStore<Inner> {
    VerifyStore::new(inner.into_iter().next().unwrap(), VerifyOptions::default())
}

fn profiled(fixture: Fixture) -> Fixture {
    fixture.profile(Profile {
        batches: true,
        holds_bodies: true,
        pace: Pace::MEMORY,
        ..Profile::default()
    })
}

async fn trees_in_memory() -> Fixture {
    profiled(over_memories(1, with_trees))
}

async fn no_trees_in_memory() -> Fixture {
    profiled(over_memories(1, without_trees))
}

storehouse_conformance::tests!(with_trees_over_memory, trees_in_memory);
storehouse_conformance::tests!(without_trees_over_memory, no_trees_in_memory);

#[cfg(unix)]
mod directories {
    use super::*;
    use crate::backends::over_directories;

    storehouse_conformance::tests!(with_trees_over_flatfs, || over_directories(1, with_trees));
    storehouse_conformance::tests!(without_trees_over_flatfs, || over_directories(
        1,
        without_trees
    ));
}

fn key() -> Key {
    Key::new("k").unwrap()
}

fn content(len: usize) -> Bytes {
    (0..len)
        .map(|n| (n / 7 % 253) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn counted(outboards: bool) -> (VerifyStore<FaultStore<Memory>>, Memory, Faults) {
    let (inner, faults) = (Memory::new(), Faults::new());
    let counting = FaultStore::with_faults(inner.clone(), faults.clone());
    let options = VerifyOptions::default().outboards(outboards);
    (VerifyStore::new(counting, options), inner, faults)
}

/// Each byte of objects of no group, of one, and of several, with and without a tree.
#[tokio::test]
async fn a_flip_of_any_byte_is_an_error() {
    for (len, step) in [(0, 1), (1, 1), (1000, 1), (16_384, 61), (40_000, 61)] {
        for outboards in [true, false] {
            let (store, inner, _) = counted(outboards);
            store.put(&key(), content(len)).await.unwrap();
            let stored = inner.get_bytes(&key(), 1 << 20).await.unwrap();
            // All of what stands behind the content, and some of the content.
            let places = (0..stored.len()).filter(|at| *at >= len || at % step == 0);
            for at in places {
                let mut flipped = stored.to_vec();
                flipped[at] ^= 1 << (at % 8);
                inner.put(&key(), flipped).await.unwrap();
                let read = store.get_bytes(&key(), 1 << 20).await;
                assert!(read.is_err(), "{len} {outboards} {at}: {read:?}");
                if len == 0 || !outboards {
                    continue;
                }
                let ranges = [0..1, len - 1..len, len / 2..len, 0..len.min(20_000)];
                for range in ranges {
                    let (key, ask) = (key(), range.start as u64..range.end as u64);
                    let read = async {
                        let object = store.get_range(&key, ask);
                        object.await?.body.collect(1 << 20).await
                    };
                    if let Ok(bytes) = read.await {
                        assert_eq!(bytes, content(len).slice(range.clone()), "{at} {range:?}");
                        let group = at / 16_384;
                        let covered = range.start / 16_384..=(range.end - 1) / 16_384;
                        assert!(at >= len || !covered.contains(&group), "{at} {range:?}");
                    }
                }
            }
        }
    }
}

/// Tampering that leaves the size as it is, in every way but one that fits the hash.
#[tokio::test]
async fn objects_that_were_swapped_for_parts_of_others_are_errors() {
    let (store, inner, _) = counted(true);
    let other = Key::new("other").unwrap();
    store.put(&key(), content(50_000)).await.unwrap();
    store.put(&other, vec![1; 50_000]).await.unwrap();
    let (a, b) = (
        inner.get_bytes(&key(), 1 << 20).await.unwrap(),
        inner.get_bytes(&other, 1 << 20).await.unwrap(),
    );
    for cut in [
        1,
        16_384,
        49_999,
        50_000,
        50_032,
        a.len() - 64,
        a.len() - 40,
    ] {
        let mixed = [&a[..cut], &b[cut..]].concat();
        inner.put(&key(), mixed).await.unwrap();
        assert!(store.get_bytes(&key(), 1 << 20).await.is_err(), "{cut}");
    }
    // Cut short, and longer.
    for stored in [
        a.slice(..a.len() - 1),
        a.slice(1..),
        [&a[..], &[0]].concat().into(),
    ] {
        inner.put(&key(), stored).await.unwrap();
        assert!(store.get_bytes(&key(), 1 << 20).await.is_err());
    }
    inner.put(&key(), "").await.unwrap();
    assert!(store.get_range(&key(), 0..1).await.is_err());
    assert!(store.head(&key()).await.is_err());
}

#[tokio::test]
async fn the_last_piece_waits_for_the_verdict() {
    let (store, inner, _) = counted(false);
    let len = 3 << 20;
    store.put(&key(), content(len)).await.unwrap();
    let mut stored = inner.get_bytes(&key(), 4 << 20).await.unwrap().to_vec();
    stored[5] ^= 1;
    inner.put(&key(), stored).await.unwrap();
    let mut body = store.get(&key()).await.unwrap().body;
    let (mut given, mut failed) = (0, false);
    while let Some(piece) = body.next().await {
        match piece {
            Ok(piece) => given += piece.len(),
            Err(error) => {
                assert!(error.to_string().contains("not what was put"), "{error}");
                failed = true;
            }
        }
    }
    assert!(failed && given > 0 && given < len, "{given}");
}

#[tokio::test]
async fn a_declared_digest_is_checked_before_anything_shows() {
    let (store, inner, _) = counted(true);
    let wrong = PutOptions::default().sha256([7; 32]);
    let put = store
        .put_opts(&key(), content(300_000).into(), wrong.clone())
        .await;
    assert!(matches!(put.unwrap_err(), Error::ChecksumMismatch { .. }));
    let put = store.put_opts(&key(), content(3).into(), wrong).await;
    assert!(matches!(put.unwrap_err(), Error::ChecksumMismatch { .. }));
    assert!(!inner.exists(&key()).await.unwrap());
}

#[tokio::test]
async fn ranges_cost_what_they_say_and_say_whether_they_are_verified() {
    let range = || GetOptions::default().range(3_000_000..3_004_096);
    // The store that counts makes a head and gets of a read of several ranges.
    for (outboards, len, gets, heads) in [
        (true, 4_000_000, 2, 0),
        (true, 40_000_000, 2 + 4, 1),
        (false, 4_000_000, 1, 1),
    ] {
        let (store, _, faults) = counted(outboards);
        store.put(&key(), content(len)).await.unwrap();
        let (object, verified) = store.get_verified(&key(), range()).await.unwrap();
        assert_eq!(verified == Verified::Yes, outboards);
        let bytes = object.body.collect(4096).await.unwrap();
        assert_eq!(bytes, content(len).slice(3_000_000..3_004_096));
        let calls = (faults.calls(Operation::Get), faults.calls(Operation::Head));
        assert_eq!(calls, (gets, heads), "{outboards} {len}");
    }
    let options = VerifyOptions::default().refuse_unverified(true);
    let store = VerifyStore::new(Memory::new(), options);
    store.put(&key(), content(100)).await.unwrap();
    let error = store.get_range(&key(), 0..5).await.unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(store.get_bytes(&key(), 100).await.unwrap(), content(100));
}

#[tokio::test]
async fn another_setting_is_told() {
    let (store, inner, _) = counted(true);
    store.put(&key(), content(40_000)).await.unwrap();
    let other = VerifyStore::new(inner, VerifyOptions::default());
    let error = other.get_bytes(&key(), 1 << 20).await.unwrap_err();
    assert!(error.to_string().contains("outboards"), "{error}");
}

#[tokio::test]
async fn a_damaged_value_ends_a_listing() {
    let (store, inner, _) = counted(false);
    store.put(&key(), "value").await.unwrap();
    let values = || store.list(ListOptions::default().inline_values(5));
    let entry = values().next().await.unwrap().unwrap();
    assert_eq!(
        (entry.metadata.size, entry.value),
        (5, Some("value".into()))
    );
    let mut stored = inner.get_bytes(&key(), 1000).await.unwrap().to_vec();
    stored[0] ^= 1;
    inner.put(&key(), stored).await.unwrap();
    assert!(values().next().await.unwrap().is_err());
}
