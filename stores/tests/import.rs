//! Importing a Piri node's data directory.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::{Arc, Mutex};

use common::{listed, sha256, vectors};
use futures_util::TryStreamExt;
use storehouse_objectstore::{Memory, ObjectStoreExt};
use storehouse_stores::import::{ImportOptions, ImportReport, piri};
use storehouse_stores::{Cid, Error, Layout, RecordStores};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            fs::copy(entry.path(), to).map(|_| ()).unwrap()
        }
    }
}

fn node() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy(&vectors().join("data_dir"), dir.path());
    for other in [
        "publisher",
        "aggregator",
        "state",
        "wallet",
        "pdp/datastore",
    ] {
        fs::create_dir_all(dir.path().join(other)).unwrap();
    }
    dir
}

/// Every file: its bytes and when it was changed.
fn files(dir: &Path) -> BTreeMap<String, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        }
        let modified = path.metadata().unwrap().modified().unwrap();
        all.insert(
            path.display().to_string(),
            (fs::read(&path).unwrap_or_default(), modified),
        );
    }
    all
}

fn stores(memory: &Memory) -> RecordStores<Memory> {
    RecordStores::in_one(memory.clone(), &Layout::database()).unwrap()
}

async fn contents(memory: &Memory) -> BTreeMap<String, String> {
    let entries: Vec<_> = memory.list_prefix("").try_collect().await.unwrap();
    let mut contents = BTreeMap::new();
    for entry in entries {
        contents.insert(
            entry.key.to_string(),
            sha256(&memory.get_bytes(&entry.key, 1 << 20).await.unwrap()),
        );
    }
    contents
}

fn counts(report: &ImportReport) -> Vec<(&str, u64, u64, u64, u64, u64)> {
    report
        .databases
        .iter()
        .map(|d| {
            (
                d.directory,
                d.read,
                d.imported,
                d.present,
                d.index,
                d.failed,
            )
        })
        .collect()
}

#[tokio::test]
async fn a_whole_node() {
    let (node, memory) = (node(), Memory::new());
    let before = files(node.path());

    let looked = piri(
        node.path(),
        &stores(&memory),
        &ImportOptions::default().dry_run(true),
    )
    .await
    .unwrap();
    assert!(
        contents(&memory).await.is_empty(),
        "a dry run writes nothing"
    );

    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let progress: Arc<dyn Fn(&_) + Send + Sync> =
        Arc::new(move |progress: &storehouse_stores::import::Progress| {
            teller
                .lock()
                .unwrap()
                .push((progress.directory, progress.read))
        });
    let report = piri(
        node.path(),
        &stores(&memory),
        &ImportOptions::default().progress(progress),
    )
    .await
    .unwrap();
    assert_eq!(counts(&report), counts(&looked));
    assert_eq!(
        counts(&report),
        [
            ("allocation", 51, 51, 0, 0, 0),
            ("acceptance", 51, 51, 0, 0, 0),
            ("claim", 24, 24, 0, 0, 0),
            ("receipt", 48, 24, 0, 24, 0),
            ("consolidation", 5, 5, 0, 0, 0),
            ("egress_tracker/journal/consolidation", 4, 4, 0, 0, 0),
        ]
    );
    assert!(report.is_complete());
    assert_eq!(
        report.in_place,
        ["pdp/datastore", "egress_tracker/journal", "wallet"]
    );
    assert_eq!(report.others, ["aggregator", "publisher", "state"]);
    assert!(told.lock().unwrap().contains(&("receipt", 48)), "{told:?}");

    // The same keys and bytes as Go lists, and consolidations as Go writes them today.
    let mut expected: BTreeMap<_, _> = ["allocation", "acceptance", "claim", "receipt"]
        .into_iter()
        .flat_map(|directory| {
            listed("leveldb.json", directory)
                .into_iter()
                .map(move |(key, sha256)| (format!("{directory}{key}"), sha256))
        })
        .collect();
    expected.extend(
        listed("s3.json", "consolidation")
            .into_iter()
            .map(|(key, sha256)| {
                (
                    format!("consolidation/{}", key.trim_end_matches(".cbor")),
                    sha256,
                )
            }),
    );
    let imported = contents(&memory).await;
    let missing: Vec<_> = expected
        .keys()
        .filter(|key| !imported.contains_key(*key))
        .collect();
    // Those in the databases: one that S3 has was never in one.
    assert!(
        missing.iter().all(|key| key.starts_with("consolidation/")),
        "{missing:?}"
    );
    expected.retain(|key, _| imported.contains_key(key));
    assert_eq!(imported, expected);

    // Again: all is there.
    let again = piri(node.path(), &stores(&memory), &ImportOptions::default())
        .await
        .unwrap();
    assert!(
        again
            .databases
            .iter()
            .all(|d| d.imported == 0 && d.failed == 0 && d.present + d.index == d.read),
        "{again:?}"
    );
    assert_eq!(contents(&memory).await, imported);

    assert_eq!(files(node.path()), before, "not a byte of it was changed");
}

#[tokio::test]
async fn what_is_there_already_and_differs_stays() {
    let (node, memory) = (node(), Memory::new());
    let stores = stores(&memory);
    let bytes = common::records("allocation")[3].0.clone();
    let mut newer = storehouse_stores::Allocation::decode(&bytes).unwrap();
    newer.expires += 1;
    stores.allocations.put(&newer).await.unwrap();
    let report = piri(node.path(), &stores, &ImportOptions::default())
        .await
        .unwrap();
    let allocations = &report.databases[0];
    assert_eq!((allocations.imported, allocations.failed), (50, 1));
    assert!(
        allocations.problems[0].reason.contains("another record"),
        "{allocations:?}"
    );
    assert_eq!(
        stores
            .allocations
            .get(&newer.blob.digest, &newer.space)
            .await
            .unwrap(),
        newer
    );
}

/// Cut off, or with its index lost: repeating it makes it whole.
#[tokio::test]
async fn it_can_be_repeated() {
    let (node, memory) = (node(), Memory::new());
    let stores = stores(&memory);
    piri(node.path(), &stores, &ImportOptions::default())
        .await
        .unwrap();
    let whole = contents(&memory).await;
    let ran: Vec<_> = memory
        .list_prefix("receipt/ranLinkIndex/")
        .try_collect()
        .await
        .unwrap();
    memory.delete(&ran[0].key).await.unwrap();
    let claims: Vec<_> = memory.list_prefix("claim/").try_collect().await.unwrap();
    memory.delete(&claims[5].key).await.unwrap();
    let report = piri(node.path(), &stores, &ImportOptions::default())
        .await
        .unwrap();
    assert_eq!(report.databases.iter().map(|d| d.imported).sum::<u64>(), 1);
    assert_eq!(contents(&memory).await, whole);
}

#[tokio::test]
async fn a_directory_in_use() {
    let (node, memory) = (node(), Memory::new());
    // The last of the databases that are opened: nothing of the others may have been written.
    let lock = File::options()
        .write(true)
        .open(
            node.path()
                .join("egress_tracker/journal/consolidation/LOCK"),
        )
        .unwrap();
    lock.lock().unwrap();
    let error = piri(node.path(), &stores(&memory), &ImportOptions::default())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    assert!(contents(&memory).await.is_empty());
    lock.unlock().unwrap();
    piri(node.path(), &stores(&memory), &ImportOptions::default())
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_no_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("missing")] {
        assert!(matches!(
            piri(path, &stores(&Memory::new()), &ImportOptions::default()).await,
            Err(Error::NothingToImport { .. })
        ));
    }
    fs::create_dir(dir.path().join("allocation")).unwrap();
    fs::write(dir.path().join("allocation/CURRENT"), "nonsense").unwrap();
    assert!(matches!(
        piri(
            dir.path(),
            &stores(&Memory::new()),
            &ImportOptions::default()
        )
        .await,
        Err(Error::LevelDb(_))
    ));
}

/// Any byte of a database changed: the same records, or fewer from the torn end of a log, or an
/// error; never another record, and never a panic.
#[tokio::test]
async fn a_damaged_database() {
    let (node, whole) = (node(), Memory::new());
    piri(node.path(), &stores(&whole), &ImportOptions::default())
        .await
        .unwrap();
    let whole = contents(&whole).await;
    let mut refused = 0;
    let dir = node.path().join("claim");
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 24 + 1) {
            for cut in [false, true] {
                let mut damaged = bytes.clone();
                if cut {
                    damaged.truncate(at)
                } else {
                    damaged[at] ^= 0x55
                }
                fs::write(&path, &damaged).unwrap();
                let memory = Memory::new();
                match piri(node.path(), &stores(&memory), &ImportOptions::default()).await {
                    Ok(_) => assert!(
                        contents(&memory)
                            .await
                            .iter()
                            .all(|(key, sha256)| whole.get(key) == Some(sha256)),
                        "{path:?} {at}"
                    ),
                    Err(Error::LevelDb(_)) => refused += 1,
                    Err(e) => panic!("{e}"),
                }
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert!(refused > 50, "{refused}");
}

#[tokio::test]
async fn consolidations_of_both_places_are_found() {
    let (node, memory) = (node(), Memory::new());
    let stores = stores(&memory);
    piri(node.path(), &stores, &ImportOptions::default())
        .await
        .unwrap();
    for old in common::json("index.json")["legacy_consolidations"]
        .as_array()
        .unwrap()
    {
        let batch: Cid = old["batch"].as_str().unwrap().parse().unwrap();
        let got = stores.consolidations.get(&batch).await.unwrap();
        assert_eq!(
            got.track_invocation.cid().to_string(),
            old["track_invocation"]
        );
        assert_eq!(
            got.consolidate_invocation.to_string(),
            old["consolidate_invocation"]
        );
    }
}
