//! Makes a database anew from the records in a file that redb does not open.
//!
//! Each record carries a checksum over its key, value, version and time. So whatever looks like a
//! leaf of redb's tree can be searched: what proves its checksum was put into this store once. The
//! greatest version of each key is taken. Deletions leave nothing to find: a record that was
//! deleted not long ago may come back.
//!
//! A leaf starts on a page: the byte 1, a byte that is not used, the number of records n (u16), the
//! ends of the n keys and then those of the n values (u32 each, counted from the leaf's start), the
//! keys, the values. Numbers are little endian. A leaf may be longer than a page.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use redb::ReadableTable;
use storehouse_engine::{Fault, proven_version};

use crate::RedbOptions;
use crate::error::guarded;
use crate::open::{self, OpenFile, RECORDS};

const PAGE: u64 = 4096;
const LEAF: u8 = 1;
const HEAD: usize = 4;
/// Keys have at most 1,024 bytes, and a record 20 bytes beside its value.
const MAX_KEY: usize = 1024;
const MAX_HEADER: u64 = 20;
/// A leaf of which these first records are no records is none.
const HOPELESS: usize = 4;
/// Bytes of records that are written in one transaction.
const WRITTEN_AT_ONCE: usize = 32 << 20;

/// Whether a file that was not opened is damaged. A damaged page number leads beyond the file's
/// end, or to a place that no file has.
pub(crate) fn is_damage(fault: &Fault) -> bool {
    use io::ErrorKind::{FileTooLarge, InvalidInput};
    match fault {
        Fault::Damaged { .. } => true,
        Fault::Io { source, .. } => {
            source.raw_os_error().is_none() || matches!(source.kind(), FileTooLarge | InvalidInput)
        }
        _ => false,
    }
}

/// Puts a new database in the place of the file, which gets another name.
pub(crate) fn rebuild(dir: &Path, options: &RedbOptions) -> Result<(), Fault> {
    let (old, new) = (open::file(dir), open::new_file(dir));
    let io = |e| Fault::io("the damaged database cannot be salvaged", e);
    open::remove(&new)?;
    let mut file = File::open(&old).map_err(io)?;
    let database = open::create(&new, options)?;
    let copied = copy(&mut file, options, &database);
    drop(database);
    if let Err(fault) = copied {
        let _ = fs::remove_file(new);
        return Err(fault);
    }
    fs::hard_link(&old, unused_name(dir).map_err(io)?).map_err(io)?;
    fs::rename(&new, &old).map_err(io)?;
    open::sync_dir(dir)
}

/// The files that were damaged and are kept.
pub(crate) fn damaged_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for number in 1.. {
        let path = name(dir, number);
        if !path.try_exists()? {
            break;
        }
        all.push(path);
    }
    Ok(all)
}

fn name(dir: &Path, number: usize) -> PathBuf {
    dir.join(format!("records.redb.damaged.{number}"))
}

fn unused_name(dir: &Path) -> io::Result<PathBuf> {
    Ok(name(dir, damaged_files(dir)?.len() + 1))
}

fn copy(file: &mut File, options: &RedbOptions, to: &OpenFile) -> Result<(), Fault> {
    let mut start = 0;
    while let Some(next) = copy_some(file, options, to, start)? {
        start = next;
    }
    Ok(())
}

/// Copies from `start` on what one transaction may hold. Gives where to go on, if not at the end.
fn copy_some(
    file: &mut File,
    options: &RedbOptions,
    to: &OpenFile,
    mut start: u64,
) -> Result<Option<u64>, Fault> {
    let unreadable = |e| Fault::io("records.redb cannot be read", e);
    let len = file.metadata().map_err(unreadable)?.len();
    let mut found = Vec::new();
    let mut bytes = 0;
    while start < len && bytes < WRITTEN_AT_ONCE {
        // What the disk does not give back is gone.
        let leaf = read_leaf(file, start, options.max_size).unwrap_or_default();
        each_record(&leaf, |key, value, version| {
            bytes += key.len() + value.len();
            found.push((key.to_vec(), value.to_vec(), version));
        });
        start += PAGE;
    }
    guarded("the salvaged database cannot be written", || {
        let writing = to.database()?.begin_write()?;
        {
            let mut records = writing.open_table(RECORDS)?;
            for (key, value, version) in &found {
                let there = records.get(&key[..])?;
                let older = there.is_some_and(|there| {
                    proven_version(key, there.value()).is_some_and(|there| there >= *version)
                });
                if !older {
                    records.insert(&key[..], &value[..])?;
                }
            }
        }
        Ok(writing.commit()?)
    })?;
    Ok((start < len).then_some(start))
}

/// The bytes of what may be a leaf; empty if it is none.
fn read_leaf(file: &mut File, start: u64, max_size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut read_to = |bytes: &mut Vec<u8>, end: u64| -> io::Result<()> {
        file.seek(SeekFrom::Start(start + bytes.len() as u64))?;
        file.by_ref()
            .take(end.saturating_sub(bytes.len() as u64))
            .read_to_end(bytes)
            .map(drop)
    };
    read_to(&mut bytes, PAGE)?;
    let (Some(&LEAF), Some(count)) = (bytes.first(), number(&bytes, 2, 2)) else {
        return Ok(Vec::new());
    };
    // The end of the last value. One that is damaged only makes the rest be looked at less far.
    let ends = (HEAD + 8 * count) as u64;
    read_to(&mut bytes, ends)?;
    let end = number(&bytes, HEAD + 4 * (2 * count).saturating_sub(1), 4).unwrap_or(0) as u64;
    let most = ends + MAX_KEY as u64 + MAX_HEADER + max_size;
    read_to(&mut bytes, end.clamp(PAGE, most.max(PAGE)))?;
    Ok(bytes)
}

fn number(bytes: &[u8], at: usize, len: usize) -> Option<usize> {
    let bytes = bytes.get(at..at + len)?;
    Some(
        bytes
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)),
    )
}

/// Calls `found` with each key, value and version in a leaf that its checksum proves.
fn each_record(leaf: &[u8], mut found: impl FnMut(&[u8], &[u8], u64)) {
    let count = number(leaf, 2, 2).unwrap_or(0);
    let key_end = |i: usize| number(leaf, HEAD + 4 * i, 4);
    let value_end = |i: usize| number(leaf, HEAD + 4 * (count + i), 4);
    let mut proven = 0;
    for i in 0..count {
        if proven == 0 && i == HOPELESS {
            return;
        }
        let key_start = if i == 0 {
            Some(HEAD + 8 * count)
        } else {
            key_end(i - 1)
        };
        let value_start = if i == 0 {
            key_end(count - 1)
        } else {
            value_end(i - 1)
        };
        let range = |start: Option<usize>, end: Option<usize>| leaf.get(start?..end?);
        let (Some(key), Some(value)) = (
            range(key_start, key_end(i)),
            range(value_start, value_end(i)),
        ) else {
            continue;
        };
        if key.len() <= MAX_KEY
            && let Some(version) = proven_version(key, value)
        {
            proven += 1;
            found(key, value, version);
        }
    }
}
