//! `EncryptedStore`.

use bytes::Bytes;
use futures_util::TryStreamExt;
use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{EncryptedStore, EncryptionKeys, FaultStore, Faults};
use storehouse_objectstore::{Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation};

use super::backends::{Inner, over_memories};

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2026", [6; 32]).unwrap()
}

fn encrypted(inner: Vec<Inner>) -> EncryptedStore<Inner> {
    EncryptedStore::new(inner.into_iter().next().unwrap(), keys())
}

async fn memory() -> Fixture {
    over_memories(1, encrypted).profile(Profile {
        batches: true,
        holds_bodies: true,
        pace: Pace::MEMORY,
        ..Profile::default()
    })
}

storehouse_conformance::tests!(over_memory, memory);

#[cfg(unix)]
storehouse_conformance::tests!(over_flatfs, || crate::backends::over_directories(
    1, encrypted
));

const FRAME: usize = 65_536;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn content(len: usize) -> Bytes {
    (0..len)
        .map(|n| (n / 7 % 253) as u8)
        .collect::<Vec<_>>()
        .into()
}

fn counted() -> (EncryptedStore<FaultStore<Memory>>, Memory, Faults) {
    let (inner, faults) = (Memory::new(), Faults::new());
    let counting = FaultStore::with_faults(inner.clone(), faults.clone());
    (EncryptedStore::new(counting, keys()), inner, faults)
}

async fn stored(inner: &Memory, name: &str) -> Bytes {
    inner.get_bytes(&key(name), 1 << 24).await.unwrap()
}

#[tokio::test]
async fn nothing_of_the_content_is_stored() {
    let (store, inner, _) = counted();
    let secret = b"the words that nobody else may read";
    for name in ["a", "b"] {
        store.put(&key(name), secret.repeat(5000)).await.unwrap();
    }
    let (a, b) = (stored(&inner, "a").await, stored(&inner, "b").await);
    assert!(
        !a.windows(9)
            .any(|part| secret.windows(9).any(|word| word == part))
    );
    // The same content twice has nothing in common but what the header says of the key.
    let common = a.iter().zip(&b).skip(24).filter(|(a, b)| a == b).count();
    assert!(common < a.len() / 128, "{common} of {}", a.len());
}

#[tokio::test]
async fn a_flip_of_any_byte_is_an_error() {
    let (store, inner, _) = counted();
    for len in [0, 1, 300] {
        store.put(&key("k"), content(len)).await.unwrap();
        let there = stored(&inner, "k").await;
        for at in 0..there.len() {
            let mut flipped = there.to_vec();
            flipped[at] ^= 1 << (at % 8);
            inner.put(&key("k"), flipped).await.unwrap();
            let read = store.get_bytes(&key("k"), 1000).await;
            assert!(read.is_err(), "{len} {at}: {read:?}");
        }
    }
    inner.put(&key("k"), "").await.unwrap();
    assert!(store.get(&key("k")).await.is_err());
    assert!(store.get_range(&key("k"), 0..1).await.is_err());
}

#[tokio::test]
async fn frames_and_objects_that_are_swapped_are_found() {
    let (store, inner, _) = counted();
    let whole = 3 * FRAME;
    store.put(&key("a"), content(whole)).await.unwrap();
    store.put(&key("b"), vec![1; whole]).await.unwrap();
    let (a, b) = (stored(&inner, "a").await, stored(&inner, "b").await);
    let frame = |of: &Bytes, n: usize| of.slice(56 + n * (FRAME + 16)..56 + (n + 1) * (FRAME + 16));
    let (a0, a1, a2) = (frame(&a, 0), frame(&a, 1), frame(&a, 2));
    let head = a.slice(..56);
    let forgeries: [Vec<&[u8]>; 8] = [
        // Another order, a frame twice, one of another object.
        vec![&head, &a1, &a0, &a2],
        vec![&head, &a0, &a0, &a2],
        vec![&head, &a0, &b[56 + FRAME + 16..56 + 2 * (FRAME + 16)], &a2],
        // Fewer frames, more, and the last one early.
        vec![&head, &a0, &a1],
        vec![&head, &a0, &a2],
        vec![&head, &a0, &a1, &a2, &a2],
        // Another salt, another object as a whole.
        vec![&b[..56], &a0, &a1, &a2],
        vec![&b],
    ];
    for (n, forgery) in forgeries.iter().enumerate() {
        inner.put(&key("a"), forgery.concat()).await.unwrap();
        let read = store.get_bytes(&key("a"), 1 << 20).await;
        assert!(read.is_err(), "forgery {n}");
    }
    // A range of an untouched frame of the first one would be right; of the swapped ones, not.
    inner.put(&key("a"), forgeries[0].concat()).await.unwrap();
    for start in [0, FRAME as u64] {
        let body = store
            .get_range(&key("a"), start..start + 10)
            .await
            .unwrap()
            .body;
        assert!(body.collect(10).await.is_err());
    }
    let body = store
        .get_range(&key("a"), 2 * FRAME as u64..)
        .await
        .unwrap()
        .body;
    assert_eq!(
        body.collect(1 << 20).await.unwrap(),
        content(whole).slice(2 * FRAME..)
    );
}

#[tokio::test]
async fn a_range_reads_its_frames_alone() {
    let (store, inner, faults) = counted();
    store.put(&key("k"), content(10 * FRAME)).await.unwrap();
    let mut damaged = stored(&inner, "k").await.to_vec();
    let (from, to) = (56 + 4 * (FRAME + 16), 56 + 6 * (FRAME + 16));
    damaged[56..from].fill(0);
    damaged[to..].fill(0);
    inner.put(&key("k"), damaged).await.unwrap();
    let range = (5 * FRAME - 100) as u64..(5 * FRAME + 100) as u64;
    let object = store.get_range(&key("k"), range).await.unwrap();
    let bytes = object.body.collect(200).await.unwrap();
    assert_eq!(
        bytes,
        content(10 * FRAME).slice(5 * FRAME - 100..5 * FRAME + 100)
    );
    assert_eq!(faults.calls(Operation::Get), 2);
    assert_eq!(store.head(&key("k")).await.unwrap().size, 10 * FRAME as u64);
    assert_eq!(faults.calls(Operation::Get), 2);
}

#[tokio::test]
async fn keys_are_rotated() {
    let inner = Memory::new();
    let old = EncryptedStore::new(inner.clone(), EncryptionKeys::new("2025", [5; 32]).unwrap());
    for n in 0..20 {
        old.put(&key(&format!("{n}")), content(n * 10_000))
            .await
            .unwrap();
    }
    let both = keys().with_older("2025", [5; 32]).unwrap();
    let both = EncryptedStore::new(inner.clone(), both);
    both.put(&key("new"), "under the new key").await.unwrap();
    let new = EncryptedStore::new(inner.clone(), keys());
    let error = new.get(&key("3")).await.unwrap_err();
    assert!(error.to_string().contains("\"2025\""), "{error}");
    assert_eq!(
        both.get_bytes(&key("3"), 1 << 20).await.unwrap(),
        content(30_000)
    );
    let task = tokio::spawn(async move { both.rotate().await.map(|done| (both, done)) });
    let (both, done) = task.await.unwrap().unwrap();
    assert_eq!((done.objects, done.bytes), (20, 1_900_000));
    assert_eq!(both.rotate().await.unwrap(), Default::default());
    for n in 0..20 {
        let read = new.get_bytes(&key(&format!("{n}")), 1 << 20).await.unwrap();
        assert_eq!(read, content(n * 10_000));
    }
    // Another key under the same id opens nothing.
    let other = EncryptedStore::new(inner, EncryptionKeys::new("2026", [7; 32]).unwrap());
    assert!(other.get_bytes(&key("3"), 1 << 20).await.is_err());
}

#[tokio::test]
async fn values_of_a_listing_are_decrypted() {
    let (store, _, _) = counted();
    store.put(&key("k"), "value").await.unwrap();
    let options = ListOptions::default().inline_values(5);
    let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
    assert_eq!(
        (listed[0].metadata.size, listed[0].value.clone()),
        (5, Some("value".into()))
    );
}

#[test]
fn keys_are_read_and_never_shown() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys");
    let secret = "0123456789abcdef".repeat(4);
    std::fs::write(
        &path,
        format!("# keys\n\nnew {secret}\nold  {}\n", "ab".repeat(32)),
    )
    .unwrap();
    let keys = EncryptionKeys::from_file(&path).unwrap();
    let shown = format!("{keys:?}");
    assert_eq!(
        shown,
        r#"EncryptionKeys { current: "new", older: ["old"] }"#
    );
    let store = EncryptedStore::new(Memory::new(), keys);
    let shown = format!("{store:?}");
    assert!(
        !shown.contains("[1, 35") && !shown.contains("0123"),
        "{shown}"
    );
    for text in [
        "",
        "# nothing",
        "id",
        "id 12",
        &format!("i.d {secret}"),
        &format!("{secret} {secret}"),
        &format!("id é{secret}"),
        &format!("id +1{}", &secret[2..]),
        &format!("id {secret}\n").repeat(2000),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = EncryptionKeys::from_file(&path).unwrap_err().to_string();
        assert!(!error.contains("0123"), "{error}");
    }
    let twice = format!("id {secret}\nid {secret}");
    std::fs::write(&path, twice).unwrap();
    assert!(EncryptionKeys::from_file(&path).is_err());
    assert!(EncryptionKeys::from_file(dir.path().join("missing")).is_err());
    let swapped = EncryptionKeys::new(secret, [6; 32]).unwrap_err();
    assert!(!swapped.to_string().contains("0123"), "{swapped}");
}

/// What is behind it would need its old key for ever.
#[tokio::test]
async fn an_object_that_cannot_be_rotated_keeps_no_other_one() {
    let inner = Memory::new();
    let old = EncryptedStore::new(inner.clone(), EncryptionKeys::new("2025", [5; 32]).unwrap());
    for name in ["a", "b", "c"] {
        old.put(&key(name), "content").await.unwrap();
    }
    let mut damaged = stored(&inner, "b").await.to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    inner.put(&key("b"), damaged).await.unwrap();
    let both = keys().with_older("2025", [5; 32]).unwrap();
    let both = EncryptedStore::new(inner.clone(), both);
    let error = both.rotate().await.unwrap_err();
    assert!(error.to_string().contains("\"b\""), "{error}");
    let new = EncryptedStore::new(inner, keys());
    for name in ["a", "c"] {
        assert_eq!(new.get_bytes(&key(name), 100).await.unwrap(), "content");
    }
}
