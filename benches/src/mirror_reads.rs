//! What a mirror of two servers costs a reader, and what it spares him.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use storehouse_layers::{Fault, FaultStore, Faults, MirrorOptions, MirrorStore};
use storehouse_objectstore::{Key, ObjectStore, ObjectStoreExt as _, Operation};
use storehouse_s3::S3;
use tokio::runtime::Runtime;

use crate::delay;
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::memory::support::Server;

type Store = Arc<dyn ObjectStore>;

const ALONE: &str = "one server alone";
const MIRROR: &str = "MirrorStore";
const UNHEDGED: &str = "MirrorStore, not hedged";

/// Half of the delay of a server that is 5 ms away.
const ONE_WAY: Duration = Duration::from_micros(2_500);

/// The size of the objects, in bytes.
const LEN: u64 = 256 * 1024;

pub(crate) fn run(options: &Options) -> Report {
    let runtime = runtime();
    let mut report = Report::default();
    let count = options.pick(64, 8);
    // The servers run as long as they are held.
    let servers = [(); 2].map(|()| runtime.block_on(Server::in_process()));
    let [a, b] = [0, 1].map(|n| far(&runtime, &servers[n]));
    let mirror = |hedge_after: Duration, a: Store| -> Store {
        let replicas = [a, Arc::clone(&b)];
        let options = MirrorOptions::default()
            .hedge_after(hedge_after)
            .repair_reads(false);
        Arc::new(MirrorStore::new(replicas, options).expect("two replicas"))
    };
    let all = mirror(Duration::from_secs(5), Arc::clone(&a));
    runtime.block_on(async {
        for n in 0..count {
            for (store, key) in [(&all, object(n)), (&a, alone(n))] {
                let put = store.put(&key, vec![7; LEN as usize]);
                put.await.expect("a put");
            }
        }
    });
    let table = Table::measure(
        "ms a read, the mean",
        options.pick(7, 2),
        vec![
            Contender::on(&runtime, ALONE, || mean(&a, alone, count)),
            Contender::on(&runtime, MIRROR, || mean(&all, object, count)),
        ],
    );
    let ratio = table.ratio(MIRROR, ALONE);
    report.at_most("a cold read: of one server's time", ratio, 1.1);
    report.table("256 KiB, s3s-fs behind a delay of 5 ms", table);

    // One request in 50 of the first server stalls.
    let stalling = || -> Store {
        let faults = Faults::seeded(7);
        let stall = Fault::delay(Duration::from_millis(500)).on(Operation::Get);
        faults.add(stall.one_in(50).always());
        Arc::new(FaultStore::with_faults(Arc::clone(&a), faults))
    };
    let hedged = mirror(Duration::from_millis(30), stalling());
    let unhedged = mirror(Duration::from_secs(5), stalling());
    let reads = options.pick(500, 300);
    let table = Table::measure(
        "ms, the 99th percentile",
        options.pick(5, 2),
        vec![
            Contender::on(&runtime, UNHEDGED, || slowest(&unhedged, count, reads)),
            Contender::on(&runtime, MIRROR, || slowest(&hedged, count, reads)),
        ],
    );
    let ratio = table.ratio(MIRROR, UNHEDGED);
    report.at_most("a hedged read: of the time without", ratio, 1.0 / 3.0);
    report.table("one of two servers stalls 1 in 50", table);
    report
}

fn object(n: usize) -> Key {
    Key::new(format!("object{n}")).expect("a key")
}

fn alone(n: usize) -> Key {
    Key::new(format!("alone{n}")).expect("a key")
}

/// A bucket on a server that is 5 ms away.
fn far(runtime: &Runtime, server: &Server) -> Store {
    runtime.block_on(async {
        let mut options = server.bucket();
        S3::open(options.clone()).await.expect("a bucket");
        let far = delay::proxy(options.endpoint.clone(), ONE_WAY).await;
        options.endpoint = far.to_string();
        let store: Store = Arc::new(S3::open(options).await.expect("the same bucket"));
        store
    })
}

async fn read(store: &Store, key: &Key) {
    let got = store.get(key).await.expect("a get");
    black_box(got.body.collect(LEN).await.expect("a body"));
}

/// The mean time of a read, in milliseconds.
fn mean(store: &Store, key: fn(usize) -> Key, count: usize) -> BoxFuture<'static, f64> {
    let store = Arc::clone(store);
    async move {
        let started = Instant::now();
        for n in 0..count {
            read(&store, &key(n)).await;
        }
        started.elapsed().as_secs_f64() * 1e3 / count as f64
    }
    .boxed()
}

/// The 99th percentile of the times of reads, in milliseconds.
fn slowest(store: &Store, count: usize, reads: usize) -> BoxFuture<'static, f64> {
    let store = Arc::clone(store);
    async move {
        let mut times = Vec::with_capacity(reads);
        for n in 0..reads {
            let started = Instant::now();
            read(&store, &object(n % count)).await;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        times[reads * 99 / 100]
    }
    .boxed()
}
