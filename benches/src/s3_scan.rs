//! Reading all of some small records from an S3 server that is 5 ms away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{ListOptions, ObjectStore};
use storehouse_s3::S3;
use storehouse_stores::{Allocation, AllocationStore, Layout};

use crate::delay;
use crate::filled;
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::memory::support::Server;

const SCAN: &str = "AllocationStore::list";
const ONE_BY_ONE: &str = "one get after the other";

/// Half of the delay: of what is sent, and of what is answered.
const ONE_WAY: Duration = Duration::from_micros(2_500);

pub(crate) fn run(options: &Options) -> Report {
    let (runtime, records) = (runtime(), options.pick(500, 64));
    let server = runtime.block_on(Server::in_process());
    let store: Arc<dyn ObjectStore> = runtime.block_on(async {
        let near = server.bucket();
        let allocations = AllocationStore::new(
            S3::open(near.clone()).await.expect("a bucket"),
            &Layout::s3(),
        );
        let puts = stream::iter((0..records).map(filled::allocation))
            .map(Ok::<_, storehouse_stores::Error>);
        puts.try_for_each_concurrent(16, |allocation| {
            let allocations = &allocations;
            async move { allocations.put(&allocation).await }
        })
        .await
        .expect("puts");
        let far = delay::proxy(near.endpoint.clone(), ONE_WAY)
            .await
            .to_string();
        let mut options = near;
        options.endpoint = far;
        let store = S3::open(options).await.expect("the same bucket");
        Arc::new(store) as Arc<dyn ObjectStore>
    });
    let allocations = Arc::new(AllocationStore::new(Arc::clone(&store), &Layout::s3()));
    let table = Table::measure(
        "records a second",
        options.pick(7, 2),
        vec![
            Contender::on(&runtime, ONE_BY_ONE, || {
                let store = Arc::clone(&store);
                async move {
                    let started = Instant::now();
                    let keys: Vec<_> = store
                        .list(ListOptions::default())
                        .map_ok(|entry| entry.key)
                        .try_collect()
                        .await
                        .expect("a listing");
                    for key in &keys {
                        let object = store
                            .get_opts(key, Default::default())
                            .await
                            .expect("an object");
                        let bytes = object.body.collect(1 << 20).await.expect("its bytes");
                        std::hint::black_box(Allocation::decode(&bytes).expect("an allocation"));
                    }
                    assert_eq!(keys.len() as u64, records);
                    records as f64 / started.elapsed().as_secs_f64()
                }
                .boxed()
            }),
            Contender::on(&runtime, SCAN, || {
                let allocations = Arc::clone(&allocations);
                async move {
                    let started = Instant::now();
                    let all: Vec<Allocation> =
                        allocations.list(None).try_collect().await.expect("a scan");
                    assert_eq!(all.len() as u64, records);
                    records as f64 / started.elapsed().as_secs_f64()
                }
                .boxed()
            }),
        ],
    );
    let mut report = Report::default();
    report.at_least(
        "times one get after the other",
        table.ratio(SCAN, ONE_BY_ONE),
        8.0,
    );
    report.table(
        &format!("{records} allocations, s3s-fs behind a delay of 5 ms"),
        table,
    );
    report
}
