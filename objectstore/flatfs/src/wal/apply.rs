//! Putting in place what a log holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, openat, renameat};
use rustix::io::Errno;

use storehouse_engine::files::{sync_all, unlink};

use super::super::directory::{Directory, TEMP};
use super::super::shard::EXTENSION;
use super::frame::{Record, RecordKind};

/// The most files open at the same time.
const BATCH: usize = 64;

/// What belongs in a key's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Object {
        value: Bytes,
        /// Its modification time, in ns since 1970.
        nanos: u64,
    },
    Nothing,
}

/// The last state of each key by the log's records; `None` where what is in place is right.
pub(super) fn last_states(
    records: impl Iterator<Item = Record>,
) -> BTreeMap<String, Option<Wanted>> {
    let mut histories: BTreeMap<String, Vec<Wanted>> = BTreeMap::new();
    for Record {
        kind,
        key,
        value,
        nanos,
    } in records
    {
        let history = histories.entry(key).or_default();
        match kind {
            RecordKind::Put => history.push(Wanted::Object { value, nanos }),
            RecordKind::Delete => history.push(Wanted::Nothing),
            RecordKind::Settled => history.clear(),
            RecordKind::Void => drop(history.pop()),
        }
    }
    histories
        .into_iter()
        .map(|(key, mut history)| (key, history.pop()))
        .collect()
}

/// Syncs whatever is in the keys' places, and their directories.
pub(super) fn settle<'a>(
    directory: &Directory,
    keys: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    let mut shards = BTreeSet::new();
    let mut keys = keys.peekable();
    while keys.peek().is_some() {
        let (mut open, file_system) = (Vec::new(), directory.reopen()?);
        for key in keys.by_ref().take(BATCH) {
            shards.insert(directory.shard.shard(key));
            match directory.sys.open(&directory.file, &directory.path_of(key)) {
                Ok(file) => open.push(file),
                // Deleted, or something that no put has made.
                Err(e) if is_none(&e) => {}
                Err(e) => return Err(e),
            }
        }
        sync(directory, &file_system, &open)?;
    }
    sync_shards(directory, shards)
}

/// Which objects [`restore`] writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Restore {
    /// Those that are not in place.
    Missing,
    /// All, since what the system shows need not be what the disk has.
    All,
    /// All whose files exist; the others were deleted since.
    Existing,
}

/// Puts each key's state in place and syncs it.
pub(super) fn restore<'a>(
    directory: &Directory,
    states: impl Iterator<Item = (&'a str, Wanted)>,
    which: Restore,
) -> io::Result<()> {
    let mut shards = BTreeSet::new();
    let mut states = states.enumerate().peekable();
    while states.peek().is_some() {
        let (mut open, mut renames) = (Vec::new(), Vec::new());
        // Opened before the first write, so that no failure of one is missed.
        let file_system = directory.reopen()?;
        for (n, (key, state)) in states.by_ref().take(BATCH) {
            let name = directory.shard.shard(key);
            match state {
                Wanted::Nothing if which == Restore::Existing => {}
                Wanted::Nothing => match directory.open_shard(&name)? {
                    Some(dir) => drop(unlink(&dir, &format!("{key}{EXTENSION}"))?),
                    None => continue,
                },
                Wanted::Object { value, nanos } => {
                    match directory.sys.open(&directory.file, &directory.path_of(key)) {
                        Ok(file) if which == Restore::Missing && holds(&file, &value)? => {
                            open.push(file);
                        }
                        Err(e) if which == Restore::Existing && is_none(&e) => {}
                        Err(e) if !is_none(&e) => return Err(e),
                        _ => {
                            let temp = format!("{TEMP}/log-{n:x}");
                            open.push(write(&directory.file, &temp, &value, nanos)?);
                            renames.push((temp, name.clone(), format!("{key}{EXTENSION}")));
                        }
                    }
                }
            }
            shards.insert(name);
        }
        sync(directory, &file_system, &open)?;
        for (temp, shard, name) in renames {
            match mkdirat(&directory.file, &shard, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let dir = directory
                .open_shard(&shard)?
                .ok_or(io::ErrorKind::NotFound)?;
            renameat(&directory.file, temp, dir, name)?;
        }
    }
    sync_shards(directory, shards)
}

fn is_none(error: &io::Error) -> bool {
    let none = [Errno::NOENT, Errno::LOOP, Errno::NXIO];
    none.iter()
        .any(|none| error.raw_os_error() == Some(none.raw_os_error()))
}

fn sync(directory: &Directory, file_system: &File, open: &[File]) -> io::Result<()> {
    let open: Vec<&File> = open.iter().collect();
    sync_all(&*directory.sys, Some(file_system), &open)
        .into_iter()
        .collect()
}

/// The shards, and the store's directory for those of them that are new.
fn sync_shards(directory: &Directory, shards: BTreeSet<String>) -> io::Result<()> {
    let shards: Vec<String> = shards.into_iter().collect();
    for shards in shards.chunks(BATCH) {
        let open: Vec<File> = shards
            .iter()
            .filter_map(|shard| directory.open_shard(shard).transpose())
            .collect::<io::Result<_>>()?;
        sync(directory, &directory.reopen()?, &open)?;
    }
    directory.sys.sync(&directory.file)
}

fn holds(file: &File, value: &[u8]) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() != value.len() as u64 {
        return Ok(false);
    }
    let mut found = Vec::with_capacity(value.len());
    (&mut &*file)
        .take(value.len() as u64 + 1)
        .read_to_end(&mut found)?;
    Ok(found == value)
}

fn write(dir: &File, name: &str, value: &[u8], nanos: u64) -> io::Result<File> {
    // Only recovery uses such names. One that an attempt left which failed is not written to again:
    // a sync of it may have failed.
    unlink(dir, name)?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = File::from(openat(dir, name, flags, Mode::RUSR | Mode::WUSR)?);
    file.write_all_at(value, 0)?;
    let time = Timespec {
        tv_sec: (nanos / 1_000_000_000) as _,
        tv_nsec: (nanos % 1_000_000_000) as _,
    };
    futimens(
        &file,
        &Timestamps {
            last_access: time,
            last_modification: time,
        },
    )?;
    Ok(file)
}
