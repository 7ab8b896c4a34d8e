//! Hot 4 KiB ranges of the same files: of a few, as a node that serves popular blobs reads them,
//! and of a set so large that each is read rarely.

use std::ffi::CString;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use metrics_exporter_prometheus::PrometheusBuilder;
use object_store::ObjectStoreExt as _;
use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::io::pread;
use storehouse_layers::ObservedStore;
use storehouse_objectstore::{Durability, Key, ObjectStore, ObjectStoreExt as _, PutOptions};

use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::peers::{self, OBJECT_STORE, OPENDAL, RAW, STOREHOUSE};

const RANGE: u64 = 4096;
const AT_ONCE: usize = 32;

/// With the feature `observe`, and nothing installed.
const OBSERVED: &str = "storehouse, observed";
/// The same with the recorder of the Prometheus exporter.
const RECORDED: &str = "storehouse, recorded";

/// Which objects are read from.
#[derive(Clone, Copy)]
struct Objects {
    first: usize,
    count: usize,
    /// In bytes.
    size: u64,
}

const FEW: Objects = Objects {
    first: 0,
    count: 64,
    size: 1024 * 1024,
};

/// Sixteen times as many as storehouse keeps open.
const MANY: Objects = Objects {
    first: FEW.count,
    count: 4096,
    size: 64 * 1024,
};

/// How old an object must be before storehouse keeps it open.
const SETTLED: Duration = Duration::from_secs(2);

/// One read of a range: which object, and from where.
#[derive(Clone, Copy)]
struct Read {
    object: usize,
    offset: u64,
}

/// The same reads for everybody, scattered.
fn reads(of: Objects, count: usize) -> impl Iterator<Item = Read> + Clone + Send + 'static {
    let mut state = 1u64;
    std::iter::repeat_with(move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Read {
            object: of.first + (state >> 33) as usize % of.count,
            offset: (state >> 40) % (of.size / RANGE) * RANGE,
        }
    })
    .take(count)
}

pub(crate) fn run(options: &Options) -> Report {
    let dir = options.tempdir();
    let runtime = runtime();
    let rounds = options.pick(15, 3);
    let (fast, slow) = options.pick((20_000, 2_000), (2_000, 200));

    let store = runtime.block_on(peers::flatfs(dir.path()));
    let names: Vec<String> = (0..FEW.count + MANY.count)
        .map(|i| format!("object{i:04}"))
        .collect();
    let keys: Arc<[Key]> = names
        .iter()
        .map(|name| Key::new(name).expect("a key"))
        .collect();
    runtime.block_on(async {
        for (i, key) in keys.iter().enumerate() {
            let size = if i < MANY.first { FEW.size } else { MANY.size };
            store
                .put_opts(
                    key,
                    vec![7; size as usize].into(),
                    PutOptions::default().durability(Durability::Relaxed),
                )
                .await
                .expect("a put");
        }
        tokio::time::sleep(SETTLED).await;
    });
    let shard = store.options().shard;
    let paths: Arc<[String]> = names
        .iter()
        .map(|name| format!("{}/{name}.data", shard.shard(name)))
        .collect();
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let other: Arc<dyn object_store::ObjectStore> = Arc::new(peers::object_store(dir.path()));
    let operator = peers::opendal(dir.path());

    let through = |store: &Arc<dyn ObjectStore>| {
        let (store, keys) = (Arc::clone(store), Arc::clone(&keys));
        move |read: Read| {
            let (store, keys) = (Arc::clone(&store), Arc::clone(&keys));
            async move {
                let object = store
                    .get_range(&keys[read.object], read.offset..read.offset + RANGE)
                    .await
                    .expect("a get");
                object.body.collect(RANGE).await.expect("a body").len()
            }
        }
    };
    let storehouse = through(&store);
    let (observed, recorded): (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>) = (
        Arc::new(ObservedStore::new(Arc::clone(&store), "blobs", "flatfs")),
        Arc::new(ObservedStore::new(Arc::clone(&store), "blobs", "flatfs")),
    );
    // The first operation takes its handles from the recorder that is there.
    let recorder = PrometheusBuilder::new().build_recorder();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(through(&recorded)(Read {
            object: 0,
            offset: 0,
        }))
    });
    let (observed, recorded) = (through(&observed), through(&recorded));
    let paths_of_others: Arc<[object_store::path::Path]> =
        paths.iter().map(|path| path.as_str().into()).collect();
    let object_store = {
        move |read: Read| {
            let (other, paths) = (Arc::clone(&other), Arc::clone(&paths_of_others));
            async move {
                other
                    .get_range(&paths[read.object], read.offset..read.offset + RANGE)
                    .await
                    .expect("a get")
                    .len()
            }
        }
    };
    let opendal = {
        let paths = Arc::clone(&paths);
        move |read: Read| {
            let (operator, paths) = (operator.clone(), Arc::clone(&paths));
            async move {
                operator
                    .read_with(&paths[read.object])
                    .range(read.offset..read.offset + RANGE)
                    .await
                    .expect("a read")
                    .len()
            }
        }
    };

    let mut report = Report::default();
    let one = Table::measure(
        "µs a range",
        rounds,
        vec![
            Contender::new(RAW, || raw(dir.path(), &paths, FEW, fast)),
            Contender::on(&runtime, STOREHOUSE, || {
                in_turn(storehouse.clone(), FEW, fast)
            }),
            Contender::on(&runtime, OBSERVED, || in_turn(observed.clone(), FEW, fast)),
            Contender::on(&runtime, RECORDED, || in_turn(recorded.clone(), FEW, fast)),
            Contender::on(&runtime, OBJECT_STORE, || {
                in_turn(object_store.clone(), FEW, slow)
            }),
            Contender::on(&runtime, OPENDAL, || in_turn(opendal.clone(), FEW, slow)),
        ],
    );
    let many = Table::measure(
        "µs a range",
        rounds,
        vec![
            Contender::on(&runtime, STOREHOUSE, || {
                at_once(storehouse.clone(), FEW, fast)
            }),
            Contender::on(&runtime, OBJECT_STORE, || {
                at_once(object_store.clone(), FEW, slow * 2)
            }),
            Contender::on(&runtime, OPENDAL, || {
                at_once(opendal.clone(), FEW, slow * 2)
            }),
        ],
    );
    let scattered = Table::measure(
        "µs a range",
        rounds,
        vec![
            Contender::new(RAW, || raw(dir.path(), &paths, MANY, fast)),
            Contender::on(&runtime, STOREHOUSE, || {
                in_turn(storehouse.clone(), MANY, fast)
            }),
            Contender::on(&runtime, OBJECT_STORE, || {
                in_turn(object_store.clone(), MANY, slow)
            }),
            Contender::on(&runtime, OPENDAL, || in_turn(opendal.clone(), MANY, slow)),
        ],
    );
    report.at_most(
        "one after another, time against the raw loop",
        one.ratio(STOREHOUSE, RAW),
        1.5,
    );
    report.at_least(
        "one after another, times as fast as object_store",
        one.ratio(OBJECT_STORE, STOREHOUSE),
        10.0,
    );
    report.at_least(
        "one after another, times as fast as opendal",
        one.ratio(OPENDAL, STOREHOUSE),
        10.0,
    );
    report.at_least(
        "32 at once, times as fast as object_store",
        many.ratio(OBJECT_STORE, STOREHOUSE),
        3.0,
    );
    report.at_least(
        "32 at once, times as fast as opendal",
        many.ratio(OPENDAL, STOREHOUSE),
        3.0,
    );
    report.at_most(
        "among 4,096 objects, time against the raw loop",
        scattered.ratio(STOREHOUSE, RAW),
        1.5,
    );
    report.table("one after another", one);
    report.table("32 at once", many);
    report.table("one after another, among 4,096 objects", scattered);
    report
}

/// `open`, `fstat`, `pread`, `close`, with nothing else that could be left out.
fn raw(dir: &Path, paths: &[String], of: Objects, count: usize) -> f64 {
    let paths: Vec<CString> = paths
        .iter()
        .map(|path| {
            CString::new(dir.join(path).into_os_string().into_encoded_bytes()).expect("a path")
        })
        .collect();
    let mut buffer = vec![0; RANGE as usize];
    let started = Instant::now();
    for read in reads(of, count) {
        let file = open(
            &*paths[read.object],
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .expect("a file");
        black_box(fstat(&file).expect("its size").st_size);
        assert_eq!(
            pread(&file, &mut *buffer, read.offset).expect("its bytes"),
            RANGE as usize
        );
        black_box(&buffer);
    }
    micros_each(started, count)
}

fn in_turn<F, R>(read: F, of: Objects, count: usize) -> BoxFuture<'static, f64>
where
    F: Fn(Read) -> R + Send + 'static,
    R: Future<Output = usize> + Send,
{
    async move {
        let started = Instant::now();
        for at in reads(of, count) {
            assert_eq!(read(at).await, RANGE as usize);
        }
        micros_each(started, count)
    }
    .boxed()
}

fn at_once<F, R>(read: F, of: Objects, count: usize) -> BoxFuture<'static, f64>
where
    F: Fn(Read) -> R + Clone + Send + 'static,
    R: Future<Output = usize> + Send + 'static,
{
    async move {
        let started = Instant::now();
        let tasks = (0..AT_ONCE).map(|task| {
            let read = read.clone();
            tokio::spawn(async move {
                for at in reads(of, count).skip(task).step_by(AT_ONCE) {
                    assert_eq!(read(at).await, RANGE as usize);
                }
            })
        });
        for task in join_all(tasks).await {
            task.expect("a task");
        }
        micros_each(started, count)
    }
    .boxed()
}

fn micros_each(started: Instant, count: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / count as f64
}
