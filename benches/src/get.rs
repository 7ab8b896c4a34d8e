//! Reading one small record among a million.

use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use storehouse_engine::RecordStore;
use storehouse_objectstore::{GetOptions, Key, ListOptions, ObjectStore};
use storehouse_stores::{Allocation, AllocationStore, Layout};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::filled::{self, mix};
use crate::harness::{Contender, Options, Report, Table, runtime};
use crate::raw::{Engine, FjallEngine, Raw, RedbEngine};

const RAW_GET: &str = "the library's own get";
const RAW_FIRST: &str = "the library's own first by prefix";
const THROUGH_DYN: &str = "by Arc<dyn>";
const THROUGH_TYPE: &str = "by its own type";
const MISSING: &str = "not there";
const FIRST_BY_PREFIX: &str = "first by prefix";
const GET: &str = "AllocationStore::get";
const GET_ANY: &str = "AllocationStore::get_any";
const EXISTS: &str = "AllocationStore::exists";

/// How few bytes of a value would be too few.
const LEAST: usize = 150;

/// Bytes of a key that only it starts with.
const PREFIX: usize = 60;

type Allocations = AllocationStore<Arc<dyn ObjectStore>>;

pub(crate) fn run(options: &Options) -> Report {
    let mut report = Report::default();
    of::<FjallEngine>(options, &mut report);
    of::<RedbEngine>(options, &mut report);
    report
}

fn of<E: Engine>(options: &Options, report: &mut Report) {
    let (runtime, engine) = (runtime(), E::NAME);
    let [few, many] = [1_000, options.pick(1_000_000, 50_000)]
        .map(|records| Filled::<E>::new(&runtime, options, records));
    // All take turns with each other, so that what else the machine does hits few and many alike.
    let contenders = few
        .contenders(&runtime)
        .into_iter()
        .chain(many.contenders(&runtime))
        .collect();
    let table = Table::measure("µs a read", options.pick(9, 3), contenders);
    for (records, name) in [(few.records, &few), (many.records, &many)] {
        let ratio = |own, raw| table.ratio(&name.name(own), &name.name(raw));
        let title = |what| format!("{engine}: times the library's own, {what}, among {records}");
        report.at_most(&title(THROUGH_DYN), ratio(THROUGH_DYN, RAW_GET), 2.0);
        report.at_most(
            &title(FIRST_BY_PREFIX),
            ratio(FIRST_BY_PREFIX, RAW_FIRST),
            2.0,
        );
        for own in [GET, GET_ANY, EXISTS] {
            report.at_most(&title(own), ratio(own, RAW_GET), 8.0);
        }
    }
    report.table(
        &format!(
            "{engine}, among {} and {} records",
            few.records, many.records
        ),
        table,
    );
}

/// The same records in both databases, and which of them are asked for.
struct Filled<E: Engine> {
    records: u64,
    own: Arc<RecordStore<E>>,
    store: Arc<dyn ObjectStore>,
    allocations: Arc<Allocations>,
    raw: Box<dyn Raw>,
    keys: Vec<String>,
    known: Arc<Vec<Key>>,
    absent: Arc<Vec<Key>>,
    asked: Arc<Vec<Allocation>>,
    _dirs: [TempDir; 2],
}

impl<E: Engine> Filled<E> {
    fn new(runtime: &Runtime, options: &Options, records: u64) -> Self {
        let dirs = [options.tempdir(), options.tempdir()];
        let record = filled::allocation_record;
        let own = filled::store::<E>(runtime, dirs[0].path(), records, record);
        let store: Arc<dyn ObjectStore> = own.clone();
        let allocations = Arc::new(AllocationStore::new(
            Arc::clone(&store),
            &Layout::database(),
        ));
        let raw = filled::raw::<E>(dirs[1].path(), records, record);
        let numbers: Vec<u64> = (0..options.pick(200_000, 20_000)).collect();
        let keys: Vec<String> = numbers
            .iter()
            .map(|i| record(mix(*i) % records).0)
            .collect();
        let key = |text: &String| Key::new(text).expect("a key");
        let known = Arc::new(keys.iter().map(key).collect());
        let absent = Arc::new(
            numbers
                .iter()
                .map(|i| key(&record(records + i).0))
                .collect(),
        );
        let asked = Arc::new(
            numbers
                .iter()
                .map(|i| filled::allocation(mix(*i) % records))
                .collect(),
        );
        Self {
            records,
            own,
            store,
            allocations,
            raw,
            keys,
            known,
            absent,
            asked,
            _dirs: dirs,
        }
    }

    fn name(&self, name: &str) -> String {
        format!("{name}, {}", self.records)
    }

    fn contenders<'a>(&'a self, runtime: &'a Runtime) -> Vec<Contender<'a>> {
        let (store, known, asked) = (&self.store, &self.known, &self.asked);
        let on = |name, round: Box<dyn FnMut() -> BoxFuture<'static, f64> + 'a>| {
            Contender::on(runtime, self.name(name), round)
        };
        vec![
            Contender::new(self.name(RAW_GET), || raw_gets(&*self.raw, &self.keys)),
            Contender::new(self.name(RAW_FIRST), || raw_firsts(&*self.raw, &self.keys)),
            on(
                THROUGH_DYN,
                Box::new(|| gets(Arc::clone(store), Arc::clone(known))),
            ),
            on(
                THROUGH_TYPE,
                Box::new(|| gets(Arc::clone(&self.own), Arc::clone(known))),
            ),
            on(
                MISSING,
                Box::new(|| missing(Arc::clone(store), Arc::clone(&self.absent))),
            ),
            on(
                FIRST_BY_PREFIX,
                Box::new(|| firsts(Arc::clone(store), Arc::clone(known))),
            ),
            on(
                GET,
                Box::new(|| get(Arc::clone(&self.allocations), Arc::clone(asked))),
            ),
            on(
                GET_ANY,
                Box::new(|| get_any(Arc::clone(&self.allocations), Arc::clone(asked))),
            ),
            on(
                EXISTS,
                Box::new(|| exists(Arc::clone(&self.allocations), Arc::clone(asked))),
            ),
        ]
    }
}

fn per_read(started: Instant, reads: usize) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / reads as f64
}

fn raw_gets(raw: &dyn Raw, keys: &[String]) -> f64 {
    let started = Instant::now();
    for key in keys {
        assert!(raw.get(key.as_bytes()).expect("a record").len() > LEAST);
    }
    per_read(started, keys.len())
}

fn raw_firsts(raw: &dyn Raw, keys: &[String]) -> f64 {
    let started = Instant::now();
    for key in keys {
        let (found, value) = raw.first(&key.as_bytes()[..PREFIX]).expect("a record");
        assert!(found == key.as_bytes() && value.len() > LEAST);
    }
    per_read(started, keys.len())
}

fn gets<S: ObjectStore>(store: S, keys: Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let object = store
                .get_opts(key, GetOptions::default())
                .await
                .expect("a get");
            assert!(object.body.collect(1 << 20).await.expect("a body").len() > LEAST);
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn missing(store: Arc<dyn ObjectStore>, keys: Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let answer = store.get_opts(key, GetOptions::default()).await;
            assert!(answer.expect_err("nothing").is_not_found());
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn firsts(store: Arc<dyn ObjectStore>, keys: Arc<Vec<Key>>) -> BoxFuture<'static, f64> {
    use futures_util::StreamExt;
    async move {
        let started = Instant::now();
        for key in keys.iter() {
            let options = ListOptions::default()
                .prefix(&key.as_str()[..PREFIX])
                .limit(1);
            let entry = store
                .list(options)
                .next()
                .await
                .expect("an entry")
                .expect("an entry");
            assert_eq!(&entry.key, key);
        }
        per_read(started, keys.len())
    }
    .boxed()
}

fn get(store: Arc<Allocations>, asked: Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            let got = store.get(&allocation.blob.digest, &allocation.space).await;
            assert_eq!(got.expect("an allocation").expires, allocation.expires);
        }
        per_read(started, asked.len())
    }
    .boxed()
}

fn get_any(store: Arc<Allocations>, asked: Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            let got = store
                .get_any(&allocation.blob.digest)
                .await
                .expect("a look");
            assert_eq!(got.expect("an allocation").expires, allocation.expires);
        }
        per_read(started, asked.len())
    }
    .boxed()
}

fn exists(store: Arc<Allocations>, asked: Arc<Vec<Allocation>>) -> BoxFuture<'static, f64> {
    async move {
        let started = Instant::now();
        for allocation in asked.iter() {
            assert!(store.exists(&allocation.blob.digest).await.expect("a look"));
        }
        per_read(started, asked.len())
    }
    .boxed()
}
