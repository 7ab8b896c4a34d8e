//! Making what a log holds durable in its place.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, Timespec, Timestamps, futimens, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::super::files::{Files, unlink};
use super::super::layout::TEMP;
use super::super::shard::{EXTENSION, ShardFunction};
use super::super::sync::sync_all;

/// Files that are open at the same time.
const BATCH: usize = 64;

/// What is to be in a key's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Object {
        value: Bytes,
        /// Its modification time, in ns since 1970.
        nanos: u64,
    },
    Nothing,
}

/// Syncs what is in the keys' places, whatever that is, and their directories.
pub(super) fn settle<'a>(
    files: &Files,
    shard: ShardFunction,
    keys: impl Iterator<Item = &'a str>,
) -> io::Result<()> {
    let mut shards = BTreeSet::new();
    let mut keys = keys.peekable();
    while keys.peek().is_some() {
        let mut open = Vec::new();
        for key in keys.by_ref().take(BATCH) {
            shards.insert(shard.shard(key));
            match files.sys.open(&files.dir, &shard.path(key)) {
                Ok(file) => open.push(file),
                // Deleted, or something that no put has made.
                Err(e) if is_none(&e) => {}
                Err(e) => return Err(e),
            }
        }
        sync(files, &open)?;
    }
    sync_shards(files, shards)
}

/// Puts every key's state in its place and syncs all of it. An object that is there already stays
/// as it is, unless `anew`: what the system shows may not be what the disk has.
pub(super) fn restore<'a>(
    files: &Files,
    shard: ShardFunction,
    states: impl Iterator<Item = (&'a str, State)>,
    anew: bool,
) -> io::Result<()> {
    let mut shards = BTreeSet::new();
    let mut states = states.enumerate().peekable();
    while states.peek().is_some() {
        let (mut open, mut renames) = (Vec::new(), Vec::new());
        for (n, (key, state)) in states.by_ref().take(BATCH) {
            let name = shard.shard(key);
            match state {
                State::Nothing => match files.open_shard(&name)? {
                    Some(dir) => drop(unlink(&dir, &format!("{key}{EXTENSION}"))?),
                    None => continue,
                },
                State::Object { value, nanos } => {
                    match files.sys.open(&files.dir, &shard.path(key)) {
                        Ok(file) if !anew && holds(&file, &value)? => open.push(file),
                        Err(e) if !is_none(&e) => return Err(e),
                        _ => {
                            let temp = format!("{TEMP}/log-{n:x}");
                            open.push(write(&files.dir, &temp, &value, nanos)?);
                            renames.push((temp, name.clone(), format!("{key}{EXTENSION}")));
                        }
                    }
                }
            }
            shards.insert(name);
        }
        sync(files, &open)?;
        for (temp, shard, name) in renames {
            match mkdirat(&files.dir, &shard, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
            let dir = files.open_shard(&shard)?.ok_or(io::ErrorKind::NotFound)?;
            renameat(&files.dir, temp, dir, name)?;
        }
    }
    sync_shards(files, shards)
}

fn is_none(error: &io::Error) -> bool {
    let none = [Errno::NOENT, Errno::LOOP, Errno::NXIO];
    none.iter()
        .any(|none| error.raw_os_error() == Some(none.raw_os_error()))
}

fn sync(files: &Files, open: &[File]) -> io::Result<()> {
    let file_system = files.reopen()?;
    // An error of the whole file system's sync names no file, but each file is synced by itself
    // then.
    sync_all(
        &*files.sys,
        Some(&file_system),
        &open.iter().collect::<Vec<_>>(),
    )
    .into_iter()
    .collect()
}

/// The shards, and the store's directory for those of them that are new.
fn sync_shards(files: &Files, shards: BTreeSet<String>) -> io::Result<()> {
    let shards: Vec<String> = shards.into_iter().collect();
    for shards in shards.chunks(BATCH) {
        let open: Vec<File> = shards
            .iter()
            .filter_map(|shard| files.open_shard(shard).transpose())
            .collect::<io::Result<_>>()?;
        sync(files, &open)?;
    }
    files.dir.sync_all()
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
    // Nobody else uses such names, so that one which is there was left by an attempt that failed.
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
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
