//! `DedupStore` stopped at every step of every operation.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use storehouse_layers::{DedupStore, Fault, FaultStore, Faults};
use storehouse_objectstore::{
    Batch, Body, CopyOptions, ErrorClass, Memory, ObjectStore, ObjectStoreExt, Result,
};

use super::dedup::{key, keys_of, noise, small_chunks};
use super::dedup_collect::chunks_of;

type Faulty = DedupStore<FaultStore<Memory>, FaultStore<Memory>>;
type Model = BTreeMap<String, Bytes>;

/// An operation that is stopped.
#[derive(Clone, Copy, Debug)]
enum Step {
    Put,
    Replace,
    Stream,
    Delete,
    Copy,
    Rename,
    Batch,
    Collect,
}

const STEPS: [Step; 8] = [
    Step::Put,
    Step::Replace,
    Step::Stream,
    Step::Delete,
    Step::Copy,
    Step::Rename,
    Step::Batch,
    Step::Collect,
];

/// Chunks that are new, that an object has, and that no object has any more.
fn mixed() -> Bytes {
    [
        noise(9, 9_000),
        noise(1, 9_000),
        noise(4, 9_000),
        noise(8, 50),
    ]
    .concat()
    .into()
}

impl Step {
    async fn run(self, store: &Faulty) -> Result<()> {
        match self {
            Self::Put => store.put(&key("new"), mixed()).await.map(drop),
            Self::Replace => store.put(&key("a"), mixed()).await.map(drop),
            Self::Stream => {
                let pieces = mixed()
                    .chunks(5_000)
                    .map(Bytes::copy_from_slice)
                    .map(Ok::<_, std::io::Error>)
                    .collect::<Vec<_>>();
                let body = Body::from_stream(stream::iter(pieces)).with_size(27_050);
                store.put(&key("b"), body).await.map(drop)
            }
            Self::Delete => store.delete(&key("a")).await,
            Self::Copy => store.copy(&key("a"), &key("b")).await.map(drop),
            Self::Rename => {
                let rename = CopyOptions::default().remove_source(true);
                store
                    .copy_opts(&key("a"), &key("b"), rename)
                    .await
                    .map(drop)
            }
            Self::Batch => {
                let batch = Batch::new().put(key("a"), mixed()).delete(key("b"));
                store.batches().unwrap().batch(batch).await.map(drop)
            }
            Self::Collect => store.collect().await.map(drop),
        }
    }

    fn apply(self, model: &mut Model) {
        let a = model["a"].clone();
        let mut put = |name: &str, content| drop(model.insert(name.to_owned(), content));
        match self {
            Self::Put => put("new", mixed()),
            Self::Replace => put("a", mixed()),
            Self::Stream => put("b", mixed()),
            Self::Copy => put("b", a),
            Self::Delete => drop(model.remove("a")),
            Self::Rename => {
                put("b", a);
                model.remove("a");
            }
            Self::Batch => {
                put("a", mixed());
                model.remove("b");
            }
            Self::Collect => {}
        }
    }
}

/// The data, which outlives what is stopped.
struct Data {
    index: Memory,
    chunks: Memory,
    model: Model,
}

impl Data {
    async fn new() -> Self {
        let data = Self {
            index: Memory::new(),
            chunks: Memory::new(),
            model: Model::from([
                ("a".to_owned(), noise(1, 30_000)),
                (
                    "b".to_owned(),
                    [noise(2, 20_000), noise(1, 20_000)].concat().into(),
                ),
                ("c".to_owned(), noise(3, 20)),
            ]),
        };
        let store = data.open(&Faults::new());
        for (name, content) in &data.model {
            store.put(&key(name), content.clone()).await.unwrap();
        }
        // Chunks that no object has.
        store.put(&key("gone"), noise(4, 30_000)).await.unwrap();
        store.delete(&key("gone")).await.unwrap();
        data
    }

    fn open(&self, faults: &Faults) -> Faulty {
        let index = FaultStore::with_faults(self.index.reopen(), faults.clone());
        let chunks = FaultStore::with_faults(self.chunks.reopen(), faults.clone());
        DedupStore::new(index, chunks, small_chunks()).unwrap()
    }

    /// Opened again: nothing that is referenced is lost, and nothing else is left. `done` is
    /// whether the step has happened, if that is known.
    async fn check(&self, step: Step, done: Option<bool>, at: &str) {
        let store = self.open(&Faults::new());
        let mut after = self.model.clone();
        step.apply(&mut after);
        for _ in 0..2 {
            let mut now = Model::new();
            for name in keys_of(&store).await {
                let bytes = store.get_bytes(&key(&name), 1 << 20).await;
                let bytes = bytes.unwrap_or_else(|e| panic!("{step:?} stopped {at}: {e:?}"));
                now.insert(name, bytes);
            }
            let is_before = now == self.model && done != Some(true);
            let is_after = now == after && done != Some(false);
            assert!(is_before || is_after, "{step:?} stopped {at}");
            // Before and after a collection.
            let collected = store.collect().await.unwrap();
            assert_eq!(
                (collected.missing, collected.spared),
                (0, 0),
                "{step:?} {at}"
            );
        }
        let (there, had) = (keys_of(&self.chunks).await, chunks_of(&store).await);
        assert_eq!(there, had, "{step:?} stopped {at}");
    }
}

/// From one request on all fail: its request did not happen, or its answer was lost.
#[tokio::test]
async fn requests_fail_from_any_one_on() {
    for step in STEPS {
        for lost_answer in [false, true] {
            let mut requests = 0;
            loop {
                let data = Data::new().await;
                let faults = Faults::new();
                if lost_answer {
                    faults.add(Fault::lost_answer(ErrorClass::Transient).skip(requests));
                    let rest = Fault::error(ErrorClass::Transient).skip(requests + 1);
                    faults.add(rest.always());
                } else {
                    let fault = Fault::error(ErrorClass::Transient).skip(requests);
                    faults.add(fault.always());
                }
                let done = step.run(&data.open(&faults)).await;
                let known = if done.is_ok() { Some(true) } else { None };
                let at = format!("after {requests} requests, answer lost: {lost_answer}");
                data.check(step, known, &at).await;
                if faults.happened() == 0 {
                    done.unwrap();
                    break;
                }
                requests += 1;
            }
            assert!(requests > 0, "{step:?}");
        }
    }
}

/// A runtime whose time goes on when all wait, and a store each of whose requests takes 4 ms.
fn slow(data: &Data) -> (tokio::runtime::Runtime, Faulty) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let faults = Faults::new();
    faults.add(Fault::delay(Duration::from_millis(4)).always());
    (runtime, data.open(&faults))
}

async fn stopped(step: Step, store: &Faulty, requests: u64) -> Option<Result<()>> {
    let time = Duration::from_millis(4 * requests + 2);
    tokio::time::timeout(time, step.run(store)).await.ok()
}

/// At every await the process dies, with all of its tasks; or the caller goes, and they go on.
#[test]
fn stopped_at_every_await() {
    let plain = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for step in STEPS {
        for dies in [true, false] {
            for requests in 0.. {
                let data = plain.block_on(Data::new());
                let (runtime, store) = slow(&data);
                let done = runtime.block_on(stopped(step, &store, requests));
                if !dies {
                    runtime.block_on(async { tokio::time::sleep(Duration::from_secs(10)).await });
                }
                drop(runtime);
                let known = done.as_ref().map(|done| done.is_ok());
                let at = format!("after {requests} times 4 ms, process dies: {dies}");
                plain.block_on(data.check(step, known, &at));
                if done.is_some() {
                    assert!(requests > 0, "{step:?}");
                    break;
                }
            }
        }
    }
}

/// A collection whose caller goes at any time, and puts that follow at once in the same process.
#[test]
fn a_collection_is_dropped_and_puts_go_on() {
    let plain = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for requests in 0..12 {
        let data = plain.block_on(Data::new());
        let (runtime, store) = slow(&data);
        runtime.block_on(async {
            drop(stopped(Step::Collect, &store, requests).await);
            Step::Put.run(&store).await.unwrap();
            let second = store.clone();
            let again = tokio::spawn(async move { second.collect().await });
            Step::Put.run(&store).await.unwrap();
            again.await.unwrap().unwrap();
            let read = store.get_bytes(&key("new"), 100_000).await.unwrap();
            assert!(read == mixed());
        });
        drop(runtime);
        plain.block_on(data.check(Step::Put, Some(true), "never"));
    }
}
