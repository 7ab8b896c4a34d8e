//! `DedupStore`: the suite, and what it promises besides.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use storehouse_conformance::{Fixture, Pace, Profile};
use storehouse_layers::{DedupOptions, DedupStore, Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Attributes, Body, ByteRange, CopyOptions, Error, Key, ListOptions, Memory, ObjectStore,
    ObjectStoreExt, Operation, PutMode, PutOptions,
};

use super::backends::{Inner, over_memories};

/// Chunks of 1 to 16 KiB.
pub(super) fn small_chunks() -> DedupOptions {
    DedupOptions::default().chunk_size(4096).inline(100)
}

fn of_two(inner: Vec<Inner>, options: DedupOptions) -> DedupStore<Inner, Inner> {
    let [index, chunks] = inner.try_into().unwrap();
    DedupStore::new(index, chunks, options).unwrap()
}

fn profiled(fixture: Fixture) -> Fixture {
    fixture.profile(Profile {
        batches: true,
        holds_bodies: true,
        pace: Pace::MEMORY,
        ..Profile::default()
    })
}

async fn memory() -> Fixture {
    profiled(over_memories(2, |inner| {
        of_two(inner, DedupOptions::default())
    }))
}

async fn one_memory_in_small_chunks() -> Fixture {
    profiled(over_memories(1, |mut inner| {
        DedupStore::in_one(inner.remove(0), small_chunks()).unwrap()
    }))
}

storehouse_conformance::tests!(over_memory, memory);
storehouse_conformance::tests!(in_small_chunks_over_one_memory, one_memory_in_small_chunks);

#[cfg(unix)]
storehouse_conformance::tests!(over_flatfs, || crate::backends::over_directories(
    2,
    |inner| of_two(inner, DedupOptions::default())
));

/// Manifests and chunks in one directory, listed by path.
#[cfg(unix)]
#[test]
fn in_one_flatfs() {
    for case in [
        "model::is_like_a_sorted_map",
        "list::order",
        "list::resume_at_every_key",
        "reopen::keeps_everything",
    ] {
        storehouse_conformance::run(case, || {
            crate::backends::over_directories(1, |mut inner| {
                DedupStore::in_one(inner.remove(0), small_chunks()).unwrap()
            })
        });
    }
}

pub(super) fn key(text: &str) -> Key {
    Key::new(text).unwrap()
}

/// Content of which no part is like another.
pub(super) fn noise(seed: u64, len: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes.into()
}

pub(super) async fn keys_of(store: &impl ObjectStore) -> BTreeSet<String> {
    let keys = store
        .list(ListOptions::default())
        .map_ok(|entry| entry.key.to_string());
    keys.try_collect().await.unwrap()
}

type Counted = DedupStore<FaultStore<Memory>, FaultStore<Memory>>;

/// A store, its chunks, and the requests that it makes of index and chunks.
fn counted(options: DedupOptions) -> (Counted, Memory, Faults, Faults) {
    let (index, chunks) = (
        FaultStore::new(Memory::new()),
        FaultStore::new(Memory::new()),
    );
    let (of_index, of_chunks) = (index.faults().clone(), chunks.faults().clone());
    let memory = chunks.inner().clone();
    let store = DedupStore::new(index, chunks, options).unwrap();
    (store, memory, of_index, of_chunks)
}

/// The same bytes as a stream of pieces of many sizes.
fn in_pieces(mut content: Bytes) -> Body {
    let size = content.len() as u64;
    let mut pieces = Vec::new();
    let mut len = 1;
    while !content.is_empty() {
        pieces.push(Ok::<_, Error>(content.split_to(len.min(content.len()))));
        len = len * 7 % 1_000_003;
    }
    Body::from_stream(stream::iter(pieces)).with_size(size)
}

#[tokio::test]
async fn a_byte_inserted_in_64_mib_makes_at_most_3_new_chunks() {
    let (store, chunks, ..) = counted(DedupOptions::default());
    let content = noise(1, 64 << 20);
    store.put(&key("a"), content.clone()).await.unwrap();
    let mut before = keys_of(&chunks).await;
    assert!((100..1000).contains(&before.len()), "{}", before.len());
    // Streamed in pieces it has the same chunks.
    store
        .put(&key("b"), in_pieces(content.clone()))
        .await
        .unwrap();
    assert_eq!(keys_of(&chunks).await, before);
    for (n, at) in [0, 300_000, 32 << 20, (64 << 20) - 1]
        .into_iter()
        .enumerate()
    {
        let changed: Bytes = [&content[..at], b"!", &content[at..]].concat().into();
        store.put(&key(&format!("c{n}")), changed).await.unwrap();
        let after = keys_of(&chunks).await;
        let new = after.difference(&before).count();
        assert!(
            (1..=3).contains(&new),
            "{new} new chunks for a byte at {at}"
        );
        before = after;
    }
    let read = store.get_bytes(&key("c2"), 65 << 20).await.unwrap();
    assert_eq!(read[32 << 20], b'!');
    assert_eq!(read[(32 << 20) + 1..], content[32 << 20..]);
}

#[tokio::test]
async fn equal_bytes_are_stored_once() {
    let (store, chunks, ..) = counted(small_chunks());
    let content = noise(1, 200_000);
    store.put(&key("a"), content.clone()).await.unwrap();
    let stored = keys_of(&chunks).await;
    store.put(&key("b"), content.clone()).await.unwrap();
    store.copy(&key("a"), &key("c")).await.unwrap();
    // Within an object too: of twice the content, but where the two meet.
    let twice = [content.clone(), content.clone()].concat();
    store.put(&key("d"), twice.clone()).await.unwrap();
    let all = keys_of(&chunks).await;
    assert!(all.is_superset(&stored) && all.len() <= stored.len() + 4);
    assert_eq!(store.get_bytes(&key("d"), 400_000).await.unwrap(), twice);
    assert_eq!(store.get_bytes(&key("c"), 400_000).await.unwrap(), content);
}

#[tokio::test]
async fn each_operation_makes_as_many_requests_as_it_says() {
    let (store, memory, index, chunks) = counted(small_chunks());
    let content = noise(1, 100_000);
    store.put(&key("a"), content.clone()).await.unwrap();
    let stored = keys_of(&memory).await.len() as u64;
    let asked = |operation| (index.calls(operation), chunks.calls(operation));
    assert_eq!(asked(Operation::Put), (1, stored));
    assert_eq!(asked(Operation::Head), (0, stored));
    store.put(&key("a"), content.clone()).await.unwrap();
    assert_eq!(asked(Operation::Put), (2, stored));
    assert_eq!(asked(Operation::Get), (0, 0));
    assert_eq!(store.head(&key("a")).await.unwrap().size, 100_000);
    assert_eq!(asked(Operation::Get), (1, 0));
    store.copy(&key("a"), &key("b")).await.unwrap();
    assert_eq!(asked(Operation::Get), (2, 0));
    let range = store.get_range(&key("b"), 50_000..50_001).await.unwrap();
    let byte = range.body.collect(1).await.unwrap();
    assert_eq!(byte, content.slice(50_000..50_001));
    assert_eq!(asked(Operation::Get), (3, 1));
    assert_eq!(store.get_bytes(&key("a"), 100_000).await.unwrap(), content);
    assert_eq!(asked(Operation::Get), (4, 1 + stored));
    // All that is small stands in the manifest.
    store.put(&key("c"), "small").await.unwrap();
    assert_eq!(store.get_bytes(&key("c"), 5).await.unwrap(), "small");
    assert_eq!(asked(Operation::Get), (5, 1 + stored));
    assert_eq!(asked(Operation::Head), (0, 2 * stored));
}

/// Manifests that are longer than the first read, and every place of their chunks.
#[tokio::test]
async fn a_range_of_a_large_manifest_reads_a_part_of_it() {
    let (store, _, index, chunks) = counted(small_chunks());
    let len = 45_000_000;
    let content = noise(1, len as usize);
    store.put(&key("a"), content.clone()).await.unwrap();
    let manifest = store.index().inner().head(&key("a")).await.unwrap();
    // The lengths alone.
    assert!(manifest.size / 9 > 32 * 1024, "{manifest:?}");
    for (from, to) in [
        (0, 1),
        (4_999_999, 5_050_000),
        (len - 50, len),
        (0, 200_000),
    ] {
        let (gets, chunk_gets) = (index.calls(Operation::Get), chunks.calls(Operation::Get));
        let range = store.get_range(&key("a"), from..to).await.unwrap();
        assert_eq!(range.metadata.size, len);
        let read = range.body.collect(to - from).await.unwrap();
        assert_eq!(read, content.slice(from as usize..to as usize));
        assert!(index.calls(Operation::Get) - gets <= 3);
        assert!(chunks.calls(Operation::Get) - chunk_gets <= 2 + (to - from) / 1024);
    }
}

#[tokio::test]
async fn a_listing_knows_sizes_and_small_values() {
    let (store, _, index, _) = counted(DedupOptions::default());
    for (name, len) in [("a", 0), ("b", 5), ("c", 300_000)] {
        store.put(&key(name), noise(1, len)).await.unwrap();
    }
    let options = ListOptions::default().inline_values(300_000);
    let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
    let sizes: Vec<_> = listed.iter().map(|entry| entry.metadata.size).collect();
    assert_eq!(sizes, [0, 5, 300_000]);
    assert_eq!(listed[1].value, Some(noise(1, 5)));
    assert_eq!(listed[2].value, None);
    assert_eq!(
        index.calls(Operation::Get),
        0,
        "the index inlines manifests"
    );
}

#[tokio::test]
async fn attributes_are_of_the_object() {
    let (store, ..) = counted(DedupOptions::default());
    let attributes = Attributes::default()
        .with_content_type("text/plain")
        .unwrap();
    let options = PutOptions::default().attributes(attributes.clone());
    let content = noise(1, 10_000);
    store
        .put_opts(&key("a"), content.into(), options)
        .await
        .unwrap();
    assert_eq!(store.head(&key("a")).await.unwrap().attributes, attributes);
    assert_eq!(
        store.get(&key("a")).await.unwrap().metadata.attributes,
        attributes
    );
}

#[tokio::test]
async fn a_missing_or_changed_chunk_is_an_error_that_names_the_object() {
    let (store, chunks, ..) = counted(small_chunks());
    let content = noise(1, 50_000);
    store.put(&key("a"), content.clone()).await.unwrap();
    for name in keys_of(&chunks).await {
        let name = key(&name);
        let chunk = chunks.get_bytes(&name, 20_000).await.unwrap();
        let mut flipped = chunk.to_vec();
        flipped[chunk.len() / 2] ^= 1;
        let wrong = [
            (None, "missing"),
            (Some(Bytes::from(flipped)), "another content"),
            (Some(chunk.slice(1..)), "another size"),
            (Some(Bytes::new()), "another size"),
        ];
        for (bytes, what) in wrong {
            match bytes {
                Some(bytes) => chunks.put(&name, bytes).await.map(drop),
                None => chunks.delete(&name).await,
            }
            .unwrap();
            let error = store.get_bytes(&key("a"), 50_000).await.unwrap_err();
            assert!(!error.is_not_found() && !error.is_transient());
            let error = error.to_string();
            assert!(error.contains("\"a\"") && error.contains(what), "{error}");
        }
        // A put of the same bytes brings back a chunk that is missing or cut short.
        store.put(&key("b"), content.clone()).await.unwrap();
        assert_eq!(store.get_bytes(&key("a"), 50_000).await.unwrap(), content);
    }
}

#[tokio::test]
async fn errors_of_the_chunk_store_are_of_the_object() {
    let (store, _, _, chunks) = counted(small_chunks());
    store.put(&key("a"), noise(1, 10_000)).await.unwrap();
    let full = |operation, key: Option<&Key>| {
        Error::io(
            operation,
            key,
            "full",
            std::io::ErrorKind::StorageFull.into(),
        )
    };
    chunks.add(Fault::error_with(full).always());
    let error = store.put(&key("b"), noise(2, 10_000)).await.unwrap_err();
    assert!(error.is_full());
    assert_eq!(error.to_string(), "put \"b\": full");
    let error = store.get_bytes(&key("a"), 10_000).await.unwrap_err();
    assert_eq!(error.to_string(), "get \"a\": full");
}

#[tokio::test]
async fn conditions_are_judged_before_a_body_is_read() {
    let (store, _, index, chunks) = counted(small_chunks());
    store.put(&key("a"), "there").await.unwrap();
    let body = stream::once(async { panic!("read in vain") });
    let body = Body::from_stream(body.map_ok(|(): ()| Bytes::new()).map_err(|e: Error| e));
    let create = PutOptions::default().size(100_000).mode(PutMode::Create);
    let put = store.put_opts(&key("a"), body, create).await;
    assert!(put.unwrap_err().is_already_exists());
    assert_eq!(index.calls(Operation::Put), 1);
    assert_eq!(chunks.calls(Operation::Put), 0);
    // Of a copy: by the index.
    let other = store.put(&key("b"), "other").await.unwrap().etag;
    let replace = CopyOptions::default().mode(PutMode::Replace(other.clone()));
    store
        .copy_opts(&key("a"), &key("b"), replace.clone())
        .await
        .unwrap();
    let late = store.copy_opts(&key("a"), &key("b"), replace).await;
    assert!(late.unwrap_err().is_precondition());
    let other = CopyOptions::default().if_match(other);
    let late = store.copy_opts(&key("a"), &key("c"), other).await;
    assert!(late.unwrap_err().is_precondition());
}

#[tokio::test]
async fn what_others_put_into_the_index_is_refused() {
    let (store, ..) = counted(DedupOptions::default());
    for text in ["", "x", &"no manifest".repeat(20)] {
        let index = store.index().inner();
        index.put(&key("a"), String::from(text)).await.unwrap();
        let range = store.get_range(&key("a"), 0..1).await.map(drop);
        let list = store
            .list(ListOptions::default())
            .try_collect::<Vec<_>>()
            .await;
        for error in [
            store.get(&key("a")).await.map(drop),
            store.head(&key("a")).await.map(drop),
            store.collect().await.map(drop),
            list.map(drop),
            range,
        ] {
            let error = error.unwrap_err().to_string();
            assert!(
                error.contains("\"a\"") && error.contains("not what was put"),
                "{error}"
            );
        }
    }
    store.delete(&key("a")).await.unwrap();
    store.collect().await.unwrap();
}

#[test]
fn options_are_checked() {
    let make = |options| DedupStore::new(Memory::new(), Memory::new(), options);
    for size in [0, 8, 4095, 4097, 4100, (1 << 20) + 8, usize::MAX] {
        let error = make(DedupOptions::default().chunk_size(size)).unwrap_err();
        assert!(error.to_string().contains("chunk_size"), "{error}");
    }
    for size in [4096, 4104, 1 << 20] {
        make(DedupOptions::default().chunk_size(size)).unwrap();
    }
    let error = make(DedupOptions::default().inline(16_385)).unwrap_err();
    assert!(error.to_string().contains("inline"), "{error}");
    let never = DedupOptions::default().collect_every(std::time::Duration::ZERO);
    let error = make(never).unwrap_err();
    assert!(error.to_string().contains("collect_every"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Every option gives back every range of every content, in whatever pieces it came.
    #[test]
    fn any_range_is_exact(
        len in prop_oneof![0..200_usize, 0..100_000_usize],
        average in 512..2000_usize,
        inline in prop_oneof![Just(0), 0..16_385_usize],
        streamed: bool,
        ends in (0..100_000_u64, 0..100_000_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let options = DedupOptions::default().chunk_size(8 * average).inline(inline);
            let (store, ..) = counted(options);
            let content = noise(len as u64, len);
            let body = if streamed { in_pieces(content.clone()) } else { content.clone().into() };
            store.put(&key("a"), body).await.unwrap();
            assert_eq!(store.get_bytes(&key("a"), len as u64).await.unwrap(), content);
            let range = ends.0.min(ends.1)..ends.0.max(ends.1);
            let read = store.get_range(&key("a"), range.clone()).await;
            match ByteRange::from(range).resolve(len as u64) {
                Some(range) => {
                    let read = read.unwrap().body.collect(len as u64).await.unwrap();
                    assert_eq!(read, content.slice(range.start as usize..range.end as usize));
                }
                None => assert!(read.is_err()),
            }
        });
    }

    /// Damage of a manifest anywhere is an error or the right bytes, and makes no collection remove
    /// anything.
    #[test]
    fn damage_is_no_panic(
        at in 0..2000_usize,
        with in 1..=255_u8,
        cut: bool,
        range in (0..20_000_u64, 1..9000_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, chunks, ..) = counted(small_chunks());
            let content = noise(1, 20_050);
            store.put(&key("a"), content.clone()).await.unwrap();
            let index = store.index().inner();
            let mut stored = index.get_bytes(&key("a"), 100_000).await.unwrap().to_vec();
            let at = at % stored.len();
            if cut {
                stored.truncate(at);
            } else {
                stored[at] ^= with;
            }
            index.put(&key("a"), stored).await.unwrap();
            let all = keys_of(&chunks).await;
            assert!(store.collect().await.is_err());
            assert_eq!(keys_of(&chunks).await, all);
            assert!(store.get_bytes(&key("a"), 100_000).await.is_err());
            let range = range.0..range.0 + range.1;
            let read = async {
                let object = store.get_range(&key("a"), range.clone()).await?;
                object.body.collect(20_050).await
            };
            if let Ok(bytes) = read.await {
                assert_eq!(bytes, content.slice(range.start as usize..range.end as usize));
            }
            store.head(&key("a")).await.ok();
        });
    }
}

/// A body keeps its place while its reader does something else, and is dropped anywhere.
#[tokio::test]
async fn a_body_is_read_in_pieces_of_a_useful_size() {
    let (store, ..) = counted(DedupOptions::default().chunk_size(1 << 20));
    let content = noise(1, 20 << 20);
    store.put(&key("a"), content.clone()).await.unwrap();
    let mut body = store.get(&key("a")).await.unwrap().body;
    let mut at = 0;
    while let Some(piece) = body.next().await {
        let piece = piece.unwrap();
        assert!(!piece.is_empty() && piece.len() <= 1 << 20);
        assert_eq!(piece, content.slice(at..at + piece.len()));
        at += piece.len();
        if at > 10 << 20 {
            return;
        }
    }
    panic!("it ended after {at} bytes");
}
