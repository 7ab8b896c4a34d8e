//! Rules 1 to 11 at once: random sequences of operations, and a sorted map that says what each must
//! give.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use super::super::Fixture;
use super::super::bodies::{Step, halting, script};
use super::super::check::story;
use super::super::content::stamped;
use super::super::names;
use storehouse_objectstore::{
    Body, ByteRange, ETag, Error, GetOptions, Key, ListOptions, PutMode, PutOptions,
};

/// Few names, so that operations meet; near each other, so that a wrong prefix or order shows.
const NAMES: &[&str] = &[
    "a", "a-b", "ab", "abcd", "b", "zz", "a/b", "a/bc", "é %2F+", "🗝/a",
];

/// Beginnings of the names, and of none of them.
const PREFIXES: &[&str] = &["", "a", "a-", "ab", "a/", "a/b", "b", "zzz", "é"];

/// Keys are numbers of names; which names there are depends on the store.
#[derive(Clone, Debug)]
enum Op {
    Put {
        key: usize,
        len: usize,
        mode: Mode,
        halting: bool,
    },
    BadPut {
        key: usize,
        len: usize,
        fault: Fault,
    },
    Get {
        key: usize,
        range: Option<ByteRange>,
        condition: Condition,
    },
    Head {
        key: usize,
    },
    Delete {
        key: usize,
    },
    DeleteMany {
        keys: Vec<usize>,
    },
    List {
        prefix: usize,
        start_after: Option<usize>,
        limit: Option<usize>,
    },
    Reopen,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    Overwrite,
    Create,
    /// With the ETag that this key has; one of nothing if it is not there.
    ReplaceIfAs(usize),
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    TooLong,
    TooShort,
    Fails,
}

#[derive(Clone, Copy, Debug)]
enum Condition {
    None,
    IfMatch(usize),
    IfNoneMatch(usize),
}

fn range() -> impl Strategy<Value = ByteRange> {
    // Around the ends of the lengths below.
    let at = || prop_oneof![0u64..4, 98u64..103, 69_998u64..70_003, Just(u64::MAX)];
    let exact = prop_oneof![
        Just(ByteRange::WHOLE),
        at().prop_map(|start| (start..).into()),
        at().prop_map(|end| (..end).into()),
        (at(), at()).prop_map(|(start, end)| (start..end).into()),
        (at(), proptest::option::of(at()))
            .prop_map(|(first, last)| ByteRange::inclusive(first, last)),
        at().prop_map(ByteRange::suffix),
    ];
    (exact, any::<bool>())
        .prop_map(|(range, clamped)| if clamped { range.clamped() } else { range })
}

fn op() -> impl Strategy<Value = Op> {
    let key = || 0..NAMES.len();
    let len = || prop_oneof![3 => Just(100usize), 1 => Just(0usize), 1 => Just(1usize), 1 => Just(70_000usize)];
    let mode = prop_oneof![3 => Just(Mode::Overwrite), 1 => Just(Mode::Create), 2 => key().prop_map(Mode::ReplaceIfAs)];
    let fault = prop_oneof![
        Just(Fault::TooLong),
        Just(Fault::TooShort),
        Just(Fault::Fails)
    ];
    let condition = prop_oneof![3 => Just(Condition::None), 1 => key().prop_map(Condition::IfMatch), 1 => key().prop_map(Condition::IfNoneMatch)];
    let limit = prop_oneof![0usize..4, Just(1000)];
    prop_oneof![
        8 => (key(), len(), mode, any::<bool>()).prop_map(|(key, len, mode, halting)| Op::Put { key, len, mode, halting }),
        2 => (key(), len(), fault).prop_map(|(key, len, fault)| Op::BadPut { key, len, fault }),
        5 => (key(), proptest::option::of(range()), condition).prop_map(|(key, range, condition)| Op::Get { key, range, condition }),
        2 => key().prop_map(|key| Op::Head { key }),
        3 => key().prop_map(|key| Op::Delete { key }),
        1 => proptest::collection::vec(key(), 0..4).prop_map(|keys| Op::DeleteMany { keys }),
        4 => (0..PREFIXES.len(), proptest::option::of(key()), proptest::option::of(limit))
            .prop_map(|(prefix, start_after, limit)| Op::List { prefix, start_after, limit }),
        1 => Just(Op::Reopen),
    ]
}

/// The store under test and the map that it must be like.
struct Pair {
    fixture: Fixture,
    keys: Vec<Key>,
    map: BTreeMap<Key, (Bytes, ETag)>,
    versions: u64,
}

/// Fails the sequence unless it holds.
macro_rules! agree {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(format!($($message)+));
        }
    };
}

/// An error of the store where the map has none.
fn unexpected(error: Error) -> String {
    format!(
        "rule 2: an error that the map does not have: {}",
        story(&Err::<(), _>(error))
    )
}

impl Pair {
    fn key(&self, n: usize) -> Key {
        self.keys[n % self.keys.len()].clone()
    }

    /// The ETag that the key has in the map; of nothing if it is not there.
    fn etag(&self, n: usize) -> ETag {
        self.map.get(&self.key(n)).map_or_else(
            || ETag::new("\"00000000000000000000000000000000\""),
            |(_, etag)| etag.clone(),
        )
    }

    /// Empties both for the next sequence.
    async fn clear(&mut self) -> Result<(), String> {
        for key in &self.keys {
            self.fixture.store().delete(key).await.map_err(unexpected)?;
        }
        self.map.clear();
        self.list(ListOptions::default()).await
    }

    async fn step(&mut self, op: &Op) -> Result<(), String> {
        match *op {
            Op::Put {
                key,
                len,
                mode,
                halting,
            } => self.put(self.key(key), len, mode, halting).await,
            Op::BadPut { key, len, fault } => self.bad_put(self.key(key), len, fault).await,
            Op::Get {
                key,
                range,
                condition,
            } => self.get(self.key(key), range, condition).await,
            Op::Head { key } => self.head(self.key(key)).await,
            Op::Delete { key } => {
                let key = self.key(key);
                self.map.remove(&key);
                self.fixture.store().delete(&key).await.map_err(unexpected)
            }
            Op::DeleteMany { ref keys } => {
                self.delete_many(keys.iter().map(|key| self.key(*key)).collect())
                    .await
            }
            Op::List {
                prefix,
                start_after,
                limit,
            } => {
                let start_after = start_after.map(|key| self.key(key));
                self.list(
                    ListOptions::default()
                        .prefix(PREFIXES[prefix])
                        .start_after(start_after)
                        .limit(limit),
                )
                .await
            }
            Op::Reopen => {
                self.fixture.reopen().await;
                Ok(())
            }
        }
    }

    fn content(&mut self, len: usize) -> Bytes {
        self.versions += 1;
        stamped(self.versions, len)
    }

    async fn put(&mut self, key: Key, len: usize, mode: Mode, halts: bool) -> Result<(), String> {
        let bytes = self.content(len);
        let there = self.map.get(&key).map(|(_, etag)| etag.clone());
        let capabilities = self.fixture.store().capabilities();
        let (mode, supported, writes) = match mode {
            Mode::Overwrite => (PutMode::Overwrite, true, true),
            Mode::Create => (PutMode::Create, capabilities.create, there.is_none()),
            Mode::ReplaceIfAs(other) => {
                let etag = self.etag(other);
                (
                    PutMode::Replace(etag.clone()),
                    capabilities.replace,
                    there == Some(etag),
                )
            }
        };
        let body: Body = if halts {
            script(halting(&bytes, 30_000)).0
        } else {
            bytes.clone().into()
        };
        let options = PutOptions::default().size(len as u64).mode(mode.clone());
        match self.fixture.store().put_opts(&key, body, options).await {
            Ok(put) if supported && writes => drop(self.map.insert(key, (bytes, put.etag))),
            Err(Error::Unsupported { .. }) if !supported => {}
            Err(Error::AlreadyExists { .. }) if supported && !writes && mode == PutMode::Create => {
            }
            Err(Error::Precondition { .. }) if supported && !writes && mode != PutMode::Create => {}
            other => {
                return Err(format!(
                    "rule 5: put in mode {mode:?} over {there:?} gives {}",
                    story(&other)
                ));
            }
        }
        Ok(())
    }

    async fn bad_put(&mut self, key: Key, len: usize, fault: Fault) -> Result<(), String> {
        let bytes = self.content(len);
        let (declared, body) = match fault {
            Fault::TooLong => (
                len,
                script(halting(&bytes, 30_000).chain([Step::Piece(Bytes::from_static(b"x"))])).0,
            ),
            Fault::TooShort => (len + 1, script(halting(&bytes, 30_000)).0),
            Fault::Fails => (len, script(halting(&bytes, 30_000).chain([Step::Fail])).0),
        };
        let put = self
            .fixture
            .store()
            .put_opts(&key, body, PutOptions::default().size(declared as u64))
            .await;
        let right = matches!(
            (fault, &put),
            (Fault::TooLong, Err(Error::TooLarge { .. }))
                | (Fault::TooShort, Err(Error::TooSmall { .. }))
                | (Fault::Fails, Err(Error::Body { .. }))
        );
        agree!(
            right,
            "rule 4: put of a body that is wrong ({fault:?}) gives {}",
            story(&put)
        );
        Ok(())
    }

    async fn get(
        &self,
        key: Key,
        range: Option<ByteRange>,
        condition: Condition,
    ) -> Result<(), String> {
        let (if_match, if_none_match) = match condition {
            Condition::None => (None, None),
            Condition::IfMatch(other) => (Some(self.etag(other)), None),
            Condition::IfNoneMatch(other) => (None, Some(self.etag(other))),
        };
        let mut options = GetOptions::default();
        options.range = range;
        options.if_match = if_match.clone();
        options.if_none_match = if_none_match.clone();
        let got = self.fixture.store().get_opts(&key, options).await;
        let Some((bytes, etag)) = self.map.get(&key) else {
            agree!(
                matches!(got, Err(Error::NotFound { .. })),
                "rule 2: get of what is not there gives {}",
                story(&got)
            );
            return Ok(());
        };
        let resolved = range
            .unwrap_or(ByteRange::WHOLE)
            .resolve(bytes.len() as u64);
        match (got, resolved) {
            (Err(Error::Precondition { .. }), _)
                if if_match.as_ref().is_some_and(|wanted| wanted != etag) =>
            {
                Ok(())
            }
            (Err(Error::NotModified { .. }), _) if if_none_match.as_ref() == Some(etag) => Ok(()),
            (got, _)
                if if_match.is_some_and(|wanted| wanted != *etag)
                    || if_none_match.as_ref() == Some(etag) =>
            {
                Err(format!(
                    "rule 5: get with a condition that does not hold gives {}",
                    story(&got)
                ))
            }
            (Err(Error::RangeNotSatisfiable { .. }), None) => Ok(()),
            (Ok(object), Some(resolved)) => {
                agree!(
                    object.size() == bytes.len() as u64,
                    "rule 8: get says {} bytes, there are {}",
                    object.size(),
                    bytes.len()
                );
                agree!(
                    object.metadata.etag == *etag,
                    "rule 7: get says {:?}, put said {etag:?}",
                    object.metadata.etag
                );
                agree!(
                    object.range == resolved,
                    "rule 8: get gives the range {:?} instead of {resolved:?}",
                    object.range
                );
                let body = object.body.collect(1 << 20).await.map_err(unexpected)?;
                agree!(
                    body == bytes[resolved.start as usize..resolved.end as usize],
                    "rule 2: get gives other bytes than were put"
                );
                Ok(())
            }
            (got, _) => Err(format!(
                "rule 8: get of {range:?} of {} bytes gives {}",
                bytes.len(),
                story(&got)
            )),
        }
    }

    async fn head(&self, key: Key) -> Result<(), String> {
        let head = self.fixture.store().head(&key).await;
        let right = match (&head, self.map.get(&key)) {
            (Err(Error::NotFound { .. }), None) => true,
            (Ok(head), Some((bytes, etag))) => {
                head.size == bytes.len() as u64 && head.etag == *etag
            }
            _ => false,
        };
        agree!(right, "rule 7: head gives {}", story(&head));
        Ok(())
    }

    async fn delete_many(&mut self, keys: Vec<Key>) -> Result<(), String> {
        let gone = self
            .fixture
            .store()
            .delete_many(stream::iter(keys.clone()).boxed());
        let mut gone: Vec<Key> = gone.try_collect().await.map_err(unexpected)?;
        let mut asked = keys;
        asked.sort();
        gone.sort();
        agree!(
            gone == asked,
            "rule 10: delete_many of {asked:?} gives {gone:?}"
        );
        self.map.retain(|key, _| !asked.contains(key));
        Ok(())
    }

    async fn list(&self, options: ListOptions) -> Result<(), String> {
        let order = &self.fixture.store().capabilities().order;
        let mut expected: Vec<_> = self
            .map
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(&options.prefix))
            .filter(|(key, _)| {
                options
                    .start_after
                    .as_ref()
                    .is_none_or(|after| order.compare(key, after).is_gt())
            })
            .map(|(key, (bytes, etag))| (key.clone(), bytes.len() as u64, etag.clone()))
            .collect();
        expected.sort_by(|a, b| order.compare(&a.0, &b.0));
        expected.truncate(options.limit.unwrap_or(usize::MAX));
        let listed = self
            .fixture
            .store()
            .list(options.clone())
            .map_ok(|entry| (entry.key, entry.metadata.size, entry.metadata.etag));
        let listed: Vec<_> = listed.try_collect().await.map_err(unexpected)?;
        agree!(
            listed == expected,
            "rule 11: list {options:?} gives {listed:?} instead of {expected:?}"
        );
        Ok(())
    }

    async fn run(&mut self, ops: &[Op]) -> Result<(), String> {
        self.clear().await?;
        for (n, op) in ops.iter().enumerate() {
            self.step(op)
                .await
                .map_err(|e| format!("{e} (operation {n}: {op:?})"))?;
        }
        self.list(ListOptions::default())
            .await
            .map_err(|e| format!("{e} (at the end)"))
    }
}

pub(in super::super) async fn is_like_a_sorted_map(fixture: Fixture) {
    let pace = fixture.known().pace;
    let keys = names::accepted(&fixture, NAMES);
    let names = keys.clone();
    let pair = Mutex::new(Pair {
        fixture,
        keys,
        map: BTreeMap::new(),
        versions: 0,
    });
    let here = tokio::runtime::Handle::current();
    // The runner is not async. It shrinks a sequence that fails to a small one that fails as well.
    let outcome = tokio::task::spawn_blocking(move || {
        let config = Config {
            cases: pace.model_runs,
            max_shrink_iters: 10 * pace.model_runs,
            failure_persistence: None,
            ..Config::default()
        };
        TestRunner::new(config).run(
            &proptest::collection::vec(op(), 1..=pace.model_steps),
            |ops| {
                let mut pair = pair
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                here.block_on(pair.run(&ops)).map_err(TestCaseError::fail)
            },
        )
    })
    .await
    .unwrap_or_else(|e| std::panic::resume_unwind(e.into_panic()));
    if let Err(failed) = outcome {
        let failed = failed.to_string();
        panic!(
            "{}\nkeys, by their numbers: {names:?}",
            failed.replace("Test failed: ", "")
        );
    }
}
