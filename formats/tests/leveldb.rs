//! Databases that Go wrote, whole and damaged.

#![cfg(feature = "leveldb")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use storehouse_formats::leveldb::{Database, LevelDbError};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../stores/tests/vectors/");

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

fn read(dir: &Path) -> Result<Records, LevelDbError> {
    let database = Database::open(dir)?;
    database
        .records()?
        .map(|record| record.map(|(key, value)| (key, value.to_vec())))
        .collect()
}

fn data_dir(name: &str) -> PathBuf {
    Path::new(VECTORS).join("data_dir").join(name)
}

fn copy(name: &str) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(data_dir(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// Tables, logs that overwrite and delete what is in them, and logs alone: each record as Go lists
/// it, in that order.
#[test]
fn every_record_as_go_lists_it() {
    let listed: serde_json::Value =
        serde_json::from_slice(&fs::read(format!("{VECTORS}leveldb.json")).unwrap()).unwrap();
    for name in [
        "allocation",
        "acceptance",
        "claim",
        "receipt",
        "consolidation",
        "egress_tracker/journal/consolidation",
    ] {
        let database = Database::open(data_dir(name)).unwrap();
        let records: Vec<_> = database.records().unwrap().map(Result::unwrap).collect();
        let listed = listed[name].as_array().unwrap();
        assert_eq!(records.len(), listed.len(), "{name}");
        for ((key, value), listed) in records.iter().zip(listed) {
            assert_eq!(key, listed["key"].as_str().unwrap().as_bytes());
            let sha256: String = Sha256::digest(value)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(sha256, listed["sha256"].as_str().unwrap());
        }
    }
}

/// Bytes of every file, changed: the same records, fewer from the torn end of a log, or an error.
/// Never a panic, never a wrong value.
#[test]
fn damage_is_never_a_wrong_record() {
    for name in ["consolidation", "claim"] {
        let good = read(&data_dir(name)).unwrap();
        let dir = copy(name);
        let (mut tried, mut refused) = (0, 0);
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let whole = fs::read(&path).unwrap();
            let table = path.extension().is_some_and(|extension| extension == "ldb");
            for at in (0..whole.len()).step_by(7) {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x41;
                fs::write(&path, &damaged).unwrap();
                tried += usize::from(table);
                match read(dir.path()) {
                    Ok(records) => {
                        // A table's filter and padding are not read.
                        assert!(!table || records.len() == good.len(), "{path:?} {at}");
                        assert!(
                            records.iter().all(|(key, value)| table
                                || good.get(key).is_none_or(|known| known == value)),
                            "{path:?} {at}"
                        );
                        assert!(!table || records == good, "{path:?} {at}");
                    }
                    Err(_) => refused += usize::from(table),
                }
            }
            fs::write(&path, &whole).unwrap();
        }
        assert!(refused * 10 >= tried * 8, "{refused} of {tried}");
    }
}

#[test]
fn a_database_in_use_is_left_alone() {
    let dir = copy("claim");
    let owner = File::open(dir.path().join("LOCK")).unwrap();
    owner.lock().unwrap();
    assert!(matches!(read(dir.path()), Err(LevelDbError::InUse { .. })));
    drop(owner);
    assert!(read(dir.path()).is_ok());
}

#[test]
fn what_is_no_database() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        read(dir.path()),
        Err(LevelDbError::NotADatabase { .. })
    ));
    fs::write(dir.path().join("CURRENT"), "MANIFEST-000001\n").unwrap();
    assert!(matches!(read(dir.path()), Err(LevelDbError::Io { .. })));
    fs::write(dir.path().join("CURRENT"), "../MANIFEST-000001\n").unwrap();
    assert!(matches!(
        read(dir.path()),
        Err(LevelDbError::Damaged { .. })
    ));
}
