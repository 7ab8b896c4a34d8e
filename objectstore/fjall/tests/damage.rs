//! Damage in fjall's log: what was acknowledged is never dropped in silence.

use std::fs;
use std::path::{Path, PathBuf};

use futures_util::TryStreamExt;
use storehouse_fjall::{Fjall, FjallOptions};
use storehouse_objectstore::{Key, Memory, ObjectStoreExt};

const RECORDS: u32 = 60;

fn key(number: u32) -> Key {
    Key::new(format!("record/{number:03}")).unwrap()
}

fn value(number: u32) -> Vec<u8> {
    vec![number as u8 + 1; 100]
}

async fn filled(dir: &Path) {
    let store = Fjall::open(dir, FjallOptions::default()).await.unwrap();
    for number in 0..RECORDS {
        store.put(&key(number), value(number)).await.unwrap();
    }
    store.close().await.unwrap();
}

/// The log: the one file of the kind.
fn log(dir: &Path) -> PathBuf {
    let paths = fs::read_dir(dir.join("fjall"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut logs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == "jnl"))
        .collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.remove(0)
}

/// The log's bytes, without the zeros for which space is reserved.
fn data(log: &Path) -> Vec<u8> {
    trimmed(&fs::read(log).unwrap()).to_vec()
}

async fn intact(dir: &Path) {
    let store = Fjall::open(dir, FjallOptions::default()).await.unwrap();
    for number in 0..RECORDS {
        assert_eq!(
            store.get_bytes(&key(number), 1000).await.unwrap(),
            value(number)
        );
    }
    assert!(store.check().await.unwrap().is_sound());
    store.close().await.unwrap();
}

#[tokio::test]
async fn a_log_that_is_damaged_or_cut_off_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let log = log(dir.path());
    let whole = data(&log);
    let places = (0..24).map(|i| i * (whole.len() - 1) / 23);
    let flipped = places.clone().map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        (format!("byte {at} of {}", whole.len()), bytes)
    });
    let cut = places.map(|at| (format!("cut at {at}"), whole[..at].to_vec()));
    for (what, bytes) in flipped.chain(cut) {
        fs::write(&log, &bytes).unwrap();
        for _ in 0..2 {
            match Fjall::open(dir.path(), FjallOptions::default()).await {
                // A length that is not looked at.
                Ok(store) => {
                    for number in 0..RECORDS {
                        let found = store.get_bytes(&key(number), 1000).await;
                        assert_eq!(found.unwrap(), value(number), "{what}");
                    }
                    store.close().await.unwrap();
                    fs::write(&log, &bytes).unwrap();
                }
                Err(error) => {
                    assert!(error.to_string().starts_with("open: "), "{what}: {error}");
                    assert_eq!(data(&log), trimmed(&bytes), "{what}: the log was changed");
                }
            }
        }
    }
    fs::write(&log, &whole).unwrap();
    intact(dir.path()).await;
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let len = bytes
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    &bytes[..len]
}

#[tokio::test]
async fn a_salvaged_store_has_what_came_before_the_damage_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let log = log(dir.path());
    let whole = data(&log);
    fs::write(&log, &whole[..whole.len() / 2]).unwrap();
    let salvage = FjallOptions::default().salvage(true);
    let store = Fjall::open(dir.path(), salvage).await.unwrap();
    let copy = Memory::new();
    let report = store.salvage(&copy).await.unwrap();
    assert!(report.copied > 20 && report.copied < u64::from(RECORDS) && report.damaged.is_empty());
    let copied: Vec<_> = copy.list_prefix("").try_collect().await.unwrap();
    let expected: Vec<_> = (0..report.copied as u32).map(key).collect();
    assert_eq!(
        copied
            .into_iter()
            .map(|entry| entry.key)
            .collect::<Vec<_>>(),
        expected
    );
    store.put(&key(999), "more").await.unwrap();
    store.close().await.unwrap();
    // From now on it opens as ever, and nothing of the cut log comes back.
    let store = Fjall::open(dir.path(), FjallOptions::default())
        .await
        .unwrap();
    assert!(!store.exists(&key(RECORDS - 1)).await.unwrap());
    assert_eq!(store.get_bytes(&key(999), 99).await.unwrap(), "more");
}

#[tokio::test]
async fn an_unfinished_database_is_made_anew_and_a_missing_one_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Fjall::open(dir.path(), FjallOptions::default())
        .await
        .unwrap();
    opened.close().await.unwrap();
    fs::remove_file(dir.path().join("fjall/version")).unwrap();
    filled(dir.path()).await;
    fs::remove_file(dir.path().join("fjall/version")).unwrap();
    let error = Fjall::open(dir.path(), FjallOptions::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the database is missing"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_list_of_tables_is_found() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path()).await;
    let store = Fjall::open(dir.path(), FjallOptions::default())
        .await
        .unwrap();
    store.compact().await.unwrap();
    store.close().await.unwrap();
    let keyspace = dir.path().join("fjall/keyspaces/1");
    let current = fs::read(keyspace.join("current")).unwrap();
    let list = format!("v{}", u64::from_le_bytes(*current.first_chunk().unwrap()));
    for name in ["current", &list] {
        let path = keyspace.join(name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 8;
            fs::write(&path, flipped).unwrap();
            let opened = Fjall::open(dir.path(), FjallOptions::default()).await;
            let error = opened
                .err()
                .unwrap_or_else(|| panic!("{name}, byte {at}"))
                .to_string();
            assert!(
                error.contains("the list of tables is damaged"),
                "{name}, byte {at}: {error}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
    intact(dir.path()).await;
}
