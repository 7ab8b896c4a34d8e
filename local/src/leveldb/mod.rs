//! A reader of LevelDB databases, as LevelDB's own documents describe them (`doc/log_format.md`, `doc/table_format.md`, `doc/impl.md`).
//!
//! It reads and changes nothing: opening a database with an engine rewrites its files, and working on a copy would leave one of every key on the
//! disk. All live records are held at once, so it is for small databases. Damage is an error, except for a torn record at the end of a log,
//! which was never acknowledged.

mod bytes;
mod log;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::error::IoContext;
use crate::{Error, Result, Secret};
use bytes::Cursor;

/// The most that all files together may have, in bytes (inclusive).
const MAX_TOTAL: u64 = 256 << 20;

/// The newest state of each key: its sequence number, and its value unless it was deleted.
type Newest = BTreeMap<Vec<u8>, (u64, Option<Secret>)>;

/// What is wrong with a file's contents.
pub(super) type Parsed<T> = std::result::Result<T, &'static str>;

/// All live records of the database in `dir`, in key order.
pub(crate) fn read(dir: &Path) -> Result<BTreeMap<Vec<u8>, Secret>> {
    let _lock = lock(dir)?;
    let mut budget = MAX_TOTAL;
    let current = dir.join("CURRENT");
    let manifest = read_file(&current, &mut budget)?;
    let manifest = std::str::from_utf8(&manifest).ok().and_then(|text| text.strip_suffix('\n'));
    let manifest = manifest.filter(|name| name.starts_with("MANIFEST-") && !name.contains('/'));
    let manifest = dir.join(manifest.ok_or_else(|| Error::damaged(&current, "it does not name a manifest"))?);
    let state = in_file(&manifest, State::parse(&read_file(&manifest, &mut budget)?))?;

    let mut newest = Newest::new();
    for number in &state.tables {
        let mut path = dir.join(format!("{number:06}.ldb"));
        if !path.exists() {
            path.set_extension("sst");
        }
        let contents = read_file(&path, &mut budget)?;
        in_file(&path, table::entries(&contents, |key, value| apply_internal(&mut newest, key, value)))?;
    }
    for (number, path) in logs(dir)? {
        if number >= state.log || number == state.previous_log {
            let contents = read_file(&path, &mut budget)?;
            in_file(
                &path,
                log::records(&contents).and_then(|batches| batches.iter().try_for_each(|batch| apply_batch(&mut newest, batch))),
            )?;
        }
    }
    Ok(newest.into_iter().filter_map(|(key, (_, value))| Some((key, value?))).collect())
}

/// Keeps the database's owner out while it is read, or finds that it is there.
fn lock(dir: &Path) -> Result<Option<File>> {
    let path = dir.join("LOCK");
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).context("open", &path),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(e)) => Err(e).context("lock", &path),
    }
}

fn read_file(path: &Path, budget: &mut u64) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path).context("open", path)?;
    let size = file.metadata().context("read", path)?.len();
    *budget = budget.checked_sub(size).ok_or_else(|| Error::damaged(path, "the database is too large for one of keys"))?;
    // Filled in place: a buffer that grows would leave copies behind.
    let mut contents = Zeroizing::new(vec![0; size as usize]);
    file.read_exact(&mut contents).context("read", path)?;
    Ok(contents)
}

fn in_file<T>(path: &Path, parsed: Parsed<T>) -> Result<T> {
    parsed.map_err(|reason| Error::damaged(path, reason))
}

/// The logs, oldest first.
fn logs(dir: &Path) -> Result<BTreeMap<u64, std::path::PathBuf>> {
    let mut logs = BTreeMap::new();
    for entry in fs::read_dir(dir).context("list", dir)? {
        let path = entry.context("list", dir)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".log")?.parse().ok());
        logs.extend(number.map(|number| (number, path)));
    }
    Ok(logs)
}

/// Which files make up the database: the sum of the manifest's edits.
#[derive(Debug, Default)]
struct State {
    log: u64,
    previous_log: u64,
    tables: BTreeSet<u64>,
}

impl State {
    fn parse(manifest: &[u8]) -> Parsed<Self> {
        let mut state = Self::default();
        for edit in log::records(manifest)? {
            let mut edit = Cursor(&edit);
            while !edit.is_empty() {
                match edit.varint()? {
                    1 if edit.prefixed()? == b"leveldb.BytewiseComparator" => {}
                    1 => return Err("its keys are in an order that is not known"),
                    2 => state.log = edit.varint()?,
                    9 => state.previous_log = edit.varint()?,
                    // The next file's number and the last sequence number: for writers.
                    3 | 4 => drop(edit.varint()?),
                    // Where the next compaction begins: level, key.
                    5 => drop((edit.varint()?, edit.prefixed()?)),
                    6 => {
                        edit.varint()?;
                        state.tables.remove(&edit.varint()?);
                    }
                    7 => {
                        let (_level, number, _size) = (edit.varint()?, edit.varint()?, edit.varint()?);
                        let (_smallest, _largest) = (edit.prefixed()?, edit.prefixed()?);
                        state.tables.insert(number);
                    }
                    _ => return Err("it has an edit of a kind that is not known"),
                }
            }
        }
        Ok(state)
    }
}

/// A batch of a log: sequence number, count, then `1 key value` or `0 key` each.
fn apply_batch(newest: &mut Newest, batch: &[u8]) -> Parsed<()> {
    let mut batch = Cursor(batch);
    let sequence = u64::from_le_bytes(batch.array()?);
    let count = u32::from_le_bytes(batch.array()?);
    for index in 0..u64::from(count) {
        let kind = batch.byte()?;
        let key = batch.prefixed()?;
        let value = if kind == 1 { Some(batch.prefixed()?) } else { None };
        apply(newest, key, sequence.saturating_add(index), kind, value)?;
    }
    if batch.is_empty() { Ok(()) } else { Err("a batch has more than it counts") }
}

/// A table's entry, whose key ends with sequence number and kind.
fn apply_internal(newest: &mut Newest, key: &[u8], value: &[u8]) -> Parsed<()> {
    let (key, trailer) = key.split_last_chunk::<8>().ok_or("a key is too short")?;
    let trailer = u64::from_le_bytes(*trailer);
    apply(newest, key, trailer >> 8, trailer as u8, Some(value))
}

fn apply(newest: &mut Newest, key: &[u8], sequence: u64, kind: u8, value: Option<&[u8]>) -> Parsed<()> {
    let value = match kind {
        0 => None,
        1 => value.map(Secret::from),
        _ => return Err("an entry is of a kind that is not known"),
    };
    if newest.get(key).is_none_or(|(known, _)| *known <= sequence) {
        newest.insert(key.to_vec(), (sequence, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};
    use std::fmt::Write;

    const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/");

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        })
    }

    fn copy(name: &str) -> tempfile::TempDir {
        let to = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(format!("{VECTORS}{name}")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
        }
        to
    }

    /// Tables, logs that overwrite and delete what is in them, and logs alone: each record as Go lists it.
    #[test]
    fn databases_that_go_wrote() {
        let listed: serde_json::Value = serde_json::from_slice(&fs::read(format!("{VECTORS}leveldb.json")).unwrap()).unwrap();
        for name in ["wallet", "claim"] {
            let records = read(&Path::new(VECTORS).join(name)).unwrap();
            let listed = listed[name].as_array().unwrap();
            assert_eq!(records.len(), listed.len(), "{name}");
            for (record, listed) in records.iter().zip(listed) {
                assert_eq!(record.0, listed["key"].as_str().unwrap().as_bytes());
                assert_eq!(hex(&Sha256::digest(record.1.expose())), listed["sha256"].as_str().unwrap());
            }
        }
    }

    /// Every byte of every file, changed: the same records, fewer from the torn end of a log, or an error. Never a panic, never a wrong value.
    #[test]
    fn damage_is_never_a_wrong_record() {
        let good = read(&Path::new(VECTORS).join("wallet")).unwrap();
        let dir = copy("wallet");
        let mut refused = 0;
        for name in ["000001.log", "CURRENT", "MANIFEST-000000"] {
            let path = dir.path().join(name);
            let whole = fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0x41;
                fs::write(&path, &damaged).unwrap();
                match read(dir.path()) {
                    Ok(records) => assert!(records.iter().all(|(key, value)| good[key].expose() == value.expose()), "{name} at {at}"),
                    Err(_) => refused += 1,
                }
            }
            fs::write(&path, &whole).unwrap();
        }
        assert!(refused > 200, "{refused}");
    }

    #[test]
    fn a_damaged_table_is_refused() {
        let dir = copy("claim");
        let table =
            fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some_and(|e| e == "ldb")).unwrap();
        let whole = fs::read(&table).unwrap();
        let good = read(dir.path()).unwrap();
        let mut refused = 0;
        for at in (0..whole.len()).step_by(7) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x41;
            fs::write(&table, &damaged).unwrap();
            match read(dir.path()) {
                // The filter and the padding are not read.
                Ok(records) => assert!(records.len() == good.len() && records.iter().all(|(k, v)| good[k].expose() == v.expose()), "{at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused * 10 > whole.len() / 7 * 9, "{refused}");
    }

    #[test]
    fn a_database_in_use_is_left_alone() {
        let dir = copy("wallet");
        let owner = File::open(dir.path().join("LOCK")).unwrap();
        owner.lock().unwrap();
        assert!(matches!(read(dir.path()), Err(Error::InUse { .. })));
        drop(owner);
        assert!(read(dir.path()).is_ok());
    }
}
