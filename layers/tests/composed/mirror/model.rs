//! Replicas that fail and come back at random, against a model.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::TryStreamExt;
use proptest::prelude::*;
use storehouse_layers::{Fault, FaultStore, MirrorOptions, MirrorStore, ScrubOptions};
use storehouse_objectstore::{ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt};

use super::support::{Mirror, assert_same, content, key, raw, replica, stream_of, up};

/// What happens to a replica.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It does nothing.
    Down,
    /// It does what it is asked, and does not say so.
    Mute,
    /// It is slow.
    Slow,
    /// Bodies break in the middle.
    Breaking,
    /// It has lost all that it held. Only where that loses nothing acknowledged.
    Wiped,
    /// A byte of each record is another one. Where that damages no copy that is needed.
    Damaged,
}

#[derive(Clone, Debug)]
enum Step {
    Put { key: usize, seed: usize, len: usize },
    PutStream { key: usize, seed: usize, len: usize },
    Delete(usize),
    Get(usize),
    List,
    Trouble(usize, Trouble),
    Up(usize),
    Scrub,
    Reopen,
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let trouble = prop_oneof![
        3 => Just(Trouble::Down),
        1 => Just(Trouble::Mute),
        1 => Just(Trouble::Slow),
        1 => Just(Trouble::Breaking),
        1 => Just(Trouble::Wiped),
        1 => Just(Trouble::Damaged),
    ];
    let (key, seed) = (0..4_usize, 0..1000_usize);
    prop_oneof![
        6 => (key.clone(), seed.clone(), 0..50_usize)
            .prop_map(|(key, seed, len)| Step::Put { key, seed, len }),
        2 => (key.clone(), seed, 0..200_000_usize)
            .prop_map(|(key, seed, len)| Step::PutStream { key, seed, len }),
        4 => key.clone().prop_map(Step::Delete),
        5 => key.prop_map(Step::Get),
        2 => Just(Step::List),
        4 => (0..3_usize, trouble).prop_map(|(of, trouble)| Step::Trouble(of, trouble)),
        5 => (0..3_usize).prop_map(Step::Up),
        1 => Just(Step::Scrub),
        1 => Just(Step::Reopen),
        1 => Just(Step::Wait),
    ]
}

type Content = Option<bytes::Bytes>;

/// What each key may hold: one content, or several after writes that failed.
#[derive(Default)]
struct Model(BTreeMap<Key, BTreeSet<Content>>);

impl Model {
    fn may_be(&self, key: &Key) -> BTreeSet<Content> {
        self.0.get(key).cloned().unwrap_or_else(|| [None].into())
    }

    fn wrote<T, E>(&mut self, key: Key, content: Content, result: &Result<T, E>) {
        let mut may_be = match result {
            Ok(_) => BTreeSet::new(),
            Err(_) => self.may_be(&key),
        };
        may_be.insert(content);
        self.0.insert(key, may_be);
    }
}

struct Run {
    store: Mirror,
    options: MirrorOptions,
    model: Model,
    troubled: BTreeSet<usize>,
    /// Since the last scrub at which all replicas were well, none was in trouble.
    identical: bool,
}

impl Run {
    async fn read(&self, key: &Key) -> storehouse_objectstore::Result<Content> {
        match self.store.get_bytes(key, 1 << 20).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether reads and writes have to succeed.
    fn is_well(&self) -> bool {
        self.troubled.len() <= 1
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Put { key: of, seed, len } => {
                let (key, bytes) = (key(&format!("k{of}")), content(seed, len));
                let put = self.store.put(&key, bytes.clone()).await;
                assert!(put.is_ok() || !self.is_well(), "{put:?}");
                self.model.wrote(key, Some(bytes), &put);
            }
            Step::PutStream { key: of, seed, len } => {
                let (key, bytes) = (key(&format!("k{of}")), content(seed, len));
                let put = self.store.put(&key, stream_of(&bytes)).await;
                assert!(put.is_ok() || !self.is_well(), "{put:?}");
                self.model.wrote(key, Some(bytes), &put);
            }
            Step::Delete(of) => {
                let key = key(&format!("k{of}"));
                let deleted = self.store.delete(&key).await;
                assert!(deleted.is_ok() || !self.is_well(), "{deleted:?}");
                self.model.wrote(key, None, &deleted);
            }
            Step::Get(of) => {
                let key = key(&format!("k{of}"));
                match self.read(&key).await {
                    Ok(read) => assert!(self.model.may_be(&key).contains(&read), "{key}"),
                    Err(error) => assert!(!self.is_well(), "{error}"),
                }
            }
            Step::List => {
                let listing = self.store.list(ListOptions::default());
                match listing.try_collect::<Vec<_>>().await {
                    Ok(entries) => self.check_keys(entries.into_iter().map(|entry| entry.key)),
                    Err(error) => assert!(!self.is_well(), "{error}"),
                }
            }
            Step::Trouble(of, Trouble::Wiped) => {
                if self.identical && self.troubled.is_empty() {
                    let inner = replica(&self.store, of).inner();
                    let listed = inner.list(ListOptions::default());
                    let entries: Vec<_> = listed.try_collect().await.unwrap();
                    for entry in entries {
                        inner.delete(&entry.key).await.unwrap();
                    }
                    self.scrub().await;
                }
            }
            Step::Trouble(of, Trouble::Damaged) => {
                if self.identical && self.troubled.is_empty() {
                    self.damage(of).await;
                }
            }
            Step::Trouble(of, trouble) => {
                let faults = replica(&self.store, of).faults();
                let transient = ErrorClass::Transient;
                faults.add(match trouble {
                    Trouble::Mute => Fault::lost_answer(transient).always(),
                    Trouble::Slow => Fault::delay(Duration::from_secs(3)).always(),
                    Trouble::Breaking => Fault::cut(20).always(),
                    Trouble::Down | Trouble::Wiped | Trouble::Damaged => {
                        Fault::error(transient).always()
                    }
                });
                self.troubled.insert(of);
                self.identical = false;
            }
            Step::Up(of) => {
                up(&self.store, of);
                self.troubled.remove(&of);
                // Until what was under way to it has ended.
                tokio::time::sleep(Duration::from_secs(10)).await;
            }
            Step::Scrub => self.scrub().await,
            Step::Reopen => {
                // As after a crash: what was under way may still end, and nothing is remembered.
                let replicas: Vec<FaultStore<Memory>> = self.store.replicas().cloned().collect();
                self.store = MirrorStore::new(replicas, self.options.clone()).unwrap();
            }
            Step::Wait => tokio::time::sleep(Duration::from_secs(60)).await,
        }
    }

    /// Reads are right all the same, and all is repaired.
    async fn damage(&self, of: usize) {
        let inner = replica(&self.store, of).inner();
        for (n, (key, record)) in raw(inner).await.into_iter().enumerate() {
            let mut record = record.to_vec();
            let at = (n * 7919 + of) % record.len();
            record[at] ^= 1;
            inner.put(&key, record).await.unwrap();
        }
        let listing = self.store.list(ListOptions::default().inline_values(10));
        let entries: Vec<_> = listing.try_collect().await.unwrap();
        self.check_keys(entries.into_iter().map(|entry| entry.key));
        for (key, may_be) in &self.model.0 {
            match self.read(key).await {
                Ok(read) => assert!(may_be.contains(&read), "{key}"),
                // A content that does not come with its trailer is checked at its end.
                Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
            }
        }
        let contents = ScrubOptions::default().contents(true);
        let scrubbed: Vec<_> = self.store.scrub_keys(contents).try_collect().await.unwrap();
        assert!(scrubbed.iter().all(|key| key.failed.is_empty()));
        assert_same(&self.store).await;
    }

    async fn scrub(&mut self) {
        let scrubbed = self.store.scrub().await;
        if self.troubled.is_empty() {
            let scrubbed = scrubbed.unwrap();
            // A write that was late may still have been under way.
            self.identical = scrubbed.failed == 0;
        }
    }

    fn check_keys(&self, keys: impl Iterator<Item = Key>) {
        let keys: Vec<_> = keys.collect();
        assert!(keys.is_sorted());
        for (key, may_be) in &self.model.0 {
            if may_be.len() == 1 {
                let there = !may_be.contains(&None);
                assert_eq!(keys.contains(key), there, "{key} in the listing");
            }
        }
        assert!(keys.iter().all(|key| self.model.0.contains_key(key)));
    }
}

async fn run(steps: Vec<Step>, keep: Duration) {
    let options = MirrorOptions::default()
        .keep_tombstones(keep)
        .wait_for_all(Duration::from_millis(100));
    let replicas = (0..3).map(|_| FaultStore::new(Memory::new()));
    let mut run = Run {
        store: MirrorStore::new(replicas, options.clone()).unwrap(),
        options,
        model: Model::default(),
        troubled: BTreeSet::new(),
        identical: true,
    };
    for step in steps {
        run.step(step).await;
    }
    // All are well again, and what was under way has ended.
    for of in 0..3 {
        up(&run.store, of);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let scrubbed = run.store.scrub().await.unwrap();
    assert_eq!(scrubbed.failed, 0, "{scrubbed:?}");
    let held = assert_same(&run.store).await;
    for (key, may_be) in &run.model.0 {
        let read = run.read(key).await.unwrap();
        assert!(may_be.contains(&read), "{key} holds another content");
        if keep.is_zero() {
            assert_eq!(held.contains(key), read.is_some(), "{key} was swept");
        }
    }
    let again = run.store.scrub().await.unwrap();
    assert_eq!((again.repaired, again.swept, again.failed), (0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// With one replica in trouble at a time nothing fails. With more, reads and writes may fail,
    /// and what they say is true. In the end no write that succeeded is lost, no delete undone.
    #[test]
    fn replicas_that_fail_and_come_back(
        steps in proptest::collection::vec(step(), 1..40),
        kept: bool,
    ) {
        let keep = if kept { Duration::from_secs(3600) } else { Duration::ZERO };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps, keep));
    }
}
