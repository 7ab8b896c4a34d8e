//! `CompressedStore`.

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use proptest::prelude::*;
use storehouse_conformance::{Fixture, Profile};
use storehouse_layers::{CompressedOptions, CompressedStore, FaultStore, Faults};
use storehouse_objectstore::{
    Body, Error, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation, PutOptions,
};

use super::backends::{Inner, over_memories};

fn options() -> CompressedOptions {
    CompressedOptions::default().level(1)
}

fn compressed(inner: Vec<Inner>) -> CompressedStore<Inner> {
    CompressedStore::new(inner.into_iter().next().unwrap(), options()).unwrap()
}

/// Small frames, most of them read by more than one request, and every body through a file.
fn in_small_frames(inner: Vec<Inner>) -> CompressedStore<Inner> {
    let options = options().frame_size(4096).memory(0).read_first(32);
    CompressedStore::new(inner.into_iter().next().unwrap(), options).unwrap()
}

fn profiled(fixture: Fixture) -> Fixture {
    fixture.profile(Profile {
        batches: true,
        holds_bodies: true,
        pace: storehouse_conformance::Pace::MEMORY,
        ..Profile::default()
    })
}

async fn memory() -> Fixture {
    profiled(over_memories(1, compressed))
}

async fn memory_in_small_frames() -> Fixture {
    profiled(over_memories(1, in_small_frames))
}

storehouse_conformance::tests!(over_memory, memory);
storehouse_conformance::tests!(in_small_frames_over_memory, memory_in_small_frames);

#[cfg(unix)]
storehouse_conformance::tests!(over_flatfs, || crate::backends::over_directories(
    1, compressed
));

fn key() -> Key {
    Key::new("k").unwrap()
}

/// Content of which every part compresses, but differs from every other.
fn text(len: usize) -> Bytes {
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= len {
            break;
        }
        text += &format!("line {n} of the text; ");
    }
    text.truncate(len);
    text.into()
}

/// Content that does not compress.
fn noise(len: usize) -> Bytes {
    let mut state = 1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect::<Vec<_>>().into()
}

/// A store, what it stands on, and the requests that it makes there.
fn counted(options: CompressedOptions) -> (CompressedStore<FaultStore<Memory>>, Memory, Faults) {
    let (inner, faults) = (Memory::new(), Faults::new());
    let counting = FaultStore::with_faults(inner.clone(), faults.clone());
    (
        CompressedStore::new(counting, options).unwrap(),
        inner,
        faults,
    )
}

#[tokio::test]
async fn each_read_makes_as_many_requests_as_it_says() {
    let (store, inner, faults) = counted(options());
    let content = text(5_000_000);
    store.put(&key(), content.clone()).await.unwrap();
    assert!(inner.head(&key()).await.unwrap().size < 2_000_000);
    assert_eq!(
        (faults.calls(Operation::Put), faults.calls(Operation::Get)),
        (1, 0)
    );
    assert_eq!(store.head(&key()).await.unwrap().size, 5_000_000);
    assert_eq!(
        (faults.calls(Operation::Head), faults.calls(Operation::Get)),
        (0, 1)
    );
    assert_eq!(store.get_bytes(&key(), 5_000_000).await.unwrap(), content);
    assert_eq!(faults.calls(Operation::Get), 2);
    let range = store.get_range(&key(), 3_000_000..3_004_096).await.unwrap();
    let bytes = range.body.collect(4096).await.unwrap();
    assert_eq!(bytes, content.slice(3_000_000..3_004_096));
    assert_eq!(faults.calls(Operation::Get), 4);
    // All of a small object comes with the first read.
    store.put(&key(), text(9000)).await.unwrap();
    let range = store.get_range(&key(), 8000..).await.unwrap();
    assert_eq!(
        range.body.collect(1000).await.unwrap(),
        text(9000).slice(8000..)
    );
    assert_eq!(faults.calls(Operation::Get), 5);
}

/// Every frame but those that have the range is damaged, and that is not seen.
#[tokio::test]
async fn a_range_reads_its_frames_alone() {
    let (store, inner, _) = counted(options().frame_size(16_384).read_first(32));
    let content = text(1 << 20);
    store.put(&key(), content.clone()).await.unwrap();
    let stored = inner.get_bytes(&key(), 1 << 20).await.unwrap();
    let lens: Vec<usize> = stored[32..32 + 4 * 64]
        .chunks(4)
        .map(|entry| u32::from_le_bytes(entry.try_into().unwrap()) as usize)
        .collect();
    let begin = 32 + 4 * 64 + lens[..30].iter().sum::<usize>();
    let mut damaged = stored.to_vec();
    damaged[32 + 4 * 64..begin].fill(0);
    damaged[begin + lens[30] + lens[31]..].fill(0);
    inner.put(&key(), damaged).await.unwrap();
    let (from, to) = (31 * 16_384 - 2048, 31 * 16_384 + 2048);
    let range = store
        .get_range(&key(), from as u64..to as u64)
        .await
        .unwrap();
    assert_eq!(
        range.body.collect(4096).await.unwrap(),
        content.slice(from..to)
    );
    // Those damaged are errors, never wrong bytes.
    let body = store.get_range(&key(), 0..10).await.unwrap().body;
    let error = body.collect(10).await.unwrap_err();
    assert!(error.to_string().contains("damaged"), "{error}");
}

#[tokio::test]
async fn what_gets_no_smaller_is_stored_as_it_is() {
    let (store, inner, _) = counted(options());
    let content = noise(1_000_000);
    store.put(&key(), content.clone()).await.unwrap();
    let stored = inner.get_bytes(&key(), 2_000_000).await.unwrap();
    assert_eq!(stored.len(), 1_000_000 + 32 + 4 * 8);
    assert_eq!(stored.slice(64..), content);
    assert_eq!(store.get_bytes(&key(), 1_000_000).await.unwrap(), content);
}

#[tokio::test]
async fn a_listing_knows_sizes_and_values() {
    let (store, inner, faults) = counted(options());
    for (name, len) in [("a", 0), ("b", 5), ("c", 3_000_000)] {
        store
            .put(&Key::new(name).unwrap(), noise(len))
            .await
            .unwrap();
    }
    let options = ListOptions::default().inline_values(5);
    let listed: Vec<_> = store.list(options).try_collect().await.unwrap();
    let sizes: Vec<_> = listed.iter().map(|entry| entry.metadata.size).collect();
    assert_eq!(sizes, [0, 5, 3_000_000]);
    assert_eq!(listed[1].value, Some(noise(5)));
    assert_eq!(listed[2].value, None);
    // For the large one alone: the store under it inlines the others.
    assert_eq!(faults.calls(Operation::Get), 1);
    // What others put there is an error, which names it.
    inner
        .put(&Key::new("d").unwrap(), "not compressed")
        .await
        .unwrap();
    let listed = store
        .list(ListOptions::default())
        .try_collect::<Vec<_>>()
        .await;
    let error = listed.unwrap_err().to_string();
    assert!(
        error.contains("\"d\"") && error.contains("not a compressed one"),
        "{error}"
    );
}

/// A put whose body does not fit in memory leaves no file, whether it ends or not.
#[tokio::test]
async fn temporary_files_have_no_name() {
    let dir = tempfile::tempdir().unwrap();
    let options = options().memory(1000).spool_dir(dir.path());
    let store = CompressedStore::new(Memory::new(), options).unwrap();
    store.put(&key(), noise(5_000_000)).await.unwrap();
    let pieces = [Ok(noise(3_000_000)), Err(std::io::Error::other("broken"))];
    let body = Body::from_stream(stream::iter(pieces)).with_size(5_000_000);
    store.put(&key(), body).await.unwrap_err();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert_eq!(
        store.get_bytes(&key(), 5_000_000).await.unwrap(),
        noise(5_000_000)
    );
    let gone = self::options()
        .memory(0)
        .spool_dir(dir.path().join("missing"));
    let store = CompressedStore::new(Memory::new(), gone).unwrap();
    let error = store.put(&key(), noise(100_000)).await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Backend {
                operation: Operation::Put,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn options_are_checked() {
    for size in [0, 2048, 4097, 1 << 21] {
        let error = CompressedStore::new(Memory::new(), options().frame_size(size)).unwrap_err();
        assert!(error.to_string().contains("frame_size"), "{error}");
    }
    let error = CompressedStore::new(Memory::new(), options().level(100)).unwrap_err();
    assert!(error.to_string().contains("level"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Damage anywhere is an error or the right bytes, and never more than was promised.
    #[test]
    fn damage_is_no_panic(at in 0..6000_usize, with: u8, range in (0..20_000_u64, 1..9000_u64)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (store, inner, _) = counted(options().frame_size(4096));
            store.put(&key(), text(20_000)).await.unwrap();
            let mut stored = inner.get_bytes(&key(), 100_000).await.unwrap().to_vec();
            let at = at % stored.len();
            stored[at] ^= with;
            inner.put(&key(), stored).await.unwrap();
            for whole in [true, false] {
                let read = async {
                    let object = if whole {
                        store.get(&key()).await?
                    } else {
                        store.get_range(&key(), range.0..range.0 + range.1).await?
                    };
                    object.body.collect(20_000).await
                };
                if let Ok(bytes) = read.await {
                    assert!(bytes.len() <= 20_000);
                }
            }
            store.head(&key()).await.ok();
        });
    }
}

#[tokio::test]
async fn conditions_are_judged_before_a_body_is_read() {
    let (store, _, faults) = counted(options());
    store.put(&key(), "there").await.unwrap();
    let body = stream::once(async { panic!("read in vain") });
    let body = Body::from_stream(body.map_ok(|(): ()| Bytes::new()).map_err(|e: Error| e));
    let create = PutOptions::default()
        .size(100_000)
        .mode(storehouse_objectstore::PutMode::Create);
    let put = store.put_opts(&key(), body, create).await;
    assert!(put.unwrap_err().is_already_exists());
    assert_eq!(faults.calls(Operation::Put), 1);
}
