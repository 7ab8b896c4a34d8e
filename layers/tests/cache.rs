//! `CacheStore`: what is cached is not read again, is of the version that is there, and is bounded.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::{CacheOptions, CacheStore, Fault, FaultStore};
use storehouse_objectstore::{
    Body, BoxFuture, ByteRange, ErrorClass, GetOptions, Key, Memory, Metadata, Object, ObjectStore,
    ObjectStoreExt, Operation, PutOptions, PutResult, Result, methods,
};

const KIB: usize = 1024;

type Store = CacheStore<FaultStore<Memory>>;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn content(len: usize) -> Bytes {
    (0..len).map(|n| (n % 251) as u8).collect::<Vec<_>>().into()
}

fn options() -> CacheOptions {
    CacheOptions::default().block_size(64 * KIB as u64)
}

fn store(options: CacheOptions) -> Store {
    CacheStore::with_options(FaultStore::new(Memory::new()), options)
}

fn gets(store: &Store) -> u64 {
    store.inner().faults().calls(Operation::Get)
}

#[tokio::test]
async fn what_was_read_is_not_read_again() {
    let (store, a, bytes) = (store(options()), key("a"), content(1_000_000));
    store.put(&a, bytes.clone()).await.unwrap();
    for _ in 0..3 {
        assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
        let range = store.get_range(&a, 100_000..700_001).await.unwrap();
        assert!(range.body.collect(u64::MAX).await.unwrap() == bytes[100_000..700_001]);
        let last = store.get_range(&a, ByteRange::suffix(1)).await.unwrap();
        assert!(last.body.collect(1).await.unwrap() == bytes[999_999..]);
        let ranges = [(5..10).into(), (999_000..1_000_000).into()];
        let got = store
            .get_ranges_opts(&a, &ranges, GetOptions::default())
            .await
            .unwrap();
        assert!(got.parts == [bytes.slice(5..10), bytes.slice(999_000..)]);
    }
    assert_eq!(gets(&store), 1);
    assert_eq!(store.cached_blocks(), 1_000_000_usize.div_ceil(64 * KIB));
}

#[tokio::test]
async fn a_range_of_a_known_version_is_read_in_whole_blocks() {
    let (store, a, bytes) = (store(options()), key("a"), content(1_000_000));
    store.put(&a, bytes.clone()).await.unwrap();
    store.head(&a).await.unwrap();
    for start in [70_000, 100_000, 131_071 - 10] {
        let range = store.get_range(&a, start..start + 10).await.unwrap();
        assert_eq!(range.size(), 1_000_000);
        let expected = &bytes[start as usize..start as usize + 10];
        assert!(range.body.collect(10).await.unwrap() == expected);
    }
    assert_eq!((gets(&store), store.cached_blocks()), (1, 1));
    // Blocks that are there come from the cache, and the rest is one read.
    let range = store.get_range(&a, 65_536..200_000).await.unwrap();
    assert!(range.body.collect(u64::MAX).await.unwrap() == bytes[65_536..200_000]);
    assert_eq!((gets(&store), store.cached_blocks()), (2, 3));
}

#[tokio::test]
async fn no_block_is_of_another_version() {
    let (store, a) = (store(options()), key("a"));
    let (old, new) = (content(300_000), Bytes::from(vec![7; 300_000]));
    store.put(&a, old.clone()).await.unwrap();
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == old);
    // Opened, with some blocks cached and others not, and then replaced.
    let open = store.get(&a).await.unwrap();
    store.put(&a, new.clone()).await.unwrap();
    assert!(open.body.collect(u64::MAX).await.unwrap() == old);
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == new);
    // Behind this layer.
    store.inner().put(&a, old.clone()).await.unwrap();
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == old);
    store.inner().delete(&a).await.unwrap();
    assert!(store.get(&a).await.unwrap_err().is_not_found());
}

/// Memory that counts its tags from 1 again once it has restarted, and has nothing then.
#[derive(Debug, Default)]
struct Restarting {
    first: Memory,
    second: Memory,
    restarted: AtomicBool,
}

impl Restarting {
    fn now(&self) -> &Memory {
        if self.restarted.load(Ordering::Relaxed) {
            &self.second
        } else {
            &self.first
        }
    }
}

impl ObjectStore for Restarting {
    fn put_opts<'a>(
        &'a self,
        key: &'a Key,
        body: Body,
        options: PutOptions,
    ) -> BoxFuture<'a, Result<PutResult>> {
        Box::pin(self.now().put_opts(key, body, options))
    }

    fn get_opts<'a>(&'a self, key: &'a Key, options: GetOptions) -> BoxFuture<'a, Result<Object>> {
        Box::pin(self.now().get_opts(key, options))
    }

    fn head<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Metadata>> {
        ObjectStore::head(self.now(), key)
    }

    methods!(fallback => copy_opts, get_ranges_opts);
    methods!(none => events, presign, batches);
    methods!(first => delete, delete_many, list, list_delimited, health, capabilities, close);
}

#[tokio::test]
async fn a_tag_that_is_used_again_is_of_another_version() {
    for (old, new) in [(10, 100), (100, 10), (100, 100), (70_000, 65_540)] {
        let (store, a) = (
            CacheStore::with_options(Restarting::default(), options()),
            key("a"),
        );
        let bytes = content(old);
        let before = store.put(&a, bytes.clone()).await.unwrap();
        assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
        store.inner().restarted.store(true, Ordering::Relaxed);
        // So that it is of another time.
        tokio::time::sleep(Duration::from_millis(2)).await;
        let bytes = Bytes::from(vec![7; new]);
        let after = store.put(&a, bytes.clone()).await.unwrap();
        assert_eq!(before.etag, after.etag);
        store.head(&a).await.unwrap();
        let last = store.get_range(&a, ByteRange::suffix(5)).await.unwrap();
        assert!(last.body.collect(5).await.unwrap() == bytes[new - 5..]);
        assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
    }
}

#[tokio::test]
async fn what_a_failing_source_gave_is_taken_back() {
    let (store, a, bytes) = (store(options()), key("a"), content(300_000));
    store.put(&a, bytes.clone()).await.unwrap();
    for fault in [
        Fault::cut(250_000),
        Fault::cut_with(300_000, ErrorClass::Fatal),
    ] {
        store.inner().faults().add(fault.on(Operation::Get));
        store.get_bytes(&a, u64::MAX).await.unwrap_err();
        assert_eq!(store.cached_blocks(), 0);
    }
    assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
    // A reader that goes away has cached what it saw of whole blocks.
    store.put(&key("b"), content(3_000_000)).await.unwrap();
    let before = store.cached_blocks();
    let mut body = store.get(&key("b")).await.unwrap().body;
    body.next().await.unwrap().unwrap();
    drop(body);
    assert!(store.cached_blocks() > before);
    assert!(store.get_bytes(&key("b"), u64::MAX).await.unwrap() == content(3_000_000));
}

#[tokio::test(start_paused = true)]
async fn blocks_age() {
    let store = store(options().max_age(Duration::from_secs(10)));
    store.put(&key("a"), "content").await.unwrap();
    for (seconds, expected) in [(0, 1), (9, 1), (2, 2), (9, 2)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        store.get_bytes(&key("a"), 7).await.unwrap();
        assert_eq!(gets(&store), expected, "{seconds} s later");
    }
}

#[tokio::test]
async fn bytes_and_blocks_are_bounded() {
    let bytes = store(options().max_bytes(2_000_000));
    let blocks = store(options().max_blocks(50));
    for n in 0..500 {
        let (key, body) = (key(&format!("k{n}")), content(10_000 + n));
        for store in [&bytes, &blocks] {
            store.put(&key, body.clone()).await.unwrap();
            assert!(store.get_bytes(&key, u64::MAX).await.unwrap() == body);
        }
        assert!(bytes.cached_bytes() <= 2_000_000);
        assert!(blocks.cached_blocks() <= 50);
    }
    assert!(bytes.cached_blocks() > 100 && blocks.cached_blocks() > 40);
}

#[tokio::test]
async fn leased_objects_survive_twice_the_quota() {
    let store = store(options().max_bytes(4_000_000));
    let body = content(60_000);
    let mut leases = Vec::new();
    for n in 0..20 {
        let key = key(&format!("leased-{n}"));
        store.put(&key, body.clone()).await.unwrap();
        store.get_bytes(&key, u64::MAX).await.unwrap();
        leases.push(store.lease(&key));
    }
    for n in 0..20 {
        let key = key(&format!("plain-{n}"));
        store.put(&key, body.clone()).await.unwrap();
        store.get_bytes(&key, u64::MAX).await.unwrap();
    }
    let read_all = async |name: &str, number: usize| {
        let before = gets(&store);
        for n in 0..number {
            let key = key(&format!("{name}-{n}"));
            assert!(store.get_bytes(&key, u64::MAX).await.unwrap() == body);
        }
        gets(&store) - before
    };
    // 8 MB and more of others, several times.
    for n in 0..140 {
        let key = key(&format!("other-{n}"));
        store.put(&key, body.clone()).await.unwrap();
    }
    // Each some times in a row, so that they are wanted more than those read once.
    for _ in 0..3 {
        for n in 0..140 {
            let key = key(&format!("other-{n}"));
            for _ in 0..3 {
                assert!(store.get_bytes(&key, u64::MAX).await.unwrap() == body);
            }
        }
    }
    assert_eq!(read_all("leased", 20).await, 0);
    assert!(store.cached_bytes() <= 4_000_000);
    assert!(
        read_all("plain", 20).await > 0,
        "without a lease they make room"
    );
    drop(leases);
}

/// Hits of a Zipf trace, against the library's cache alone of the same weights.
#[tokio::test]
async fn the_hit_ratio_is_that_of_the_library() {
    const OBJECTS: usize = 2_000;
    const ROOM: u64 = 200;
    let size = 2_000;
    let store = store(options().max_bytes(ROOM * (size + 200)));
    let library = quick_cache::sync::Cache::<usize, ()>::new(ROOM as usize);
    for n in 0..OBJECTS {
        store
            .put(&key(&format!("k{n}")), content(size as usize))
            .await
            .unwrap();
    }
    let weights: Vec<f64> = (1..=OBJECTS).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = weights.iter().sum();
    let (mut random, mut hits, mut library_hits) = (7_u64, 0, 0);
    let asks = 30_000;
    for _ in 0..asks {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let mut at = (random >> 11) as f64 / (1_u64 << 53) as f64 * total;
        let n = weights.iter().position(|weight| {
            at -= weight;
            at < 0.0
        });
        let n = n.unwrap_or(OBJECTS - 1);
        let before = gets(&store);
        store
            .get_bytes(&key(&format!("k{n}")), u64::MAX)
            .await
            .unwrap();
        hits += u32::from(gets(&store) == before);
        if library.get(&n).is_some() {
            library_hits += 1;
        } else {
            library.insert(n, ());
        }
    }
    let (ours, theirs) = (
        f64::from(hits) / f64::from(asks),
        f64::from(library_hits) / f64::from(asks),
    );
    assert!(theirs > 0.4, "{theirs}");
    assert!(ours >= theirs - 0.05, "{ours} against {theirs}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Any ranges of any object, in any order, with evictions between them.
    #[test]
    fn every_range_has_its_bytes(
        size in 0..400_000_usize,
        ranges in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..8_u8), 1..20),
        room in 100_000..1_000_000_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let flatfs = FlatFs::open(dir.path(), FlatFsOptions::default()).await.unwrap();
            let store = CacheStore::with_options(flatfs, options().max_bytes(room));
            let (a, bytes) = (key("a"), content(size));
            store.put(&a, bytes.clone()).await.unwrap();
            for (from, to, what) in ranges {
                if what == 0 || size == 0 {
                    prop_assert!(store.get_bytes(&a, u64::MAX).await.unwrap() == bytes);
                    continue;
                }
                let (x, y) = (from.index(size), to.index(size));
                let (first, last) = (x.min(y), x.max(y));
                let object = store.get_range(&a, first as u64..=last as u64).await.unwrap();
                prop_assert_eq!(object.range.clone(), first as u64..last as u64 + 1);
                if what == 1 {
                    // Left unread.
                    continue;
                }
                let pieces: Vec<_> = object.body.try_collect().await.unwrap();
                let got: Vec<u8> = pieces.concat();
                prop_assert!(got == bytes[first..=last]);
            }
            Ok(())
        })?;
    }
}
