//! Indexes: what they find, on stores with and without batches, and what a write that is cut off
//! anywhere leaves of them.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::Plain;
use futures_util::TryStreamExt;
use proptest::prelude::*;
use storehouse_genericstore::{Error, GenericStore, Json, MultiIndex, Namespace, UniqueIndex};
use storehouse_objectstore::{Memory, ObjectStore, ObjectStoreExt};

/// A name, which is unique, tags, and the last to claim a badge.
type Person = (String, BTreeSet<String>, Option<String>);
type People = GenericStore<Person, Json, Arc<dyn ObjectStore>>;

struct Indexes {
    people: People,
    by_name: UniqueIndex<Person, String>,
    by_tag: MultiIndex<Person, String>,
    by_badge: UniqueIndex<Person, String>,
}

fn indexes(store: Arc<dyn ObjectStore>) -> Indexes {
    let by_name = UniqueIndex::new("name", |person: &Person| vec![person.0.clone()]);
    let by_tag = MultiIndex::new("tag", |person: &Person| person.1.iter().cloned().collect());
    let by_badge = UniqueIndex::new("badge", |person: &Person| {
        person.2.iter().cloned().collect()
    })
    .last_wins();
    let people = GenericStore::new(store, Json, Namespace::new("people/", "").unwrap());
    let people = people
        .with_index(&by_name)
        .unwrap()
        .with_index(&by_tag)
        .unwrap()
        .with_index(&by_badge)
        .unwrap();
    Indexes {
        people,
        by_name,
        by_tag,
        by_badge,
    }
}

fn person(name: &str, tags: &[&str], badge: Option<&str>) -> Person {
    (
        name.to_owned(),
        tags.iter().map(|tag| (*tag).to_owned()).collect(),
        badge.map(str::to_owned),
    )
}

impl Indexes {
    /// What every query must answer, by the records alone: nothing that is not so is ever found,
    /// and `complete` says whether all that is so is.
    async fn check(&self, complete: bool) {
        self.check_as(complete, complete).await;
    }

    /// A badge that was taken over and given up leads nowhere until a repair, although its former
    /// holder still claims it.
    async fn check_as(&self, complete: bool, badges: bool) {
        let records: BTreeMap<String, Person> = self
            .people
            .scan(Default::default())
            .map_ok(|record| (record.key, record.value))
            .try_collect()
            .await
            .unwrap();
        for text in ["a", "b", "c", "x", "y", "z/%", "1", "2"] {
            let text = text.to_owned();
            for (index, of) in [(&self.by_name, 0), (&self.by_badge, 2)] {
                let has = |person: &Person| {
                    if of == 0 {
                        person.0 == text
                    } else {
                        person.2.as_ref() == Some(&text)
                    }
                };
                let holders: Vec<_> = records.iter().filter(|(_, person)| has(person)).collect();
                match self.people.find(index, &text).await.unwrap() {
                    Some(found) => assert!(
                        holders.contains(&(&found.key, &found.value)),
                        "{text} {found:?}"
                    ),
                    None => assert!(
                        !(if of == 0 { complete } else { badges }) || holders.is_empty(),
                        "{text} {holders:?}"
                    ),
                }
            }
            let found: BTreeMap<_, _> = self
                .people
                .find_all(&self.by_tag, &text)
                .map_ok(|record| (record.key, record.value))
                .try_collect()
                .await
                .unwrap();
            let expected: BTreeMap<_, _> = records
                .iter()
                .filter(|(_, person)| person.1.contains(&text))
                .collect();
            assert!(
                found
                    .iter()
                    .all(|entry| expected.contains_key(entry.0) && entry.1.1.contains(&text)),
                "{text} {found:?}"
            );
            assert!(
                !complete || found.len() == expected.len(),
                "{text} {found:?} {expected:?}"
            );
        }
    }
}

fn stores() -> [Arc<dyn ObjectStore>; 2] {
    [Arc::new(Memory::new()), Arc::new(Plain::new())]
}

#[tokio::test]
async fn records_are_found_by_what_is_in_them() {
    for store in stores() {
        let indexes = indexes(store);
        let people = &indexes.people;
        people
            .put("1", &person("a", &["x", "y"], Some("1")))
            .await
            .unwrap();
        people
            .put("2", &person("b", &["y", "z/%"], None))
            .await
            .unwrap();
        indexes.check(true).await;
        // A name is one's own; a badge is taken over.
        let refused = people
            .put("3", &person("a", &["x"], None))
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, Error::NotUnique { holder, .. } if holder == "1"),
            "{refused}"
        );
        assert!(people.get("3").await.unwrap_err().is_not_found());
        indexes.check(true).await;
        people.put("2", &person("b", &[], Some("1"))).await.unwrap();
        assert_eq!(
            people
                .find(&indexes.by_badge, &"1".to_owned())
                .await
                .unwrap()
                .unwrap()
                .key,
            "2"
        );
        // Its former holder's going does not take it away.
        people.put("1", &person("c", &["x"], None)).await.unwrap();
        assert_eq!(
            people
                .find(&indexes.by_badge, &"1".to_owned())
                .await
                .unwrap()
                .unwrap()
                .key,
            "2"
        );
        indexes.check(true).await;
        people.delete("1").await.unwrap();
        people.put("3", &person("a", &["x"], None)).await.unwrap();
        indexes.check(true).await;
        let report = people.repair().await.unwrap();
        assert_eq!(
            (
                report.added,
                report.removed,
                report.conflicts,
                report.records
            ),
            (0, 0, 0, 2)
        );
    }
}

#[tokio::test]
async fn modes_and_an_index_that_is_not_the_stores() {
    for store in stores() {
        let indexes = indexes(store);
        let etag = indexes
            .people
            .put_if_absent("1", &person("a", &["x"], None))
            .await
            .unwrap();
        assert!(
            indexes
                .people
                .put_if_absent("1", &person("b", &["y"], None))
                .await
                .unwrap_err()
                .is_already_exists()
        );
        let next = indexes
            .people
            .replace_if_unchanged("1", &person("b", &["y"], None), etag.clone())
            .await
            .unwrap();
        assert!(
            indexes
                .people
                .replace_if_unchanged("1", &person("c", &[], None), etag.clone())
                .await
                .unwrap_err()
                .is_precondition()
        );
        assert!(!indexes.people.delete_if_unchanged("1", etag).await.unwrap());
        indexes.check(true).await;
        assert!(indexes.people.delete_if_unchanged("1", next).await.unwrap());
        indexes.check(true).await;
        let stranger: UniqueIndex<Person, String> =
            UniqueIndex::new("name", |person: &Person| vec![person.0.clone()]);
        assert!(matches!(
            indexes.people.find(&stranger, &"a".to_owned()).await,
            Err(Error::Config { .. })
        ));
    }
}

/// Sixteen writers that want the same name: one gets it, and the index is whole.
#[tokio::test(flavor = "multi_thread")]
async fn writers_at_once() {
    for store in stores() {
        let indexes = Arc::new(indexes(store));
        let writers = (0..16).map(|n| {
            let indexes = Arc::clone(&indexes);
            tokio::spawn(async move {
                indexes
                    .people
                    .put(&n.to_string(), &person("a", &["x"], Some("1")))
                    .await
            })
        });
        let mut won = 0;
        for writer in writers.collect::<Vec<_>>() {
            match writer.await.unwrap() {
                Ok(_) => won += 1,
                Err(e) => assert!(matches!(e, Error::NotUnique { .. }), "{e}"),
            }
        }
        assert_eq!(won, 1);
        indexes.check(true).await;
        // And sixteen of one record.
        let writers = (0..16).map(|n| {
            let indexes = Arc::clone(&indexes);
            let name = ["b", "c"][n % 2];
            tokio::spawn(async move {
                indexes
                    .people
                    .put("one", &person(name, &[["y", "x"][n / 8]], None))
                    .await
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap().unwrap();
        }
        indexes.check(true).await;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Put(String, Person),
    Delete(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = || prop::sample::select(vec!["k1", "k2", "k3"]).prop_map(str::to_owned);
    let name = prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let tags = prop::collection::btree_set(
        prop::sample::select(vec!["x", "y", "z/%"]).prop_map(str::to_owned),
        0..3,
    );
    let badge = prop::option::of(prop::sample::select(vec!["1", "2"]).prop_map(str::to_owned));
    let put = (key(), (name, tags, badge)).prop_map(|(key, person)| Step::Put(key, person));
    prop::collection::vec(
        prop_oneof![4 => put, 1 => key().prop_map(Step::Delete)],
        1..6,
    )
}

async fn take(people: &People, step: &Step) -> Result<(), Error> {
    match step {
        Step::Put(key, person) => people.put(key, person).await.map(drop),
        Step::Delete(key) => people.delete(key).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// A sequence of writes is killed after every single write to the object store. What is left is
    /// never a wrong answer; a repair makes it whole, and finds nothing to do the second time;
    /// repeating the write that was cut off makes that record whole too.
    #[test]
    fn killed_after_every_write(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for writes in 0.. {
                let store = Plain::new();
                store.fail_after(writes);
                let before = indexes(Arc::new(store.clone()));
                let mut cut = None;
                for step in &steps {
                    match take(&before.people, step).await {
                        Ok(()) | Err(Error::NotUnique { .. }) => before.check_as(true, false).await,
                        Err(_) => {
                            cut = Some(step);
                            break;
                        }
                    }
                }
                // Opened again.
                store.fail_never();
                let after = indexes(Arc::new(store.clone()));
                after.check(false).await;

                let copy = store.copy().await;
                let repaired = indexes(Arc::new(copy));
                repaired.people.repair().await.unwrap();
                repaired.check(true).await;
                let again = repaired.people.repair().await.unwrap();
                assert_eq!((again.added, again.removed), (0, 0));

                let Some(cut) = cut else { break };
                match take(&after.people, cut).await {
                    Ok(()) => after.check_as(true, false).await,
                    Err(e) => assert!(matches!(e, Error::NotUnique { .. }), "{e}"),
                }
            }
        });
    }
}

/// A record that cannot be decoded keeps its entries, and is an error when it is found by them.
#[tokio::test]
async fn a_record_that_went_bad() {
    for store in stores() {
        let indexes = indexes(Arc::clone(&store));
        indexes
            .people
            .put("1", &person("a", &["x"], None))
            .await
            .unwrap();
        indexes
            .people
            .put("2", &person("b", &["x"], None))
            .await
            .unwrap();
        let object = indexes.people.object_key("1").unwrap();
        store.put(&object, "not JSON").await.unwrap();
        assert!(matches!(
            indexes.people.find(&indexes.by_name, &"a".to_owned()).await,
            Err(Error::Decode { .. })
        ));
        assert!(matches!(
            indexes.people.put("3", &person("a", &[], None)).await,
            Err(Error::NotUnique { .. })
        ));
        let found: Vec<_> = futures_util::StreamExt::collect(
            indexes.people.find_all(&indexes.by_tag, &"x".to_owned()),
        )
        .await;
        assert!(
            matches!(found.as_slice(), [Err(Error::Decode { .. }), Ok(record)] if record.key == "2"),
            "{found:?}"
        );
        let report = indexes.people.repair().await.unwrap();
        assert_eq!(
            (report.undecodable, report.removed, report.added),
            (vec![object], 0, 0)
        );
        // Replaced, it is well again.
        indexes
            .people
            .put("1", &person("a", &["y"], None))
            .await
            .unwrap();
        indexes.check(true).await;
        indexes.people.repair().await.unwrap();
        indexes.check(true).await;
    }
}

#[test]
fn indexes_that_cannot_be_told_from_records() {
    let store = || {
        GenericStore::<Person, _, _>::new(
            Memory::new(),
            Json,
            Namespace::new("people/", "").unwrap(),
        )
    };
    let index = |prefix: &str| {
        MultiIndex::new("tag", |_: &Person| vec![0])
            .in_namespace(Namespace::new(prefix, "").unwrap())
    };
    assert!(matches!(
        store().with_index(&index("")),
        Err(Error::Config { .. })
    ));
    assert!(matches!(
        store().with_index(&index("peo")),
        Err(Error::Config { .. })
    ));
    let inside = store().with_index(&index("people/tags/")).unwrap();
    assert!(inside.object_key("tags/x").is_err() && inside.object_key("tagged").is_ok());
    assert!(matches!(
        inside.with_index(&index("people/tags/more/")),
        Err(Error::Config { .. })
    ));
}

/// flatfs takes few characters: entries are written in those.
#[tokio::test]
async fn on_a_store_that_takes_few_keys() {
    use storehouse_flatfs::{FlatFs, FlatFsOptions};
    let dir = tempfile::tempdir().unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(
        FlatFs::open(dir.path(), FlatFsOptions::default())
            .await
            .unwrap(),
    );
    let by_tag = MultiIndex::new("tag", |person: &Person| person.1.iter().cloned().collect());
    let people = GenericStore::new(store, Json, Namespace::new("people-", "").unwrap())
        .with_index(&by_tag)
        .unwrap();
    people
        .put("1", &person("a", &["Did:web:x", "y"], None))
        .await
        .unwrap();
    people
        .put("2", &person("b", &["Did:web:x"], None))
        .await
        .unwrap();
    let found: Vec<_> = people
        .find_all(&by_tag, &"Did:web:x".to_owned())
        .map_ok(|record| record.key)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(
        found.into_iter().collect::<BTreeSet<_>>(),
        ["1".to_owned(), "2".to_owned()].into()
    );
    assert_eq!(people.count("").await.unwrap(), 2);
    let report = people.repair().await.unwrap();
    assert_eq!(
        (report.records, report.entries, report.added, report.removed),
        (2, 3, 0, 0)
    );
}
