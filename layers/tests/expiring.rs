//! `ExpiringStore`.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt, future, stream};
use proptest::prelude::*;
use storehouse_layers::{
    ExpiringOptions, ExpiringStore, ExpiryClock, Fault, FaultStore, Faults, Shard, ShardOptions,
    ShardStore, Swept,
};
use storehouse_objectstore::{
    Attributes, Batch, Body, CopyOptions, Error, ErrorClass, GetOptions, Key, ListOptions, Memory,
    ObjectStore, ObjectStoreExt, Operation, PresignMethod, PresignOptions, PutMode, PutOptions,
};

/// Clocks that a test sets, in milliseconds: the wall's and the monotonic one.
#[derive(Clone, Debug)]
struct Clock(Arc<Mutex<(u64, u64)>>);

impl Clock {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((1_000_000_000, 0))))
    }

    fn pass(&self, by: u64) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 += by;
        clocks.1 += by;
    }

    /// The wall clock jumps.
    fn jump(&self, by: i64) {
        let mut clocks = self.0.lock().unwrap();
        clocks.0 = clocks.0.checked_add_signed(by).unwrap();
    }

    fn after(&self, millis: u64) -> SystemTime {
        self.wall() + Duration::from_millis(millis)
    }
}

impl ExpiryClock for Clock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.lock().unwrap().0)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.lock().unwrap().1)
    }
}

const HOUR: u64 = 3_600_000;

fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

fn until(at: SystemTime) -> PutOptions {
    PutOptions::default().attributes(Attributes::default().with_expires(at))
}

fn over<S: ObjectStore>(inner: S, clock: &Clock) -> ExpiringStore<S> {
    ExpiringStore::with_clock(inner, ExpiringOptions::default(), clock.clone()).unwrap()
}

async fn put(store: &impl ObjectStore, name: &str, options: PutOptions) {
    let body = Body::from(format!("content of {name}"));
    store.put_opts(&key(name), body, options).await.unwrap();
}

async fn names(store: &impl ObjectStore) -> Vec<String> {
    let listed = store.list(ListOptions::default());
    let names = listed.map_ok(|entry| entry.key.to_string());
    names.try_collect().await.unwrap()
}

#[tokio::test]
async fn what_has_expired_is_gone_for_readers_at_once() {
    let (clock, inner) = (Clock::new(), Memory::new());
    let store = over(inner.clone(), &clock);
    for name in ["d/1", "d/2", "e/1", "f"] {
        put(&store, name, until(clock.after(100))).await;
    }
    put(&store, "d/3", PutOptions::default()).await;
    put(&store, "g", until(clock.after(101))).await;
    let etag = store.head(&key("f")).await.unwrap().etag;
    let open = store.get(&key("f")).await.unwrap();
    clock.pass(99);
    assert_eq!(names(&store).await.len(), 6);
    clock.pass(1);

    // A body that was opened before is read to its end.
    assert_eq!(open.body.collect(99).await.unwrap(), "content of f");
    assert_eq!(names(&store).await, ["d/3", "g"]);
    let limited = ListOptions::default().limit(1).prefix("d/");
    let first: Vec<_> = store.list(limited).try_collect().await.unwrap();
    assert_eq!(first[0].key.as_str(), "d/3");
    let folders = store.list_delimited(ListOptions::default());
    let folders: Vec<_> = folders
        .map_ok(|item| item.to_string())
        .try_collect()
        .await
        .unwrap();
    assert_eq!(folders, ["d/", "g"]);

    let f = key("f");
    let gone = |error: Error| assert!(error.is_not_found(), "{error}");
    gone(store.head(&f).await.unwrap_err());
    for options in [
        GetOptions::default(),
        GetOptions::default().range(2..4),
        GetOptions::default().range(100..200),
        GetOptions::default().if_match(etag.clone()),
        GetOptions::default().if_none_match(etag.clone()),
        GetOptions::default().if_match(storehouse_objectstore::ETag::new("other")),
    ] {
        gone(store.get_opts(&f, options).await.unwrap_err());
    }
    for ranges in [
        vec![],
        vec![(0..1).into(), (3..5).into()],
        vec![(0..999).into()],
    ] {
        let got = store
            .get_ranges_opts(&f, &ranges, GetOptions::default())
            .await;
        gone(got.unwrap_err());
    }
    for options in [
        CopyOptions::default(),
        CopyOptions::default().if_match(etag.clone()),
    ] {
        gone(store.copy_opts(&f, &key("h"), options).await.unwrap_err());
    }
    let replace = PutOptions::default().mode(PutMode::Replace(etag.clone()));
    let replaced = store.put_opts(&f, "x".into(), replace).await;
    assert!(replaced.unwrap_err().is_precondition());
    let batches = store.batches().unwrap();
    let delete = Batch::new().delete_if(f.clone(), etag.clone());
    assert!(batches.batch(delete).await.unwrap_err().is_precondition());
    let replace = Batch::new().replace(f.clone(), etag, "x");
    assert!(batches.batch(replace).await.unwrap_err().is_precondition());
    // It is all still there underneath.
    assert_eq!(names(&inner).await.len(), 6);
    store.delete(&f).await.unwrap();
    assert_eq!(names(&inner).await.len(), 5);
}

#[tokio::test]
async fn a_create_takes_the_place_of_what_has_expired() {
    let (clock, inner) = (Clock::new(), Memory::new());
    let store = over(inner.clone(), &clock);
    let create = || PutOptions::default().mode(PutMode::Create);
    for name in ["bytes", "stream", "batch", "copy"] {
        put(&store, name, until(clock.after(50))).await;
    }
    put(&store, "source", PutOptions::default()).await;
    let early = store.put_opts(&key("bytes"), "new".into(), create()).await;
    assert!(early.unwrap_err().is_already_exists());
    clock.pass(50);
    store
        .put_opts(&key("bytes"), "new".into(), create())
        .await
        .unwrap();
    let body = Body::from_stream(stream::iter([Ok::<_, Error>(Bytes::from("new"))]));
    let sized = create().size(3);
    store.put_opts(&key("stream"), body, sized).await.unwrap();
    let batch = Batch::new().create(key("batch"), "new");
    store.batches().unwrap().batch(batch).await.unwrap();
    let copy = CopyOptions::default().mode(PutMode::Create);
    store
        .copy_opts(&key("source"), &key("copy"), copy.clone())
        .await
        .unwrap();
    for name in ["bytes", "stream", "batch"] {
        assert_eq!(store.get_bytes(&key(name), 9).await.unwrap(), "new");
        let again = store.put_opts(&key(name), "newer".into(), create()).await;
        assert!(again.unwrap_err().is_already_exists());
    }
    let again = store.copy_opts(&key("source"), &key("copy"), copy).await;
    assert!(again.unwrap_err().is_already_exists());
    let batch = Batch::new().create(key("batch"), "newer");
    let again = store.batches().unwrap().batch(batch).await;
    assert!(again.unwrap_err().is_already_exists());
    // Nothing of them expires, and a sweep leaves them.
    assert_eq!(store.sweep().await.unwrap(), Swept::default());
}

/// Several stores over one, as in several processes: of many creates one wins, and stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_creates_at_once_one_wins() {
    let (clock, inner) = (Clock::new(), Memory::new());
    let stores: Vec<_> = (0..4).map(|_| over(inner.clone(), &clock)).collect();
    for round in 0..50 {
        let name = key(&format!("{round}"));
        put(&stores[0], name.as_str(), until(clock.after(1))).await;
        clock.pass(1);
        let creates = (0..16).map(|n| {
            let (store, name) = (stores[n % 4].clone(), name.clone());
            tokio::spawn(async move {
                let create = PutOptions::default().mode(PutMode::Create);
                store.put_opts(&name, format!("{n}").into(), create).await
            })
        });
        let sweeps = stores.iter().map(|store| {
            let store = store.clone();
            tokio::spawn(async move { store.sweep().await })
        });
        let (creates, sweeps) =
            future::join(future::join_all(creates), future::join_all(sweeps)).await;
        for sweep in sweeps {
            sweep.unwrap().unwrap();
        }
        let mut won = Vec::new();
        for (n, create) in creates.into_iter().enumerate() {
            match create.unwrap() {
                Ok(_) => won.push(n.to_string()),
                Err(error) => assert!(error.is_already_exists(), "{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        assert_eq!(stores[1].get_bytes(&name, 9).await.unwrap(), won[0]);
    }
}

#[tokio::test]
async fn a_clock_that_jumps_brings_nothing_back_and_sweeps_nothing_early() {
    let (clock, inner) = (Clock::new(), Memory::new());
    let store = over(inner.clone(), &clock);
    put(&store, "soon", until(clock.after(1000))).await;
    put(&store, "late", until(clock.after(10 * HOUR))).await;
    clock.pass(1000);
    assert_eq!(names(&store).await, ["late"]);

    // Back: what is gone stays gone, and it is not swept by a clock that may be right.
    clock.jump(-5 * HOUR as i64);
    assert_eq!(names(&store).await, ["late"]);
    assert_eq!(store.sweep().await.unwrap().objects, 0);
    clock.jump(5 * HOUR as i64);
    assert_eq!(store.sweep().await.unwrap().objects, 1);

    // Forward, wrongly: hidden, not swept, and seen again.
    clock.jump(20 * HOUR as i64);
    assert!(names(&store).await.is_empty());
    assert_eq!(store.sweep().await.unwrap().objects, 0);
    clock.pass(HOUR - 2000);
    assert_eq!(store.sweep().await.unwrap().objects, 0);
    clock.jump(-20 * HOUR as i64);
    assert_eq!(names(&store).await, ["late"]);
    assert_eq!(
        store.get_bytes(&key("late"), 99).await.unwrap(),
        "content of late"
    );

    // Forward, and steady for as long as it takes: believed.
    clock.jump(20 * HOUR as i64);
    assert_eq!(store.sweep().await.unwrap().objects, 0);
    clock.pass(HOUR);
    assert_eq!(store.sweep().await.unwrap().objects, 1);
}

#[tokio::test]
async fn a_default_time_is_given_by_the_later_clock() {
    let clock = Clock::new();
    let inner = Memory::new();
    let options = ExpiringOptions::default().default_ttl(Duration::from_millis(500));
    let store = ExpiringStore::with_clock(inner.clone(), options, clock.clone()).unwrap();
    // Not early by a clock that jumped back.
    clock.jump(-(HOUR as i64));
    put(&store, "a", PutOptions::default()).await;
    clock.jump(HOUR as i64);
    let own = until(clock.after(9));
    put(&store, "own", own).await;
    clock.pass(499);
    assert_eq!(names(&store).await, ["a"]);
    let kept = store.head(&key("a")).await.unwrap().attributes;
    store
        .copy_opts(&key("a"), &key("same"), CopyOptions::default())
        .await
        .unwrap();
    let text = Attributes::default()
        .with_content_type("text/plain")
        .unwrap();
    let other = CopyOptions::default().attributes(text.clone());
    store
        .copy_opts(&key("a"), &key("other"), other)
        .await
        .unwrap();
    assert_eq!(store.head(&key("same")).await.unwrap().attributes, kept);
    assert_eq!(
        store.head(&key("other")).await.unwrap().attributes,
        text.with_expires(clock.after(500))
    );
    clock.pass(1);
    assert_eq!(names(&store).await, ["other"]);
    // Puts of a batch have no attributes.
    assert!(store.batches().is_none());
    let most = inner.capabilities().max_attributes;
    assert_eq!(store.capabilities().max_attributes, most - 8);
}

/// A store without batches, in which a sweep looks and deletes.
fn without_batches() -> (ExpiringStore<impl ObjectStore + Clone>, Faults, Clock) {
    let (clock, faults) = (Clock::new(), Faults::new());
    let one = [Shard::new("one", Memory::new())];
    let plain = Arc::new(ShardStore::new(one, ShardOptions::default()).unwrap());
    let store = over(FaultStore::with_faults(plain, faults.clone()), &clock);
    assert!(store.batches().is_none());
    (store, faults, clock)
}

/// The object is renewed between the look and the delete of a sweep.
#[tokio::test(start_paused = true)]
async fn what_is_renewed_while_it_is_swept_stays() {
    let (store, faults, clock) = without_batches();
    put(&store, "k", until(clock.after(1))).await;
    clock.pass(1);
    faults.add(Fault::delay(Duration::from_secs(60)).on(Operation::Delete));
    let sweep = tokio::spawn({
        let store = store.clone();
        async move { store.sweep().await }
    });
    // The delete waits, and so does the write.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(faults.calls(Operation::Delete), 1);
    let renewed = key("k");
    let options = until(clock.after(100));
    let mut renewal = store.put_opts(&renewed, "renewed".into(), options);
    tokio::time::sleep(Duration::from_secs(50)).await;
    assert!((&mut renewal).now_or_never().is_none());
    renewal.await.unwrap();
    assert_eq!(sweep.await.unwrap().unwrap().objects, 1);
    assert_eq!(store.get_bytes(&renewed, 9).await.unwrap(), "renewed");
}

/// Objects that come and expire all the time, under sweeps that never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_is_lost_to_a_sweep() {
    let (store, faults, clock) = without_batches();
    // Between the look and the delete there is time.
    faults.add(
        Fault::delay(Duration::from_millis(1))
            .on(Operation::Delete)
            .always(),
    );
    let sweeps = tokio::spawn({
        let store = store.clone();
        async move {
            let mut swept = 0;
            loop {
                swept += store.sweep().await.unwrap().objects;
                tokio::task::yield_now().await;
                if swept > 200 {
                    return;
                }
            }
        }
    });
    let writers = (0..4).map(|n| {
        let (store, clock, done) = (store.clone(), clock.clone(), sweeps.abort_handle());
        tokio::spawn(async move {
            let name = format!("{n}");
            while !done.is_finished() {
                put(&store, &name, until(clock.wall())).await;
                tokio::task::yield_now().await;
                put(&store, &name, until(clock.after(1000))).await;
                tokio::task::yield_now().await;
                assert!(store.exists(&key(&name)).await.unwrap());
            }
        })
    });
    for writer in future::join_all(writers).await {
        writer.unwrap();
    }
    sweeps.await.unwrap();
}

/// A sweep whose caller is gone ends its deletes before others write.
#[tokio::test(start_paused = true)]
async fn a_sweep_that_is_cancelled_leaves_no_late_delete() {
    let (store, faults, clock) = without_batches();
    put(&store, "k", until(clock.after(1))).await;
    clock.pass(1);
    faults.add(Fault::delay(Duration::from_secs(60)).on(Operation::Delete));
    let swept = tokio::time::timeout(Duration::from_secs(1), store.sweep()).await;
    assert!(swept.is_err());
    put(&store, "k", PutOptions::default()).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(names(&store).await, ["k"]);
}

/// A sweep does not take away what a create under way is about to replace.
#[tokio::test]
async fn a_create_that_streams_is_not_disturbed_by_sweeps() {
    let (store, _, clock) = without_batches();
    put(&store, "k", until(clock.after(1))).await;
    put(&store, "other", until(clock.after(1))).await;
    clock.pass(1);
    let (send, receive) = tokio::sync::oneshot::channel();
    let slow = stream::once(async move { Ok::<Bytes, Error>(receive.await.unwrap()) });
    let options = PutOptions::default().mode(PutMode::Create).size(3);
    let created = key("k");
    let mut create = store.put_opts(&created, Body::from_stream(slow.boxed()), options);
    assert!((&mut create).now_or_never().is_none());
    assert_eq!(store.sweep().await.unwrap().objects, 1);
    send.send(Bytes::from("new")).unwrap();
    create.await.unwrap();
    assert_eq!(store.get_bytes(&created, 9).await.unwrap(), "new");
}

/// A sweep that ended there would do so each time, and nothing behind would ever go.
#[tokio::test]
async fn an_object_that_cannot_be_removed_keeps_no_other_one() {
    let (clock, inner, faults) = (Clock::new(), Memory::new(), Faults::new());
    let below = FaultStore::with_faults(inner.clone(), faults.clone());
    let store = ExpiringStore::with_clock(below, ExpiringOptions::default(), clock.clone());
    let store = store.unwrap();
    for name in ["a", "b", "c"] {
        put(&store, name, until(clock.after(5))).await;
    }
    clock.pass(5);
    faults.add(
        Fault::error(ErrorClass::Fatal)
            .on(Operation::Head)
            .under("b"),
    );
    assert!(store.sweep().await.is_err());
    assert_eq!(names(&inner).await, ["b"]);
    assert_eq!(store.sweep().await.unwrap().objects, 1);
}

#[tokio::test(start_paused = true)]
async fn sweeps_in_the_background_end_with_the_store() {
    let (clock, inner, faults) = (Clock::new(), Memory::new(), Faults::new());
    let options = ExpiringOptions::default().sweep_every(Duration::from_secs(10));
    let below = FaultStore::with_faults(inner.clone(), faults.clone());
    let store = ExpiringStore::with_clock(below, options, clock.clone()).unwrap();
    let clone = store.clone();
    put(&store, "a", until(clock.after(5))).await;
    put(&store, "b", until(clock.after(6))).await;
    clock.pass(5);
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!(names(&inner).await, ["b"]);
    drop(store);
    clock.pass(1);
    faults.add(Fault::error(ErrorClass::Transient).on(Operation::List));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let told = clone.background_sweeps().unwrap();
    assert_eq!((told.sweeps, told.failures, told.swept.objects), (2, 1, 1));
    assert!(told.last_failure.is_some());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let told = clone.background_sweeps().unwrap();
    assert_eq!((told.sweeps, told.failures, told.swept.objects), (3, 1, 2));
    assert_eq!((told.swept.bytes, told.last_failure), (24, None));
    let lists = faults.calls(Operation::List);
    drop(clone);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(faults.calls(Operation::List), lists);
}

#[test]
fn what_cannot_expire_is_refused() {
    let wanted = |error: Error, what: &str| {
        let said = error.to_string();
        assert!(said.contains(what), "{said}");
    };
    let plain = FaultStore::new(Memory::new());
    let day = Duration::from_secs(86_400);
    let none = ExpiringOptions::default();
    ExpiringStore::new(plain.clone(), none.clone().default_ttl(day)).unwrap();
    let zero = none.clone().default_ttl(Duration::ZERO);
    wanted(
        ExpiringStore::new(plain.clone(), zero).unwrap_err(),
        "default_ttl",
    );
    let zero = none.clone().sweep_every(Duration::ZERO);
    wanted(ExpiringStore::new(plain, zero).unwrap_err(), "sweep_every");
}

#[cfg(unix)]
#[tokio::test]
async fn a_store_that_keeps_no_attributes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let flatfs = storehouse_flatfs::FlatFs::open(dir.path().join("a"), Default::default());
    let flatfs = flatfs.await.unwrap();
    let error = ExpiringStore::new(flatfs, ExpiringOptions::default()).unwrap_err();
    assert!(error.to_string().contains("AttributeStore"), "{error}");
}

#[tokio::test]
async fn there_are_no_presigned_requests() {
    let store = over(Memory::new(), &Clock::new());
    let options = PresignOptions::new(PresignMethod::Get, Duration::from_secs(60));
    let asked = store.presign(&key("k"), options).await;
    assert!(matches!(asked, Err(Error::Unsupported { .. })), "{asked:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Put(u8, Option<u64>),
    Create(u8, u64),
    Delete(u8),
    Pass(u64),
    /// The wall clock is wrong for a moment, in which a sweep runs.
    Jump(i64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..6_u8, proptest::option::of(1..200_u64)).prop_map(|(k, ttl)| Step::Put(k, ttl)),
        (0..6_u8, 1..200_u64).prop_map(|(k, ttl)| Step::Create(k, ttl)),
        (0..6_u8).prop_map(Step::Delete),
        (1..100_u64).prop_map(Step::Pass),
        (-500_000..500_000_i64).prop_map(Step::Jump),
        Just(Step::Sweep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Readers see a map from which what has expired is gone; a sweep leaves just that map.
    #[test]
    fn is_like_a_map_that_forgets(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (clock, inner) = (Clock::new(), Memory::new());
            let store = over(inner.clone(), &clock);
            let mut model = std::collections::BTreeMap::<String, Option<SystemTime>>::new();
            for step in steps {
                match step {
                    Step::Put(k, ttl) => {
                        let at = ttl.map(|ttl| clock.after(ttl));
                        put(&store, &k.to_string(), at.map(until).unwrap_or_default()).await;
                        model.insert(k.to_string(), at);
                    }
                    Step::Create(k, ttl) => {
                        let at = clock.after(ttl);
                        let create = until(at).mode(PutMode::Create);
                        let created = store.put_opts(&key(&k.to_string()), "".into(), create).await;
                        match created {
                            Ok(_) => assert_eq!(model.insert(k.to_string(), Some(at)), None),
                            Err(error) => {
                                assert!(error.is_already_exists());
                                assert!(model.contains_key(&k.to_string()));
                            }
                        }
                    }
                    Step::Delete(k) => {
                        store.delete(&key(&k.to_string())).await.unwrap();
                        model.remove(&k.to_string());
                    }
                    Step::Pass(by) => {
                        clock.pass(by);
                        model.retain(|_, at| at.is_none_or(|at| at > clock.wall()));
                    }
                    Step::Jump(by) => {
                        clock.jump(by);
                        store.sweep().await.unwrap();
                        clock.jump(-by);
                    }
                    Step::Sweep => {
                        store.sweep().await.unwrap();
                        let left: Vec<_> = model.keys().cloned().collect();
                        assert_eq!(names(&inner).await, left);
                    }
                }
                let seen: Vec<_> = model.keys().cloned().collect();
                assert_eq!(names(&store).await, seen);
                for k in 0..6 {
                    let there = store.exists(&key(&k.to_string())).await.unwrap();
                    assert_eq!(there, model.contains_key(&k.to_string()));
                }
            }
        });
    }
}
