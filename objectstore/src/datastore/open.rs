//! Opening: the lock, the manifest, and the logs that a crash left.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::closing;
use super::disk::{Directory, Disk};
use super::fault::{Damage, Fault};
use super::frame::Origin;
use super::log;
use super::manifest::{self, Manifest};
use super::memory::Memory;
use super::memtable::Memtable;
use super::table::{self, Table};
use super::{Core, DatastoreOptions};
use crate::{Error, ErrorClass, Operation, Result};

const LOCK: &str = "LOCK";
const SETTING: &str = "datastore";

/// Makes sure that there is a directory and locks it.
pub(super) fn lock(path: &Path) -> Result<File> {
    let refused = |what: &str| {
        let reason = format!("{} {what}", path.display());
        move |e: std::io::Error| Error::Config {
            setting: SETTING,
            reason,
            source: Some(Box::new(e)),
        }
    };
    create_dir(path).map_err(refused("is no directory and cannot be made one"))?;
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK));
    let file = file.map_err(refused("cannot be written"))?;
    loop {
        // Asked first: a store that closes right after it was found locked is waited for, not taken
        // for another's.
        let closing = closing::is_under_way(path);
        return match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) if closing => {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            }
            Err(TryLockError::WouldBlock) => Err(Error::InUse {
                path: path.to_owned(),
            }),
            Err(TryLockError::Error(e)) => Err(refused("cannot be locked")(e)),
        };
    }
}

/// Makes sure that there is a directory, and that it survives a crash: its name is in its parent,
/// and so on up to what was there before.
fn create_dir(path: &Path) -> std::io::Result<()> {
    let parent = |path: &Path| {
        path.parent().map(|parent| {
            if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            }
            .to_owned()
        })
    };
    let mut parents = Vec::new();
    let mut missing = path.to_owned();
    while !missing.exists() {
        let Some(above) = parent(&missing) else { break };
        parents.push(above.clone());
        missing = above;
    }
    fs::create_dir_all(path)?;
    parents
        .into_iter()
        .try_for_each(|parent| Directory::new(parent).sync_names())
}

/// Opens what is in the directory and gives the thread that ends last when the store is closed.
pub(super) fn open(
    path: &Path,
    options: DatastoreOptions,
) -> Result<(Arc<Core>, std::thread::JoinHandle<()>)> {
    options.validate()?;
    let lock = lock(path)?;
    let disk: Arc<dyn Disk> = Arc::new(Directory::new(path.to_owned()));
    open_on(disk, options, Some(lock)).map_err(|fault| match fault {
        Fault::Damaged(damage) => {
            let advice = if damage.file.ends_with(".log") {
                "; option `salvage` opens it with what can still be read"
            } else {
                ""
            };
            let message = format!("{}: {damage}{advice}", path.display());
            Error::Backend {
                operation: Operation::Open,
                key: None,
                class: ErrorClass::Fatal,
                message,
                source: None,
            }
        }
        other => other.into_error(Operation::Open, None),
    })
}

/// The same on any disk.
pub(super) fn open_on(
    disk: Arc<dyn Disk>,
    options: DatastoreOptions,
    lock: Option<File>,
) -> Result<(Arc<Core>, std::thread::JoinHandle<()>), Fault> {
    let names = disk
        .names()
        .map_err(Fault::io("the directory cannot be read"))?;
    let (mut manifest, damage) = if names.iter().any(|name| name == manifest::NAME) {
        Manifest::read(disk.as_ref())?
    } else {
        (create(disk.as_ref(), &names)?, None)
    };
    let mut salvaged: Vec<Damage> = Vec::new();
    let recovered = recover(
        disk.as_ref(),
        &manifest,
        &names,
        options.salvage,
        &mut salvaged,
    )?;
    let tables = manifest
        .tables
        .iter()
        .map(|id| Table::open(disk.as_ref(), manifest.id, *id).map(Arc::new));
    let tables = tables.collect::<Result<Vec<_>, _>>()?;
    clean(disk.as_ref(), &manifest, &names);
    if damage.is_some() {
        manifest
            .write(disk.as_ref())
            .map_err(Fault::io("the manifest cannot be written"))?;
    }
    let first_log = recovered.next_log;
    let sequence = recovered.sequence;
    manifest.next_table = manifest.next_table.max(
        names
            .iter()
            .filter_map(|name| table::number(name))
            .max()
            .map_or(0, |last| last + 1),
    );
    let memory = Memory {
        active: recovered.records,
        frozen: None,
        tables: Arc::new(tables),
    };
    let core = Arc::new(Core::new(disk, options, lock, manifest, memory, salvaged));
    let log = super::flush::recovered(&core, first_log, sequence)?;
    let flushing = super::flush::start(&core).map_err(Fault::io("a thread cannot be started"))?;
    let committer = super::commit::Committer::new(Arc::clone(&core), log, sequence);
    let started = std::thread::Builder::new()
        .name("datastore-commit".into())
        .spawn(move || committer.run());
    if let Err(e) = started {
        core.queue.abandon();
        core.flusher.committer_ended();
        return Err(Fault::Io("a thread cannot be started".into(), e));
    }
    Ok((core, flushing))
}

/// Makes a store of an empty directory.
fn create(disk: &dyn Disk, names: &[String]) -> Result<Manifest, Fault> {
    // What a crash may have left of making one.
    let ours = |name: &str| name == LOCK || name == "MANIFEST.new";
    if let Some(other) = names.iter().find(|name| !ours(name)) {
        let what = "there is no manifest, and the directory is not empty, so it is no datastore or what is left of one";
        return Err(Fault::damaged(other.as_str(), 0, what));
    }
    // Keyed anew for each state, from the system's randomness.
    let id = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "store");
    let manifest = Manifest {
        id,
        next_table: 1,
        first_log: 1,
        last_sequence: 0,
        tables: Vec::new(),
    };
    manifest
        .write(disk)
        .map_err(Fault::io("the manifest cannot be written"))?;
    Ok(manifest)
}

/// What the logs held.
struct Recovered {
    records: Memtable,
    sequence: u64,
    next_log: u64,
}

fn recover(
    disk: &dyn Disk,
    manifest: &Manifest,
    names: &[String],
    salvage: bool,
    salvaged: &mut Vec<Damage>,
) -> Result<Recovered, Fault> {
    let mut logs: Vec<u64> = names
        .iter()
        .filter_map(|name| log::number(name))
        .filter(|number| *number >= manifest.first_log)
        .collect();
    logs.sort_unstable();
    let next_log = logs.last().map_or(manifest.first_log, |last| last + 1);
    let origin = |number| Origin {
        store: manifest.id,
        file: number,
    };
    let mut recovered = Recovered {
        records: Memtable::default(),
        sequence: manifest.last_sequence,
        next_log,
    };
    for (i, number) in logs.iter().enumerate() {
        let expected = manifest.first_log + i as u64;
        if *number != expected {
            let missing = Damage {
                file: log::file_name(expected),
                at: 0,
                what: "the log is missing",
            };
            if !salvage {
                return Err(Fault::Damaged(missing));
            }
            salvaged.push(missing);
        }
        // A log that a crash kept from being begun says nothing of the one before.
        let until = logs
            .get(i + 1)
            .map(|next| log::begun(disk, origin(*next)))
            .transpose()?
            .flatten();
        let Recovered {
            records, sequence, ..
        } = &mut recovered;
        let mut each = |entry: super::entry::Entry| {
            *sequence = (*sequence).max(entry.sequence());
            records.insert(entry);
        };
        let before = salvaged.len();
        let mut report = |damage| salvaged.push(damage);
        let report: Option<&mut dyn FnMut(Damage)> = if salvage { Some(&mut report) } else { None };
        log::replay(disk, origin(*number), until, report, &mut each)?;
        if salvaged.len() > before {
            keep(disk, *number).map_err(Fault::io("a damaged log cannot be kept"))?;
        }
    }
    Ok(recovered)
}

/// Copies a damaged log aside, for those who want to look closer.
fn keep(disk: &dyn Disk, number: u64) -> std::io::Result<()> {
    let name = log::file_name(number);
    let from = disk.open(&name)?;
    let to = disk.create(&format!("{name}.damaged"))?;
    let (mut at, end) = (0, from.len()?);
    let mut piece = vec![0; 1 << 20];
    while at < end {
        let len = (end - at).min(piece.len() as u64) as usize;
        from.read(&mut piece[..len], at)?;
        to.write(&piece[..len], at)?;
        at += len as u64;
    }
    to.sync()?;
    disk.sync_names()
}

/// Removes what is no part of the store: tables that were not finished, logs that were flushed.
fn clean(disk: &dyn Disk, manifest: &Manifest, names: &[String]) {
    let gone = |name: &&String| match (table::number(name), log::number(name)) {
        (Some(number), _) => !manifest.tables.iter().any(|table| table.number == number),
        (_, Some(number)) => number < manifest.first_log,
        _ => false,
    };
    for name in names.iter().filter(gone) {
        // It does no harm but to take up room.
        let _ = disk.remove(name);
    }
}
