//! Reading everything: to say what is damaged, and to copy what is not.

use std::fmt;
use std::ops::{Bound, ControlFlow};

use bytes::Bytes;
use storehouse_objectstore::{Attributes, Key, Operation, Result};

use super::core::Core;
use super::engine::{Engine, Span};
use super::fault::Fault;
use super::record::{COUNTER, Record};

/// How many damaged ranges are named. After that a walk gives up.
const NAMED: usize = 10_000;

/// A range of keys that cannot be read. Both ends can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The last key before the range (exclusive), if there is one.
    pub after: Option<String>,
    /// The first key behind it (exclusive), if there is one.
    pub before: Option<String>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, before) = (self.after.as_deref(), self.before.as_deref());
        write!(
            f,
            "between {:?} and {:?}: {}",
            after.unwrap_or(""),
            before.unwrap_or("…"),
            self.what
        )
    }
}

/// What [`RecordStore::check`](crate::RecordStore::check) found.
///
/// ```
/// use storehouse_engine::CheckReport;
/// use storehouse_objectstore::Key;
///
/// let mut report = CheckReport::default();
/// assert!(report.is_sound());
/// report.damaged.push(Key::new("a")?);
/// assert!(!report.is_sound());
/// # Ok::<(), storehouse_objectstore::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// The records that can be read and have the checksum that they were put with.
    pub records: u64,
    /// Keys whose records are damaged. Others can be read and written as ever.
    pub damaged: Vec<Key>,
    /// Ranges in which the engine finds no keys because its files are damaged.
    pub unreadable: Vec<KeyRange>,
    /// What the engine says of its files beyond that.
    pub files: Vec<String>,
}

impl CheckReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.unreadable.is_empty() && self.files.is_empty()
    }
}

/// What [`RecordStore::salvage`](crate::RecordStore::salvage) did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The records that were copied.
    pub copied: u64,
    /// Keys whose records are damaged, and were not copied.
    pub damaged: Vec<Key>,
    /// Ranges that could not be read. Records in them are lost.
    pub unreadable: Vec<KeyRange>,
}

/// Checks everything.
pub(super) fn check<E: Engine>(core: &Core<E>) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let failed = |fault: Fault| fault.into_error(Operation::Health, None);
    report.files = core.with_retry(|engine| engine.verify()).map_err(failed)?;
    let (damaged, records) = (&mut report.damaged, &mut report.records);
    report.unreadable = walk(core, &mut |key, value| {
        match value {
            Some(_) => *records += 1,
            None if damaged.len() < NAMED => damaged.push(key),
            None => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(report)
}

/// Visits each record once, in no particular order: its value, or `None` if it is damaged. Goes
/// round what the engine cannot read, and gives that.
pub(super) fn walk<E: Engine>(
    core: &Core<E>,
    visit: &mut dyn FnMut(Key, Option<(Bytes, Attributes)>) -> ControlFlow<()>,
) -> Result<Vec<KeyRange>> {
    let mut unreadable = Vec::new();
    let mut after = COUNTER.to_vec();
    loop {
        let (end, from) = pass(
            core,
            Bound::Excluded(after.clone()),
            Bound::Unbounded,
            false,
            visit,
        );
        after = end.unwrap_or(after);
        let Some(fault) = from else {
            return Ok(unreadable);
        };
        if matches!(fault, Fault::Closed | Fault::Stopped { .. }) || unreadable.len() >= NAMED {
            return Err(fault.into_error(Operation::Health, None));
        }
        let what = fault.to_string();
        let text = |key: &[u8]| (key != COUNTER).then(|| String::from_utf8_lossy(key).into_owned());
        let Some(beyond) = readable_after(core, &after) else {
            unreadable.push(KeyRange {
                after: text(&after),
                before: None,
                what,
            });
            return Ok(unreadable);
        };
        // What lies between the damage and there is read from behind.
        let (start, end) = (
            Bound::Excluded(after.clone()),
            Bound::Excluded(beyond.clone()),
        );
        let (lowest, failed) = pass(core, start, end, true, visit);
        if failed.is_some() {
            let before = lowest.unwrap_or_else(|| beyond.clone());
            let before = Some(String::from_utf8_lossy(&before).into_owned());
            unreadable.push(KeyRange {
                after: text(&after),
                before,
                what,
            });
        }
        // `beyond` itself may be a key.
        let included = Bound::Included(beyond.clone());
        let (_, failed) = pass(core, included.clone(), included, false, visit);
        if let Some(fault) = failed {
            let what = fault.to_string();
            let text = Some(String::from_utf8_lossy(&beyond).into_owned());
            unreadable.push(KeyRange {
                after: text.clone(),
                before: text,
                what,
            });
        }
        after = beyond;
    }
}

/// Visits a span until something fails. With the failure the last key that was visited.
fn pass<E: Engine>(
    core: &Core<E>,
    start: Bound<Vec<u8>>,
    end: Bound<Vec<u8>>,
    reverse: bool,
    visit: &mut dyn FnMut(Key, Option<(Bytes, Attributes)>) -> ControlFlow<()>,
) -> (Option<Vec<u8>>, Option<Fault>) {
    const CHUNK: usize = 1024;
    let mut span = Span {
        start,
        end,
        reverse,
    };
    let mut last: Option<Vec<u8>> = None;
    loop {
        if span.is_empty() {
            return (last, None);
        }
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        let scanned = core.with(|engine| {
            engine.scan(&span, &mut |key, value| {
                let decoded = Record::decode(key, value).ok();
                let decoded = decoded.map(|record| {
                    let attributes = record.metadata().attributes;
                    (Bytes::copy_from_slice(record.value), attributes)
                });
                bytes += value.len();
                chunk.push((key.to_vec(), decoded));
                if chunk.len() < CHUNK && bytes < 1 << 20 {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            })
        });
        let ended = chunk.len() < CHUNK && bytes < 1 << 20;
        for (key, value) in chunk {
            let named = str::from_utf8(&key)
                .ok()
                .and_then(|text| Key::new(text).ok());
            last = Some(key);
            let Some(named) = named else { continue };
            if visit(named, value).is_break() {
                return (last, Some(Fault::Closed));
            }
        }
        if let Err(fault) = scanned {
            return (last, Some(fault));
        }
        match &last {
            Some(key) if !ended => {
                let bound = Bound::Excluded(key.clone());
                if reverse {
                    span.end = bound
                } else {
                    span.start = bound
                }
            }
            _ => return (last, None),
        }
    }
}

/// A key after `after` from which on the engine can read: close behind what it cannot.
fn readable_after<E: Engine>(core: &Core<E>, after: &[u8]) -> Option<Vec<u8>> {
    let readable = |prefix: &[u8], byte: u8| {
        let start = Bound::Included([prefix, &[byte]].concat());
        let span = Span {
            start,
            end: Bound::Unbounded,
            reverse: false,
        };
        core.with(|engine| engine.scan(&span, &mut |_, _| ControlFlow::Break(())))
            .is_ok()
    };
    // Prefixes of `after`, the longest first, each with a greater byte behind it.
    for len in (0..=after.len()).rev() {
        let (prefix, least) = (&after[..len], after.get(len).map_or(0, |byte| byte + 1));
        if least == u8::MAX || !readable(prefix, u8::MAX) {
            continue;
        }
        let (mut low, mut high) = (least, u8::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            if readable(prefix, middle) {
                high = middle
            } else {
                low = middle + 1
            }
        }
        return Some([prefix, &[high]].concat());
    }
    None
}
