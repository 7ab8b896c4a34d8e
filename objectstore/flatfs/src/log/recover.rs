//! Logs that an earlier process left behind.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, openat, renameat};

use super::super::files::{Files, unlink};
use super::super::shard::ShardFunction;
use super::frame::{self, Header, Kind, Record};
use super::place::{self, State};
use super::{NAMES, damaged_name};
use storehouse_objectstore::{Error, ErrorClass, Operation, Result};

/// Puts in place what a crash of the machine may have lost, and removes the logs.
///
/// While the machine runs and the file system stays mounted, nothing can be lost that only the
/// kernel had. Then nothing is put in place, so that what somebody else did to the directory after
/// the process died stays as it is.
pub(in super::super) fn recover(files: &Files, shard: ShardFunction) -> Result<()> {
    let mut logs = Vec::new();
    let mut damaged: Option<(&str, u64)> = None;
    for name in NAMES {
        let Some(log) = read(&files.dir, name).map_err(unreadable)? else {
            continue;
        };
        match Header::decode(&log) {
            Some(header) => {
                let scan = frame::scan(&log, header.generation);
                if let Some(at) = scan.damage {
                    damaged = Some((name, at));
                }
                logs.push((name, header, scan.records));
            }
            // One that was not begun for good holds nothing.
            None if log
                .iter()
                .take(frame::START as usize)
                .all(|byte| *byte == 0) => {}
            None => damaged = Some((name, 0)),
        }
    }
    logs.sort_by_key(|(_, header, _)| header.generation);
    let here = files.sys.instance(&files.dir);
    let nothing_lost = logs.iter().all(|(_, header, _)| {
        !header.instance.is_empty() && here.as_ref() == Some(&header.instance)
    });
    let records = logs.into_iter().flat_map(|(_, _, records)| records);
    restore(files, shard, records, nothing_lost)
        .map_err(|e| failed("what the log holds cannot be put in place", Some(e)))?;

    let mut changed = false;
    for name in NAMES {
        changed |= match damaged {
            Some((bad, _)) if bad == name => {
                renameat(&files.dir, name, &files.dir, damaged_name(name))
                    .map(|()| true)
                    .map_err(io::Error::from)
            }
            _ => unlink(&files.dir, name),
        }
        .map_err(unreadable)?;
    }
    if changed {
        files.dir.sync_all().map_err(unreadable)?;
    }
    match damaged {
        None => Ok(()),
        Some((name, at)) => {
            let kept = damaged_name(name);
            let message = format!(
                "the log {name} is damaged at byte {at}: some of the last puts and deletes may be lost; all others are in place, {kept} keeps it, and the store opens now"
            );
            Err(failed(&message, None))
        }
    }
}

fn restore(
    files: &Files,
    shard: ShardFunction,
    records: impl Iterator<Item = Record>,
    nothing_lost: bool,
) -> io::Result<()> {
    let states = states(records);
    if states.is_empty() {
        return Ok(());
    }
    if nothing_lost {
        return place::settle(files, shard, states.keys().map(String::as_str));
    }
    // What somebody else wrote into the log is no key of ours.
    let states = states
        .iter()
        .filter(|(key, _)| super::super::shard::flaw(key).is_none());
    place::restore(
        files,
        shard,
        states.filter_map(|(key, state)| Some((key.as_str(), state.clone()?))),
        false,
    )
}

/// What is to be in each key's place; `None` where that is what is there.
pub(super) fn states(records: impl Iterator<Item = Record>) -> BTreeMap<String, Option<State>> {
    let mut histories: BTreeMap<String, Vec<State>> = BTreeMap::new();
    for Record {
        kind,
        key,
        value,
        nanos,
    } in records
    {
        let history = histories.entry(key).or_default();
        match kind {
            Kind::Put => history.push(State::Object { value, nanos }),
            Kind::Delete => history.push(State::Nothing),
            Kind::Settled => history.clear(),
            Kind::Void => drop(history.pop()),
        }
    }
    histories
        .into_iter()
        .map(|(key, mut history)| (key, history.pop()))
        .collect()
}

pub(super) fn read(dir: &File, name: &str) -> io::Result<Option<Bytes>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    match openat(dir, name, flags, Mode::empty()) {
        Ok(file) => File::from(file).read_to_end(&mut bytes)?,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok(Some(bytes.into()))
}

fn unreadable(source: io::Error) -> Error {
    failed("the log cannot be read", Some(source))
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
