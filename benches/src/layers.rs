//! What a layer costs over the store below it.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use storehouse_layers::{
    CacheOptions, CacheStore, CompressedOptions, CompressedStore, EventOptions, EventStore,
    LimitStore, PrefixStore, ReadOnlyStore, RetryStore, TieredStore, TimeoutStore,
};
use storehouse_objectstore::{
    Durability, Key, Memory, ObjectStore, ObjectStoreExt as _, PutOptions,
};
use storehouse_s3::S3;
use tokio::runtime::Runtime;

use crate::delay;
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::memory::support::Server;
use crate::peers;

type Store = Arc<dyn ObjectStore>;

const BARE: &str = "the store alone";
const STACK: &str = "five layers over it";
const CACHE: &str = "CacheStore";
const LIBRARY: &str = "moka";
const COMPRESSED: &str = "CompressedStore";
const ZSTD: &str = "zstd";
const SLOW: &str = "the slow store alone";
const TIERED: &str = "TieredStore";

/// Half of the delay of a server that is 5 ms away.
const ONE_WAY: Duration = Duration::from_micros(2_500);

/// How old a file must be before flatfs keeps it open.
const SETTLED: Duration = Duration::from_secs(2);

pub(crate) fn run(options: &Options) -> Report {
    let runtime = runtime();
    let mut report = Report::default();
    pass_through(options, &runtime, &mut report);
    five_over_flatfs(options, &runtime, &mut report);
    cache_hits(options, &runtime, &mut report);
    compression(options, &runtime, &mut report);
    cold_reads(options, &runtime, &mut report);
    report
}

fn key(name: impl Into<String>) -> Key {
    Key::new(name.into()).expect("a key")
}

/// A head in memory, through each layer that passes operations on.
fn pass_through(options: &Options, runtime: &Runtime, report: &mut Report) {
    let memory: Store = Arc::new(Memory::new());
    let object = key("object");
    let put = memory.put(&object, Bytes::from_static(b"bytes"));
    runtime.block_on(put).expect("a put");
    let inner = || Arc::clone(&memory);
    let layers: Vec<(&str, Store)> = vec![
        (BARE, inner()),
        ("ReadOnlyStore", Arc::new(ReadOnlyStore::new(inner()))),
        ("LimitStore", Arc::new(LimitStore::new(inner(), 1000))),
        ("RetryStore", Arc::new(RetryStore::new(inner()))),
        ("TimeoutStore", Arc::new(TimeoutStore::new(inner()))),
        (
            "EventStore",
            Arc::new(EventStore::new(inner(), EventOptions::default())),
        ),
        (
            "PrefixStore",
            Arc::new(PrefixStore::new(inner(), "obj").expect("a prefix")),
        ),
    ];
    let times = options.pick(200_000, 2_000);
    let contenders = layers.iter().map(|(name, store)| {
        let key = key(if *name == "PrefixStore" {
            "ect"
        } else {
            "object"
        });
        Contender::on(runtime, *name, move || {
            let (store, key) = (Arc::clone(store), key.clone());
            async move {
                let started = Instant::now();
                for _ in 0..times {
                    black_box(store.head(&key).await.expect("a head"));
                }
                started.elapsed().as_secs_f64() * 1e9 / f64::from(times)
            }
            .boxed()
        })
    });
    let table = Table::measure("ns a head", options.pick(15, 3), contenders.collect());
    for (name, _) in &layers[1..] {
        report.at_most(
            &format!("ns that {name} adds to an operation"),
            table.median(name) - table.median(BARE),
            150.0,
        );
    }
    report.table("an object in memory, described", table);
}

/// A range of 4 KiB through five layers over flatfs.
fn five_over_flatfs(options: &Options, runtime: &Runtime, report: &mut Report) {
    const COUNT: usize = 16;
    const RANGE: u64 = 4096;
    let dir = options.tempdir();
    let flatfs: Store = Arc::new(runtime.block_on(peers::flatfs(dir.path())));
    runtime.block_on(async {
        for n in 0..COUNT {
            let options = PutOptions::default().durability(Durability::Relaxed);
            let body = Bytes::from(vec![7; 1 << 20]);
            let key = key(format!("object{n:02}"));
            let put = flatfs.put_opts(&key, body.into(), options);
            put.await.expect("a put");
        }
        tokio::time::sleep(SETTLED).await;
    });
    let stack = PrefixStore::new(Arc::clone(&flatfs), "object").expect("a prefix");
    let stack = TimeoutStore::new(LimitStore::new(stack, 1000));
    let stack: Store = Arc::new(EventStore::new(
        RetryStore::new(stack),
        EventOptions::default(),
    ));
    let reads = options.pick(20_000, 500);
    let round = |store: &Store, prefix: &'static str| -> BoxFuture<'static, f64> {
        let store = Arc::clone(store);
        let keys: Vec<Key> = (0..COUNT).map(|n| key(format!("{prefix}{n:02}"))).collect();
        async move {
            let started = Instant::now();
            for n in 0..reads {
                let start = (n as u64 * 7 % 255) * RANGE;
                let got = store.get_range(&keys[n % COUNT], start..start + RANGE);
                let body = got.await.expect("a get").body;
                black_box(body.collect(RANGE).await.expect("a body"));
            }
            started.elapsed().as_secs_f64() * 1e9 / reads as f64
        }
        .boxed()
    };
    let table = Table::measure(
        "ns a read",
        options.pick(15, 3),
        vec![
            Contender::on(runtime, BARE, || round(&flatfs, "object")),
            Contender::on(runtime, STACK, || round(&stack, "")),
        ],
    );
    let ratio = table.ratio(STACK, BARE);
    report.at_most("five layers: of the time of flatfs alone", ratio, 1.3);
    report.table("4 KiB of a hot file", table);
}

/// 64 KiB that are in the cache, and the same bytes from a library for caches.
fn cache_hits(options: &Options, runtime: &Runtime, report: &mut Report) {
    const LEN: u64 = 64 * 1024;
    const COUNT: usize = 64;
    let dir = options.tempdir();
    let flatfs: Store = Arc::new(runtime.block_on(peers::flatfs(dir.path())));
    // With the age of the cache's blocks, which it checks too.
    let library: moka::sync::Cache<Key, Bytes> = moka::sync::Cache::builder()
        .max_capacity(1000)
        .time_to_live(CacheOptions::default().max_age)
        .build();
    let keys: Arc<[Key]> = (0..COUNT).map(|n| key(format!("object{n:02}"))).collect();
    let cache: Store = Arc::new(CacheStore::with_options(
        Arc::clone(&flatfs),
        CacheOptions::default().block_size(LEN),
    ));
    runtime.block_on(async {
        for key in &*keys {
            let bytes = Bytes::from(vec![7; LEN as usize]);
            library.insert(key.clone(), bytes.clone());
            flatfs.put(key, bytes).await.expect("a put");
            let got = cache.get(key).await.expect("a get");
            got.body.collect(LEN).await.expect("a body");
        }
    });
    let reads = options.pick(100_000, 1_000);
    let table = Table::measure(
        "ns a read",
        options.pick(15, 3),
        vec![
            Contender::on(runtime, LIBRARY, || {
                let (library, keys) = (library.clone(), Arc::clone(&keys));
                async move {
                    let started = Instant::now();
                    for n in 0..reads {
                        black_box(library.get(&keys[n % COUNT]).expect("a value"));
                    }
                    started.elapsed().as_secs_f64() * 1e9 / reads as f64
                }
                .boxed()
            }),
            Contender::on(runtime, CACHE, || {
                let (cache, keys) = (Arc::clone(&cache), Arc::clone(&keys));
                async move {
                    let started = Instant::now();
                    for n in 0..reads {
                        let got = cache.get(&keys[n % COUNT]).await.expect("a get");
                        black_box(got.body.collect(LEN).await.expect("a body"));
                    }
                    started.elapsed().as_secs_f64() * 1e9 / reads as f64
                }
                .boxed()
            }),
        ],
    );
    let ratio = table.ratio(CACHE, LIBRARY);
    report.at_most("a hit: of the time of a get of moka", ratio, 3.0);
    report.table("64 KiB in the cache", table);
}

/// A body compressed on its way into memory, and by the library alone.
fn compression(options: &Options, runtime: &Runtime, report: &mut Report) {
    let len: usize = options.pick(64 << 20, 4 << 20);
    let body = text(len);
    let compressed: Arc<CompressedStore<Memory>> = Arc::new(
        CompressedStore::new(Memory::new(), CompressedOptions::default()).expect("its options"),
    );
    let frame = CompressedOptions::default().frame_size as usize;
    let level = CompressedOptions::default().level;
    let table = Table::measure(
        "MiB a second",
        options.pick(5, 2),
        vec![
            Contender::new(ZSTD, || {
                let started = Instant::now();
                let mut compressor = zstd::bulk::Compressor::new(level).expect("a level");
                let mut all = Vec::new();
                for piece in body.chunks(frame) {
                    all.extend(compressor.compress(piece).expect("a frame"));
                }
                black_box(all);
                (len >> 20) as f64 / started.elapsed().as_secs_f64()
            }),
            Contender::on(runtime, COMPRESSED, || {
                let (store, body) = (Arc::clone(&compressed), body.clone());
                async move {
                    let started = Instant::now();
                    store.put(&key("object"), body).await.expect("a put");
                    (len >> 20) as f64 / started.elapsed().as_secs_f64()
                }
                .boxed()
            }),
        ],
    );
    let ratio = table.ratio(COMPRESSED, ZSTD);
    report.at_least("a put: times as fast as zstd", ratio, 0.9);
    report.table("text that compresses", table);
}

/// Words in an order that repeats only after long.
fn text(len: usize) -> Bytes {
    const WORDS: &[&str] = &[
        "blob", "record", "store", "digest", "range", "node", "space", "claim",
    ];
    let mut state = 1u64;
    let mut all = Vec::with_capacity(len + 32);
    while all.len() < len {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        all.extend_from_slice(WORDS[(state >> 40) as usize % WORDS.len()].as_bytes());
        all.extend_from_slice(format!(" {} ", state >> 48).as_bytes());
    }
    all.truncate(len);
    all.into()
}

/// Objects that the fast tier lacks, on a server that is 5 ms away.
fn cold_reads(options: &Options, runtime: &Runtime, report: &mut Report) {
    const LEN: u64 = 256 * 1024;
    let count: usize = options.pick(64, 8);
    let server = runtime.block_on(Server::in_process());
    let far: Store = runtime.block_on(async {
        let mut options = server.bucket();
        let near = S3::open(options.clone()).await.expect("a bucket");
        for n in 0..count {
            let key = key(format!("object{n}"));
            near.put(&key, vec![7; LEN as usize]).await.expect("a put");
        }
        let far = delay::proxy(options.endpoint.clone(), ONE_WAY).await;
        options.endpoint = far.to_string();
        Arc::new(S3::open(options).await.expect("the same bucket"))
    });
    let read = |store: Store| -> BoxFuture<'static, f64> {
        async move {
            let started = Instant::now();
            for n in 0..count {
                let got = store.get(&key(format!("object{n}"))).await.expect("a get");
                black_box(got.body.collect(LEN).await.expect("a body"));
            }
            started.elapsed().as_secs_f64() * 1e3 / count as f64
        }
        .boxed()
    };
    let table = Table::measure(
        "ms a read",
        options.pick(7, 2),
        vec![
            Contender::on(runtime, SLOW, || read(Arc::clone(&far))),
            Contender::on(runtime, TIERED, || {
                // An empty fast tier in each round.
                read(Arc::new(TieredStore::new(Memory::new(), Arc::clone(&far))))
            }),
        ],
    );
    let ratio = table.ratio(TIERED, SLOW);
    report.at_most("a cold read: of the slow store's time", ratio, 1.1);
    report.table("256 KiB, s3s-fs behind a delay of 5 ms", table);
}
