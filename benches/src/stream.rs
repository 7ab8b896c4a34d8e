//! A cached object, streamed from its start to its end. All read the same file.

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use object_store::ObjectStoreExt as _;
use opendal::Operator;
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt as _};

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers::{self, OBJECT_STORE, OPENDAL, RAW, STOREHOUSE};

const SIZE: usize = 64 * 1024 * 1024;

/// As large as a piece from storehouse may be. Without it OpenDAL reads the object into memory at
/// once, which is fast, and no streaming.
const CHUNK: usize = 1024 * 1024;
const OPENDAL_WHOLE: &str = "opendal fs, in one buffer";

pub(crate) fn run(options: &Options) -> Report {
    let dir = options.tempdir();
    let runtime = runtime();
    let store = runtime.block_on(peers::flatfs(dir.path()));
    let key = Key::new("object").expect("a key");
    runtime
        .block_on(store.put(&key, vec![7; SIZE]))
        .expect("a put");
    let path = format!("{}/object.data", store.options().shard.shard("object"));
    let file = dir.path().join(&path);
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let other: Arc<dyn object_store::ObjectStore> = Arc::new(peers::object_store(dir.path()));
    let operator = peers::opendal(dir.path());

    // Its best buffer is found beforehand, so that the raw loop is as fast as it can be.
    let best = (14..=21).map(|bits| 1 << bits).max_by(|a, b| {
        let fastest = |size: &usize| (0..8).map(|_| raw(&file, *size)).fold(0.0, f64::max);
        fastest(a).total_cmp(&fastest(b))
    });
    let best = best.expect("a size");

    let table = Table::measure(
        "MB/s",
        options.pick(25, 3),
        vec![
            Contender::new(RAW, || raw(&file, best)),
            Contender::on(&runtime, STOREHOUSE, || {
                let (store, key) = (Arc::clone(&store), key.clone());
                async move {
                    let started = Instant::now();
                    let mut body = store.get(&key).await.expect("a get").body;
                    let mut len = 0;
                    while let Some(piece) = body.next().await {
                        len += black_box(piece.expect("a piece")).len();
                    }
                    speed(started, len)
                }
                .boxed()
            }),
            Contender::on(&runtime, OBJECT_STORE, || {
                let (store, path) = (
                    Arc::clone(&other),
                    object_store::path::Path::from(path.as_str()),
                );
                async move {
                    let started = Instant::now();
                    let mut body = store.get(&path).await.expect("a get").into_stream();
                    let mut len = 0;
                    while let Some(piece) = body.next().await {
                        len += black_box(piece.expect("a piece")).len();
                    }
                    speed(started, len)
                }
                .boxed()
            }),
            Contender::on(&runtime, OPENDAL, || {
                opendal(operator.clone(), path.clone(), Some(CHUNK))
            }),
            Contender::on(&runtime, OPENDAL_WHOLE, || {
                opendal(operator.clone(), path.clone(), None)
            }),
        ],
    );
    let mut report = Report::default();
    report.at_least(
        &format!(
            "speed against the raw loop (with buffers of {} KiB)",
            best / 1024
        ),
        table.ratio(STOREHOUSE, RAW),
        0.9,
    );
    report.at_least(
        "times as fast as opendal in chunks of 1 MiB",
        table.ratio(STOREHOUSE, OPENDAL),
        1.4,
    );
    report.table("64 MiB from the cache", table);
    report
}

fn opendal(operator: Operator, path: String, chunk: Option<usize>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        let reader = operator.reader_with(&path);
        let reader = match chunk {
            Some(chunk) => reader.chunk(chunk).await,
            None => reader.await,
        };
        let mut body = reader
            .expect("a reader")
            .into_bytes_stream(..)
            .await
            .expect("a stream");
        let mut len = 0;
        while let Some(piece) = body.next().await {
            len += black_box(piece.expect("a piece")).len();
        }
        speed(started, len)
    }
    .boxed()
}

fn raw(path: &Path, buffer: usize) -> f64 {
    let mut buffer = vec![0; buffer];
    let started = Instant::now();
    let mut file = File::open(path).expect("a file");
    let mut len = 0;
    loop {
        match file.read(&mut buffer).expect("its bytes") {
            0 => return speed(started, len),
            n => len += n,
        }
        black_box(&buffer);
    }
}

/// In megabytes a second.
fn speed(started: Instant, len: usize) -> f64 {
    assert_eq!(len, SIZE);
    len as f64 / 1e6 / started.elapsed().as_secs_f64()
}
