//! Nothing is lost, whatever the step at which the process or a tier ends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use proptest::prelude::*;
use storehouse_flatfs::{FlatFs, FlatFsOptions};
use storehouse_layers::{Fault, FaultStore, Faults, TieredStore};
use storehouse_objectstore::{
    Body, Error, ErrorClass, Key, ListOptions, Memory, ObjectStore, ObjectStoreExt, Operation,
};

use crate::fixtures::{all, content, key, options};

#[derive(Clone, Debug)]
enum Step {
    Put(usize, usize, bool),
    Delete(usize),
    Read(usize),
    List,
    Pause,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..4_usize;
    prop_oneof![
        4 => (name(), 0..3000_usize, any::<bool>()).prop_map(|(n, size, s)| Step::Put(n, size, s)),
        2 => name().prop_map(Step::Delete),
        2 => name().prop_map(Step::Read),
        1 => Just(Step::List),
        2 => Just(Step::Pause),
    ]
}

/// What may be there: one of these for each key.
type Model = BTreeMap<String, Vec<Option<Bytes>>>;

fn holds(model: &Model, found: &BTreeMap<String, Bytes>) -> Result<(), TestCaseError> {
    for name in found.keys() {
        prop_assert!(model.contains_key(name), "{name} was never put");
    }
    for (name, may) in model {
        let there = found.get(name).cloned();
        prop_assert!(may.contains(&there), "{name} is wrong");
    }
    Ok(())
}

/// Runs the steps until one fails, which may or may not have happened.
async fn run(
    store: &impl ObjectStore,
    steps: &[Step],
    model: &mut Model,
) -> Result<(), TestCaseError> {
    for (n, step) in steps.iter().enumerate() {
        let (name, new) = match step {
            Step::Put(name, size, _) => (name, Some(content(n, *size))),
            Step::Delete(name) => (name, None),
            Step::Read(name) => {
                let name = format!("k{name}");
                let there = match store.get_bytes(&key(&name), u64::MAX).await {
                    Ok(bytes) => Some(bytes),
                    Err(error) if error.is_not_found() => None,
                    Err(_) => continue,
                };
                let may = model.entry(name).or_insert_with(|| vec![None]);
                prop_assert!(may.contains(&there));
                continue;
            }
            Step::List => {
                let entries = store.list(ListOptions::default());
                let keys: Result<Vec<_>, _> = entries.map_ok(|entry| entry.key).try_collect().await;
                for (name, may) in &*model {
                    let is_listed = |keys: &[Key]| keys.contains(&key(name));
                    if let (Ok(keys), [only]) = (&keys, &may[..]) {
                        prop_assert_eq!(is_listed(keys), only.is_some());
                    }
                }
                continue;
            }
            Step::Pause => {
                tokio::time::sleep(Duration::from_millis(3)).await;
                continue;
            }
        };
        let name = format!("k{name}");
        let done = match step {
            Step::Put(_, _, true) => {
                let body = stream::iter([Ok::<_, Error>(new.clone().unwrap_or_default())]);
                let size = new.as_ref().map_or(0, Bytes::len) as u64;
                let body = Body::from_stream(body).with_size(size);
                store.put(&key(&name), body).await.map(drop)
            }
            Step::Put(..) => store
                .put(&key(&name), new.clone().unwrap_or_default())
                .await
                .map(drop),
            _ => store.delete(&key(&name)).await,
        };
        let may = model.entry(name).or_insert_with(|| vec![None]);
        match done {
            Ok(()) => *may = vec![new],
            Err(_) => may.push(new),
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(250))]

    /// From some operation of the tiers on, none is done; one may be done without an answer. Before
    /// that, the fast tier may fail now and then.
    #[test]
    fn a_kill_at_any_step_loses_nothing(
        runs in proptest::collection::vec(
            (proptest::collection::vec(step(), 1..20), 0..60_u64, any::<bool>(), any::<bool>()),
            1..4,
        ),
        seed: u64,
    ) {
        let (fast, slow) = (Memory::new(), Memory::new());
        let mut model = Model::new();
        for (steps, alive, lost, flaky) in runs {
            // One runtime a life: what it left running dies with it.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().build().unwrap();
            runtime.block_on(async {
                let faults = Faults::new();
                if lost {
                    faults.add(Fault::lost_answer(ErrorClass::Transient).skip(alive));
                }
                let dead = Fault::error(ErrorClass::Transient);
                faults.add(dead.skip(alive + u64::from(lost)).always());
                let tier = |store: &Memory| FaultStore::with_faults(store.clone(), faults.clone());
                let fast_faults = Faults::seeded(seed);
                if flaky {
                    let delete = Fault::error(ErrorClass::Transient).on(Operation::Delete);
                    fast_faults.add(delete.one_in(2).always());
                    let put = Fault::lost_answer(ErrorClass::Transient).on(Operation::Put);
                    fast_faults.add(put.one_in(4).always());
                }
                let fast = FaultStore::with_faults(tier(&fast), fast_faults);
                let store = TieredStore::with_options(fast, tier(&slow), options());
                run(&store, &steps, &mut model).await
            })?;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let tier = |store: &Memory| FaultStore::new(store.clone());
            let store = TieredStore::with_options(tier(&fast), tier(&slow), options());
            let found = all(&store).await;
            holds(&model, &found)?;
            store.flush().await.unwrap();
            prop_assert_eq!(&all(&slow).await, &found);
            prop_assert_eq!(&all(&store).await, &found);
            Ok(())
        })?;
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// As they fail now and then, in one life, with what is due bounded.
    #[test]
    fn brief_failures_lose_nothing(
        steps in proptest::collection::vec(step(), 1..60),
        one_in in 2..6_u64,
        seed: u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let faults = Faults::seeded(seed);
            faults.add(Fault::error(ErrorClass::Transient).one_in(one_in).always());
            faults.add(Fault::lost_answer(ErrorClass::Transient).one_in(one_in).always());
            let tier = || FaultStore::with_faults(Memory::new(), faults.clone());
            let store = TieredStore::with_options(tier(), tier(), options().max_due(5));
            let mut model = Model::new();
            run(&store, &steps, &mut model).await?;
            faults.clear();
            let found = all(&store).await;
            holds(&model, &found)?;
            store.flush().await.unwrap();
            prop_assert_eq!(&all(store.slow().inner()).await, &found);
            Ok(())
        })?;
    }
}

const CHILD: &str = "STOREHOUSE_TEST_WRITE_BACK";

async fn directories(dir: &std::path::Path) -> TieredStore<FlatFs, FlatFs> {
    let fast = FlatFs::open(dir.join("fast"), FlatFsOptions::default()).await;
    let slow = FlatFs::open(dir.join("slow"), FlatFsOptions::default()).await;
    TieredStore::with_options(fast.unwrap(), slow.unwrap(), options())
}

/// A process that writes until it is killed, and says what was acknowledged.
#[tokio::test]
async fn a_process_that_is_killed_loses_nothing() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let store = directories(dir.as_ref()).await;
        for n in 0_usize.. {
            let name = key(&format!("k{}", n % 13));
            println!("\nbegin {n}");
            if n % 5 == 4 {
                store.delete(&name).await.unwrap();
            } else {
                store.put(&name, content(n, 2000)).await.unwrap();
            }
            println!("\nend {n}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "kill::a_process_that_is_killed_loses_nothing",
                "--nocapture",
            ])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut model = Model::new();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in lines {
            let line = line.unwrap();
            let Some((what, n)) = line.split_once(' ') else {
                continue;
            };
            let Ok(n) = n.parse::<usize>() else {
                continue;
            };
            let new = (n % 5 != 4).then(|| content(n, 2000));
            let may = model.entry(format!("k{}", n % 13)).or_default();
            match what {
                "begin" => may.push(new),
                "end" => {
                    *may = vec![new];
                    acknowledged = n;
                }
                _ => continue,
            }
            if n == 40 + 30 * round {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(acknowledged > 20, "{acknowledged}");
        let store = directories(dir.path()).await;
        let found = all(&store).await;
        holds(&model, &found).unwrap();
        store.flush().await.unwrap();
        assert_eq!(all(store.slow()).await, found);
        store.close().await.unwrap();
    }
}
