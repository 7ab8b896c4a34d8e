//! Logs that an earlier store left behind.

use std::collections::BTreeMap;
use std::io;

use rustix::fs::renameat;
use storehouse_objectstore::{Error, ErrorClass, Operation, Result};

use storehouse_engine::files::unlink;

use super::super::directory::Directory;
use super::super::shard;
use super::apply::{self, Restore, Wanted};
use super::frame::{self, Header, Record, distrusted};
use super::segment::{self, NAMES};

/// The name of a damaged log, and the byte where it is damaged.
type Damage = (&'static str, u64);

/// The last state of each key.
type States = BTreeMap<String, Option<Wanted>>;

/// A log that was read.
struct LeftLog {
    name: &'static str,
    header: Header,
    records: Vec<Record>,
}

/// Puts in place what a crash of the machine may have lost, and removes the logs.
///
/// While the machine runs and the file system stays mounted, nothing is lost that the kernel has.
/// Then nothing is put in place, so what another program did to the directory after the process
/// died stays.
///
/// If a sync fails, the kernel reports that once, and what it shows from then on need not be what
/// the disk has. So everything is then written anew, now or by the next opening.
pub(crate) fn recover(directory: &Directory) -> Result<()> {
    let (mut logs, damaged) = read_logs(directory)?;
    logs.sort_by_key(|log| log.header.generation);
    apply_logs(directory, &logs)
        .map_err(|e| failed("what the log holds cannot be put in place", Some(e)))?;
    remove_logs(directory, damaged.map(|(name, _)| name))?;
    match damaged {
        None => Ok(()),
        Some((name, at)) => {
            let kept = damaged_name(name);
            let message = format!(
                "the log {name} is damaged at byte {at}: some of the last puts and deletes may be \
                 lost; all others are in place, {kept} keeps it, and the store opens now"
            );
            Err(failed(&message, None))
        }
    }
}

/// The logs that can be read, and where one that cannot is damaged.
fn read_logs(directory: &Directory) -> Result<(Vec<LeftLog>, Option<Damage>)> {
    let (mut logs, mut damaged) = (Vec::new(), None);
    for name in NAMES {
        let read = segment::read(directory, name);
        let Some(log) = read.map_err(|e| unusable(directory, name, e))? else {
            continue;
        };
        match Header::decode(&log) {
            Some(header) => {
                let scan = frame::scan(&log, header.generation);
                if let Some(at) = scan.damage {
                    damaged = Some((name, at));
                }
                logs.push(LeftLog {
                    name,
                    header,
                    records: scan.records,
                });
            }
            // A crash cut its creation off: it holds nothing.
            None if log
                .iter()
                .take(frame::START as usize)
                .all(|byte| *byte == 0) => {}
            None => damaged = Some((name, 0)),
        }
    }
    Ok((logs, damaged))
}

/// How objects get back in place, by what the disk may lack of what the system shows.
#[derive(Clone, Copy)]
enum Plan {
    /// Nothing that a sync does not write: the logs are of this run of the machine.
    Sync,
    /// Any file, after a failed sync in this run.
    RewriteExisting,
    /// Nothing: the logs are of another run, and what is shown was read from the disk.
    Compare,
    /// Any file, and what is shown may lack objects as well.
    RewriteAll,
}

impl Plan {
    fn of(logs: &[LeftLog], here: &str) -> Self {
        let (all_lost, distrusted_here) = (distrusted(""), distrusted(here));
        let mut instances = logs.iter().map(|log| log.header.instance.as_str());
        if instances.clone().any(|instance| instance == all_lost) {
            Self::RewriteAll
        } else if here.is_empty() {
            Self::Compare
        } else if instances.clone().all(|instance| instance == here) {
            Self::Sync
        } else if instances.all(|instance| instance == here || instance == distrusted_here) {
            Self::RewriteExisting
        } else {
            Self::Compare
        }
    }

    /// What remains to be done once a step of this one failed, and the instance that says so.
    fn after_failure(self, here: &str) -> (Self, String) {
        match self {
            Self::Sync | Self::RewriteExisting => (Self::RewriteExisting, distrusted(here)),
            Self::Compare | Self::RewriteAll => (Self::RewriteAll, distrusted("")),
        }
    }

    fn carry_out(self, directory: &Directory, states: &States) -> io::Result<()> {
        let restore = match self {
            Self::Sync => None,
            Self::RewriteExisting => Some(Restore::Existing),
            Self::Compare => Some(Restore::Missing),
            Self::RewriteAll => Some(Restore::All),
        };
        // Objects that are in place are synced even where nothing is to be restored.
        apply::settle(directory, states.keys().map(String::as_str))?;
        let wanted = states
            .iter()
            .filter_map(|(key, state)| Some((key.as_str(), state.clone()?)));
        restore.map_or(Ok(()), |which| apply::restore(directory, wanted, which))
    }
}

fn apply_logs(directory: &Directory, logs: &[LeftLog]) -> io::Result<()> {
    let records = logs.iter().flat_map(|log| log.records.iter().cloned());
    let mut states = apply::last_states(records);
    // What others wrote into a log need not be a key.
    states.retain(|key, _| shard::flaw(key).is_none());
    if states.is_empty() {
        return Ok(());
    }
    let here = directory.sys.instance(&directory.file).unwrap_or_default();
    let plan = Plan::of(logs, &here);
    plan.carry_out(directory, &states).or_else(|_| {
        let (plan, instance) = plan.after_failure(&here);
        // First of all, in case this does not come to its end.
        for LeftLog { name, header, .. } in logs {
            let _ = segment::remark(directory, name, header.generation, instance.clone());
        }
        plan.carry_out(directory, &states)
    })
}

/// Removes the logs; sets the damaged one aside.
fn remove_logs(directory: &Directory, damaged: Option<&str>) -> Result<()> {
    let mut changed = false;
    for name in NAMES {
        let dir = &directory.file;
        let removed = if damaged == Some(name) {
            renameat(dir, name, dir, damaged_name(name))
                .map(|()| true)
                .map_err(io::Error::from)
        } else {
            unlink(dir, name)
        };
        changed |= removed.map_err(|e| unusable(directory, name, e))?;
    }
    if changed {
        let synced = directory.sys.sync(&directory.file);
        synced.map_err(|e| failed("the store's directory cannot be synced", Some(e)))?;
    }
    Ok(())
}

fn damaged_name(name: &str) -> String {
    format!("{name}.damaged")
}

fn unusable(directory: &Directory, name: &str, source: io::Error) -> Error {
    let path = directory.path.join(name);
    failed(
        &format!("the log {} cannot be read or removed", path.display()),
        Some(source),
    )
}

fn failed(message: &str, source: Option<io::Error>) -> Error {
    let source = source.map(|e| Box::new(e) as Box<dyn std::error::Error + Send + Sync>);
    Error::Backend {
        operation: Operation::Open,
        key: None,
        class: ErrorClass::Fatal,
        message: message.to_owned(),
        source,
    }
}
