//! The write-ahead log: groups of entries, each a frame, in files written from start to end.
//!
//! A log file starts with a frame of kind `LogStart`, whose payload is the place where the log
//! before it ends (u64, little endian). It is filled with zeros ahead of what is written, so that
//! syncing a group need not touch the file's metadata. The newest log ends where no frame follows.
//! Its last group may be torn by a crash: then it was never acknowledged. Any other place that is
//! not a frame is damage, which frames behind it, or the log behind it, give away.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::disk::{Disk, DiskFile};
use super::entry::{Entry, u64_at};
use super::fault::{Damage, Fault};
use super::frame::{self, Found, Kind, Origin};

/// How far zeros are written ahead, in bytes (both inclusive): as far again as the file is long.
const AHEAD: (u64, u64) = (128 * 1024, 8 * 1024 * 1024);

/// A log that is written to.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) number: u64,
    file: Arc<dyn DiskFile>,
    origin: Origin,
    /// Where the next group goes.
    at: u64,
    /// Up to where it was synced.
    synced: u64,
    /// How far the file reaches.
    end: u64,
    /// A sync failed. What was written before may never reach the disk, so nothing more may be
    /// written behind it.
    pub(super) failed: bool,
}

pub(super) fn file_name(number: u64) -> String {
    format!("{number:016x}.log")
}

/// The number of a log by its file's name.
pub(super) fn number(name: &str) -> Option<u64> {
    let digits = name
        .strip_suffix(".log")
        .filter(|digits| digits.len() == 16)?;
    u64::from_str_radix(digits, 16).ok()
}

impl Log {
    /// Starts a log, in the file of an earlier one if there is one to spare. The log before it ends
    /// at `before`.
    pub(super) fn create(
        disk: &dyn Disk,
        store: u64,
        number: u64,
        before: u64,
        spare: Option<u64>,
    ) -> io::Result<Self> {
        let name = file_name(number);
        let file = match spare {
            // Frames of the earlier log are none of this one.
            Some(spare) => disk
                .rename(&file_name(spare), &name)
                .and_then(|()| disk.open(&name))?,
            None => disk.create(&name)?,
        };
        let origin = Origin {
            store,
            file: number,
        };
        let mut log = Self {
            number,
            origin,
            at: 0,
            synced: 0,
            end: file.len()?,
            file,
            failed: false,
        };
        let mut start = frame::start();
        start.extend_from_slice(&before.to_le_bytes());
        log.write(&mut start, Kind::LogStart)?;
        log.sync()?;
        disk.sync_names()?;
        Ok(log)
    }

    /// Writes a group, which [`frame::start`] began. It is in the log once [`Log::sync`] returns.
    /// After an error the log is as before.
    pub(super) fn append(&mut self, group: &mut Vec<u8>) -> io::Result<()> {
        self.write(group, Kind::Group)
    }

    fn write(&mut self, frame: &mut Vec<u8>, kind: Kind) -> io::Result<()> {
        frame::seal(frame, kind, self.origin, self.at);
        let needed = self.at + frame.len() as u64;
        while self.end < needed {
            let zeros = self.end.clamp(AHEAD.0, AHEAD.1).max(needed - self.end);
            self.file.write(&vec![0; zeros as usize], self.end)?;
            self.end += zeros;
        }
        self.file.write(frame, self.at)?;
        self.at = needed;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> io::Result<()> {
        let synced = self.file.sync();
        match &synced {
            Ok(()) => self.synced = self.at,
            Err(_) => self.failed = true,
        }
        synced
    }

    /// Up to where the log is on the disk, in bytes.
    pub(super) fn synced(&self) -> u64 {
        self.synced
    }
}

/// Where the log before this one ends; `None` if this one was not begun for good.
pub(super) fn begun(disk: &dyn Disk, origin: Origin) -> Result<Option<u64>, Fault> {
    let name = file_name(origin.file);
    let failed = || Fault::io(format!("{name} cannot be read"));
    let file = disk.open(&name).map_err(failed())?;
    match frame::read(file.as_ref(), origin, 0, file.len().map_err(failed())?).map_err(failed())? {
        Found::Frame(Kind::LogStart, payload, _) if payload.len() == 8 => {
            Ok(Some(u64_at(&payload, 0)))
        }
        _ => Ok(None),
    }
}

/// Reads a log and gives its entries to `each`, in order. It ends at `until`; the newest log, whose
/// end may be torn, where it ends.
///
/// With `salvage`, damage is given to it, and what lies beyond is read all the same.
pub(super) fn replay(
    disk: &dyn Disk,
    origin: Origin,
    until: Option<u64>,
    mut salvage: Option<&mut dyn FnMut(Damage)>,
    each: &mut dyn FnMut(Entry),
) -> Result<(), Fault> {
    let name = file_name(origin.file);
    let failed = || Fault::io(format!("{name} cannot be read"));
    let file = disk.open(&name).map_err(failed())?;
    let end = file.len().map_err(failed())?;
    let mut at = 0;
    while until.is_none_or(|until| at < until) {
        let frame = frame::read(file.as_ref(), origin, at, end).map_err(failed())?;
        let what = match frame {
            Found::Frame(Kind::LogStart, _, next) if at == 0 => {
                at = next;
                continue;
            }
            Found::Frame(Kind::Group, payload, next) if at > 0 || salvage.is_some() => {
                match entries(&payload) {
                    Some(entries) => {
                        entries.into_iter().for_each(&mut *each);
                        at = next;
                        continue;
                    }
                    None => "the records of a group",
                }
            }
            Found::Frame(..) => "a frame in the wrong place",
            Found::Nothing => "a group of records that was acknowledged",
        };
        let next = frame::search(file.as_ref(), origin, at + 1, end).map_err(failed())?;
        if next.is_none() && until.is_none() {
            return Ok(());
        }
        let damage = Damage {
            file: name.clone(),
            at,
            what,
        };
        match (&mut salvage, next) {
            (Some(report), Some(next)) => {
                report(damage);
                at = next;
            }
            (Some(report), None) => {
                report(damage);
                return Ok(());
            }
            (None, _) => return Err(Fault::Damaged(damage)),
        }
    }
    Ok(())
}

/// Checks that the groups of a log up to `end` are all there; reports what is not.
pub(super) fn check(
    disk: &dyn Disk,
    origin: Origin,
    end: u64,
    report: &mut dyn FnMut(Damage),
) -> Result<(), Fault> {
    let name = file_name(origin.file);
    let failed = || Fault::io(format!("{name} cannot be read"));
    let file = disk.open(&name).map_err(failed())?;
    let mut at = 0;
    while at < end {
        at = match frame::read(file.as_ref(), origin, at, end).map_err(failed())? {
            Found::Frame(_, _, next) => next,
            Found::Nothing => {
                report(Damage {
                    file: name.clone(),
                    at,
                    what: "a group of records that was acknowledged",
                });
                frame::search(file.as_ref(), origin, at + 1, end)
                    .map_err(failed())?
                    .unwrap_or(end)
            }
        };
    }
    Ok(())
}

/// The entries of a group, each checked; `None` if they are not what was written.
fn entries(payload: &Bytes) -> Option<Vec<Entry>> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while at < payload.len() {
        let entry = Entry::at(payload, at).filter(Entry::verified)?;
        at += entry.raw().len();
        entries.push(entry);
    }
    Some(entries)
}
