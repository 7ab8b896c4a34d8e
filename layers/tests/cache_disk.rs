//! `CacheStore` with a second level: warm after a restart, bounded, and never in a read's way.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::{
    CacheDiskOptions, CacheDiskStats, CacheOptions, CacheStore, Fault, FaultStore,
};
use storehouse_objectstore::{
    Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation,
};

const BLOCK: usize = 64 * 1024;

type Store = CacheStore<FaultStore<Memory>>;
type Disk = FaultStore<Memory>;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Bytes that differ from place to place and from seed to seed.
fn content(seed: usize, len: usize) -> Bytes {
    let bytes: Vec<u8> = (0..len)
        .map(|n| ((n / 251) ^ n ^ (seed * 37)) as u8)
        .collect();
    bytes.into()
}

/// A cache with no more memory than for a block, so that all else comes from the disk.
fn options() -> CacheOptions {
    CacheOptions::default()
        .block_size(BLOCK as u64)
        .max_bytes(1)
}

fn open(inner: &FaultStore<Memory>, disk: &Disk, on_disk: CacheDiskOptions) -> Store {
    CacheStore::with_disk(inner.clone(), options(), Arc::new(disk.clone()), on_disk)
}

fn new(on_disk: CacheDiskOptions) -> (Store, Disk) {
    let disk = FaultStore::new(Memory::new());
    let store = open(&FaultStore::new(Memory::new()), &disk, on_disk);
    (store, disk)
}

fn gets(store: &Store) -> u64 {
    store.inner().faults().calls(Operation::Get)
}

fn stats(store: &Store) -> CacheDiskStats {
    store.disk_stats().unwrap()
}

/// Puts an object and reads it, so that it is cached.
async fn cache(store: &Store, name: &str, bytes: &Bytes) {
    store.put(&key(name), bytes.clone()).await.unwrap();
    assert!(store.get_bytes(&key(name), u64::MAX).await.unwrap() == bytes);
    store.flush_disk().await;
}

/// The sizes of what lies in a store, by key.
async fn on_disk(disk: &Disk) -> HashMap<Key, u64> {
    let entries = disk.inner().list(ListOptions::default());
    let sizes = entries.map_ok(|entry| (entry.key, entry.metadata.size));
    sizes.try_collect().await.unwrap()
}

#[tokio::test]
async fn a_restart_keeps_the_cache_warm() {
    let (store, disk) = new(CacheDiskOptions::default());
    let bytes = content(1, 10 * BLOCK + 17);
    cache(&store, "a", &bytes).await;
    assert_eq!(stats(&store).blocks, 11);
    let inner = store.inner().clone();
    drop(store);
    let store = open(&inner, &disk, CacheDiskOptions::default());
    store.flush_disk().await;
    assert!(stats(&store).complete);
    assert_eq!(stats(&store).blocks, 11);
    let before = gets(&store);
    assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
    let range = store.get_range(&key("a"), 70_000..400_000).await.unwrap();
    assert!(range.body.collect(u64::MAX).await.unwrap() == bytes[70_000..400_000]);
    assert_eq!(gets(&store), before);
    assert!(stats(&store).hits >= 11);
    // Another version is another object.
    let other = content(2, 10 * BLOCK + 17);
    inner.put(&key("a"), other.clone()).await.unwrap();
    assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == other);
}

#[tokio::test]
async fn reads_work_while_the_disk_is_listed() {
    let (store, disk) = new(CacheDiskOptions::default());
    let bytes = content(1, 3 * BLOCK);
    cache(&store, "a", &bytes).await;
    let inner = store.inner().clone();
    let stall = Duration::from_secs(3600);
    disk.faults()
        .add(Fault::delay(stall).on(Operation::List).always());
    let store = open(&inner, &disk, CacheDiskOptions::default());
    assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
    assert!(!stats(&store).complete);
}

#[tokio::test]
async fn damaged_and_foreign_blocks_are_misses() {
    // Of a block, and of another one.
    type Damage = fn(&[u8], &[u8]) -> Vec<u8>;
    let damage: [Damage; 5] = [
        |block, _| [&block[..100], &[block[100] ^ 1], &block[101..]].concat(),
        |block, _| block[..block.len() - 1].to_vec(),
        |block, _| [block, &[0]].concat(),
        |_, _| Vec::new(),
        // A whole block, but another one.
        |_, other| other.to_vec(),
    ];
    for (n, damage) in damage.into_iter().enumerate() {
        let (store, disk) = new(CacheDiskOptions::default());
        let bytes = content(1, 2 * BLOCK);
        cache(&store, "a", &bytes).await;
        let mut blocks: Vec<_> = on_disk(&disk).await.into_keys().collect();
        blocks.sort();
        let disk = disk.inner();
        let (first, other) = (
            disk.get_bytes(&blocks[0], u64::MAX).await.unwrap(),
            disk.get_bytes(&blocks[1], u64::MAX).await.unwrap(),
        );
        disk.put(&blocks[0], damage(&first, &other)).await.unwrap();
        let before = gets(&store);
        assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
        assert!(gets(&store) > before, "{n}");
        assert_eq!(stats(&store).damaged, 1, "{n}");
        // It was written anew.
        store.flush_disk().await;
        assert_eq!(stats(&store).blocks, 2);
        assert!(disk.get_bytes(&blocks[0], u64::MAX).await.unwrap() == first);
    }
}

#[tokio::test]
async fn wrong_bytes_of_the_disk_are_not_given() {
    let (store, disk) = new(CacheDiskOptions::default());
    let bytes = content(1, 8 * BLOCK);
    cache(&store, "a", &bytes).await;
    for offset in [0, 60, 3_000, 65_600] {
        let flip = Fault::flip(offset, 4).on(Operation::Get);
        disk.faults().add(flip.one_in(3).always());
    }
    for _ in 0..20 {
        assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
        store.flush_disk().await;
    }
    assert!(stats(&store).damaged > 5);
}

#[tokio::test]
async fn a_failing_disk_fails_no_read() {
    for operation in [
        Operation::Get,
        Operation::Put,
        Operation::Delete,
        Operation::List,
    ] {
        let (disk, inner) = (FaultStore::new(Memory::new()), Memory::new());
        disk.faults()
            .add(Fault::error(ErrorClass::Fatal).on(operation).always());
        let store = open(
            &FaultStore::new(inner),
            &disk,
            CacheDiskOptions::default().max_bytes(500_000),
        );
        for round in 0..3 {
            for n in 0..10 {
                let bytes = content(n + round, 100_000);
                cache(&store, &format!("k{n}"), &bytes).await;
                let read = store.get_bytes(&key(&format!("k{n}")), u64::MAX).await;
                assert!(read.unwrap() == bytes);
            }
            assert!(stats(&store).bytes <= 500_000);
        }
        store.flush_disk().await;
        assert!(stats(&store).failed > 0, "{operation:?}");
        assert!(on_disk(&disk).await.values().sum::<u64>() <= 500_000);
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_makes_room() {
    let (store, disk) = new(CacheDiskOptions::default());
    for n in 0..10 {
        cache(&store, &format!("k{n}"), &content(n, BLOCK)).await;
    }
    let full = Fault::error_with(|operation, key| {
        Error::io(operation, key, "write", ErrorKind::StorageFull.into())
    });
    disk.faults().add(full.on(Operation::Put));
    cache(&store, "more", &content(11, BLOCK)).await;
    assert_eq!(stats(&store).failed, 1);
    assert!(stats(&store).blocks < 10);
    cache(&store, "again", &content(12, BLOCK)).await;
    assert_eq!(stats(&store).failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_slow_disk_slows_no_read() {
    let timeout = Duration::from_millis(100);
    let pause = Duration::from_secs(5);
    let (store, disk) = new(CacheDiskOptions::default()
        .read_timeout(timeout)
        .pause(pause));
    let bytes = content(1, 20 * BLOCK);
    cache(&store, "a", &bytes).await;
    let slow = Duration::from_secs(60);
    disk.faults()
        .add(Fault::delay(slow).on(Operation::Get).always());
    let start = tokio::time::Instant::now();
    for _ in 0..5 {
        assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
    }
    // One block was waited for, and then the disk was left alone.
    assert_eq!(start.elapsed(), timeout);
    assert_eq!(stats(&store).timeouts, 1);
    disk.faults().clear();
    tokio::time::advance(pause).await;
    let before = gets(&store);
    assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
    assert_eq!(gets(&store), before);
}

#[tokio::test(start_paused = true)]
async fn slow_writes_are_off_the_path_and_bounded() {
    let options = CacheDiskOptions::default().queue_bytes(5 * BLOCK as u64);
    let (store, disk) = new(options.close_timeout(Duration::from_secs(1)));
    store.flush_disk().await;
    disk.faults().add(
        Fault::delay(Duration::from_secs(3600))
            .on(Operation::Put)
            .always(),
    );
    let start = tokio::time::Instant::now();
    for n in 0..20 {
        let (name, bytes) = (format!("k{n}"), content(n, BLOCK));
        store.put(&key(&name), bytes.clone()).await.unwrap();
        assert!(store.get_bytes(&key(&name), u64::MAX).await.unwrap() == bytes);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert_eq!(stats(&store).dropped, 15);
    store.close().await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test]
async fn only_what_ended_well_is_written() {
    let (store, _) = new(CacheDiskOptions::default());
    let bytes = content(1, 40 * BLOCK);
    store.put(&key("a"), bytes.clone()).await.unwrap();
    let failed = Fault::cut_with(bytes.len() as u64, ErrorClass::Fatal);
    store.inner().faults().add(failed.on(Operation::Get));
    store.get_bytes(&key("a"), u64::MAX).await.unwrap_err();
    let mut body = store.get(&key("a")).await.unwrap().body;
    body.next().await.unwrap().unwrap();
    drop(body);
    store.flush_disk().await;
    assert_eq!(stats(&store).written, 0);
    assert!(store.get_bytes(&key("a"), u64::MAX).await.unwrap() == bytes);
    store.flush_disk().await;
    assert_eq!(stats(&store).written, 40);
}

#[tokio::test]
async fn bytes_and_blocks_are_bounded_down_to_the_low_mark() {
    let max = 20 * (BLOCK as u64 + 200);
    let bytes = CacheDiskOptions::default().max_bytes(max).low_watermark(50);
    let blocks = CacheDiskOptions::default().max_blocks(20).low_watermark(50);
    for options in [bytes, blocks] {
        let (store, disk) = new(options.clone());
        let mut lowest = usize::MAX;
        for n in 0..100 {
            cache(&store, &format!("k{n:03}"), &content(n, BLOCK)).await;
            let there = on_disk(&disk).await;
            assert!(there.len() <= 20 && there.values().sum::<u64>() <= max);
            assert_eq!(there.len(), stats(&store).blocks);
            assert_eq!(there.values().sum::<u64>(), stats(&store).bytes);
            if n >= 20 {
                lowest = lowest.min(there.len());
            }
        }
        assert!((10..=11).contains(&lowest), "{lowest}");
        // A restart with less room has less.
        let inner = store.inner().clone();
        drop(store);
        let less = open(&inner, &disk, options.max_blocks(4).low_watermark(100));
        less.flush_disk().await;
        assert_eq!(on_disk(&disk).await.len(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn blocks_age() {
    let age = Duration::from_secs(1000);
    let (store, disk) = new(CacheDiskOptions::default().max_age(age));
    cache(&store, "a", &content(1, BLOCK)).await;
    cache(&store, "b", &content(2, BLOCK)).await;
    let before = gets(&store);
    for (seconds, more) in [(500, 0), (499, 0), (1, 1), (999, 1)] {
        tokio::time::advance(Duration::from_secs(seconds)).await;
        let read = store.get_bytes(&key("a"), u64::MAX).await.unwrap();
        assert!(read == content(1, BLOCK));
        assert_eq!(gets(&store), before + more, "{seconds} s later");
        store.flush_disk().await;
    }
    // The other went when there was something to do.
    assert_eq!(on_disk(&disk).await.len(), 1);
}

#[tokio::test]
async fn leased_objects_survive_twice_the_quota() {
    let max = 40 * (BLOCK as u64 + 200);
    let options = CacheDiskOptions::default().max_bytes(max).low_watermark(50);
    let (store, disk) = new(options.clone());
    let mut leases = Vec::new();
    for n in 0..20 {
        let name = format!("leased-{n}");
        cache(&store, &name, &content(n, BLOCK)).await;
        leases.push(store.lease(&key(&name)));
    }
    for n in 0..80 {
        cache(&store, &format!("other-{n}"), &content(n, BLOCK)).await;
        assert!(on_disk(&disk).await.values().sum::<u64>() <= max);
    }
    let before = gets(&store);
    for n in 0..20 {
        let name = key(&format!("leased-{n}"));
        assert!(store.get_bytes(&name, u64::MAX).await.unwrap() == content(n, BLOCK));
    }
    assert_eq!(gets(&store), before);
    drop(leases);
    for n in 0..80 {
        let (name, bytes) = (format!("more-{n}"), content(n, BLOCK));
        cache(&store, &name, &bytes).await;
        assert!(store.get_bytes(&key(&name), u64::MAX).await.unwrap() == bytes);
    }
    // Without a lease they made room. What was leased may still be in this store's memory.
    let inner = store.inner().clone();
    drop(store);
    let store = open(&inner, &disk, options.clone());
    store.flush_disk().await;
    let before = gets(&store);
    for n in 0..20 {
        let name = key(&format!("leased-{n}"));
        assert!(store.get_bytes(&name, u64::MAX).await.unwrap() == content(n, BLOCK));
    }
    assert!(gets(&store) > before + 10);
    // All that is there is leased: nothing more is written.
    let (store, disk) = new(options);
    let names: Vec<_> = (0..80).map(|n| format!("more-{n}")).collect();
    let _leases: Vec<_> = names.iter().map(|name| store.lease(&key(name))).collect();
    for (n, name) in names.iter().enumerate() {
        cache(&store, name, &content(n, BLOCK)).await;
    }
    assert!(on_disk(&disk).await.values().sum::<u64>() <= max);
    assert_eq!((stats(&store).written, stats(&store).dropped), (40, 40));
}

#[tokio::test]
async fn what_is_no_block_is_left_alone() {
    let disk = FaultStore::new(Memory::new());
    let other = key("somebody's own");
    disk.put(&other, "content").await.unwrap();
    let options = CacheDiskOptions::default().max_blocks(1);
    let store = open(&FaultStore::new(Memory::new()), &disk, options);
    for n in 0..5 {
        cache(&store, &format!("k{n}"), &content(n, 100)).await;
    }
    assert_eq!(stats(&store).blocks, 1);
    assert_eq!(
        disk.inner().get_bytes(&other, 100).await.unwrap(),
        "content"
    );
}

/// Hits of a Zipf trace on disk, against a library's cache of as many objects.
#[tokio::test]
async fn the_hit_ratio_is_that_of_a_library() {
    const OBJECTS: usize = 1_000;
    const ROOM: usize = 100;
    let options = CacheDiskOptions::default()
        .max_blocks(ROOM)
        .low_watermark(95);
    let (store, _) = new(options);
    let library = quick_cache::sync::Cache::<usize, ()>::new(ROOM);
    for n in 0..OBJECTS {
        let body = content(n, 100);
        store.put(&key(&format!("k{n}")), body).await.unwrap();
    }
    let weights: Vec<f64> = (1..=OBJECTS).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = weights.iter().sum();
    let (mut random, mut hits, mut library_hits) = (7_u64, 0, 0);
    let asks = 10_000;
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
        let read = store.get_bytes(&key(&format!("k{n}")), 100).await.unwrap();
        assert_eq!(read, content(n, 100));
        store.flush_disk().await;
        hits += u32::from(gets(&store) == before);
        if library.get(&n).is_some() {
            library_hits += 1;
        } else {
            library.insert(n, ());
        }
    }
    let ratio = |hits: u32| f64::from(hits) / f64::from(asks);
    let (ours, theirs) = (ratio(hits), ratio(library_hits));
    assert!(theirs > 0.4, "{theirs}");
    assert!(ours >= theirs - 0.05, "{ours} against {theirs}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize),
    Read(usize, f64, f64),
    Delete(usize),
    Damage,
    Restart,
    Fault(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..4_usize, 0..300_000_usize).prop_map(|(name, size)| Step::Put(name, size)),
        4 => (0..4_usize, 0.0..1.0, 0.0..1.0).prop_map(|(name, a, b)| Step::Read(name, a, b)),
        1 => (0..4_usize).prop_map(Step::Delete),
        1 => Just(Step::Damage),
        1 => Just(Step::Restart),
        1 => (0..4_u8).prop_map(Step::Fault),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(30))]

    /// Over a directory whose operations fail and whose files are damaged, with restarts.
    #[test]
    fn every_read_has_its_bytes(
        steps in proptest::collection::vec(step(), 1..40),
        room in 100_000..2_000_000_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let open = async || {
                let flatfs = FlatFs::open(dir.path(), FlatFsOptions::default()).await.unwrap();
                FaultStore::new(flatfs)
            };
            let mut disk = open().await;
            let inner = Memory::new();
            let on_disk = CacheDiskOptions::default().max_bytes(room);
            let cache = |disk: &FaultStore<FlatFs>| CacheStore::with_disk(
                inner.reopen(), options(), Arc::new(disk.clone()), on_disk.clone(),
            );
            let mut store = cache(&disk);
            let mut model: HashMap<usize, Bytes> = HashMap::new();
            for (n, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Put(name, size) => {
                        let bytes = content(n, size);
                        store.put(&key(&format!("k{name}")), bytes.clone()).await.unwrap();
                        model.insert(name, bytes);
                    }
                    Step::Read(name, a, b) => {
                        let key = key(&format!("k{name}"));
                        let Some(bytes) = model.get(&name) else {
                            prop_assert!(store.get(&key).await.unwrap_err().is_not_found());
                            continue;
                        };
                        let at = |part: f64| (part * bytes.len() as f64) as usize;
                        let (from, to) = (at(a.min(b)), at(a.max(b)));
                        if from < to {
                            let read = store.get_range(&key, from as u64..to as u64).await.unwrap();
                            let got = read.body.collect(u64::MAX).await.unwrap();
                            prop_assert!(got == bytes[from..to]);
                        }
                        prop_assert!(store.get_bytes(&key, u64::MAX).await.unwrap() == bytes);
                    }
                    Step::Delete(name) => {
                        store.delete(&key(&format!("k{name}"))).await.unwrap();
                        model.remove(&name);
                    }
                    Step::Damage => {
                        store.flush_disk().await;
                        let keys: Vec<_> = disk.inner().list(ListOptions::default())
                            .map_ok(|entry| entry.key).try_collect().await.unwrap();
                        for key in keys.iter().step_by(3) {
                            let mut bytes = disk.inner().get_bytes(key, u64::MAX).await.unwrap().to_vec();
                            let at = n * 7919 % bytes.len();
                            bytes[at] ^= 1;
                            disk.inner().put(key, bytes).await.unwrap();
                        }
                    }
                    Step::Restart => {
                        store.close().await.unwrap();
                        disk = open().await;
                        store = cache(&disk);
                    }
                    Step::Fault(which) => {
                        let operations = [
                            Operation::Get, Operation::Put, Operation::Delete, Operation::List,
                        ];
                        let fault = Fault::error(ErrorClass::Fatal).on(operations[usize::from(which)]);
                        disk.faults().add(fault.times(2));
                    }
                }
            }
            store.flush_disk().await;
            prop_assert!(store.disk_stats().unwrap().bytes <= room);
            Ok(())
        })?;
    }
}
