//! Reads that a damaged page does not lead astray.
//!
//! redb finds a key by comparing it with others on the way, and does not check the pages that it
//! reads. A flipped bit in one of those other keys makes it look in the wrong place, and find
//! nothing. So nothing is taken for absent unless the records on both sides of its place are
//! proven by their checksums and lie on the right sides, and scans check the order of keys.

use std::ops::Bound;

use redb::{AccessGuard, ReadOnlyTable};
use storehouse_engine::{Span, Visit, proven_version};

pub(crate) type Records = ReadOnlyTable<&'static [u8], &'static [u8]>;
type Value = AccessGuard<'static, &'static [u8]>;

/// The value of a key; `None` is proven.
pub(crate) fn get(records: &Records, key: &[u8]) -> Result<Option<Value>, redb::Error> {
    let value = records.get(key)?;
    if value.is_none() {
        check_end_before(records, key, false)?;
        check_start_behind(records, key, true)?;
    }
    Ok(value)
}

/// Visits the records of a span; that there are no others is proven.
pub(crate) fn scan(
    records: &Records,
    span: &Span,
    visit: &mut Visit<'_>,
) -> Result<(), redb::Error> {
    let (start, end) = span.bounds();
    match (span.reverse, start, end) {
        (false, Bound::Included(key), _) => check_end_before(records, key, false)?,
        (false, Bound::Excluded(key), _) => check_end_before(records, key, true)?,
        (true, _, Bound::Included(key)) => check_start_behind(records, key, true)?,
        (true, _, Bound::Excluded(key)) => check_start_behind(records, key, false)?,
        (false, Bound::Unbounded, _) | (true, _, Bound::Unbounded) => {}
    }
    // redb is not told where to end: a damaged key would be the end.
    let (from, to) = if span.reverse {
        (Bound::Unbounded, end)
    } else {
        (start, Bound::Unbounded)
    };
    let mut range = records.range::<&[u8]>((from, to))?;
    let mut last: Option<Vec<u8>> = None;
    while let Some(record) = if span.reverse {
        range.next_back()
    } else {
        range.next()
    } {
        let (key, value) = record?;
        let (key, value) = (key.value(), value.value());
        let is_next = match (&last, span.reverse) {
            (Some(last), false) => &last[..] < key,
            (Some(last), true) => &last[..] > key,
            (None, false) => is_behind(key, start),
            (None, true) => is_before(key, end),
        };
        if !is_next {
            return Err(out_of_order());
        }
        if !(if span.reverse {
            is_behind(key, start)
        } else {
            is_before(key, end)
        }) {
            return check_record(key, value);
        }
        if visit(key, value).is_break() {
            break;
        }
        let last = last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(key);
    }
    Ok(())
}

fn is_behind(key: &[u8], start: Bound<&[u8]>) -> bool {
    match start {
        Bound::Included(start) => key >= start,
        Bound::Excluded(start) => key > start,
        Bound::Unbounded => true,
    }
}

fn is_before(key: &[u8], end: Bound<&[u8]>) -> bool {
    match end {
        Bound::Included(end) => key <= end,
        Bound::Excluded(end) => key < end,
        Bound::Unbounded => true,
    }
}

/// The last record before the place of `key`, or on it if it is `included`, is one, and lies there.
fn check_end_before(records: &Records, key: &[u8], included: bool) -> Result<(), redb::Error> {
    let end = if included {
        Bound::Included(key)
    } else {
        Bound::Excluded(key)
    };
    let last = records.range::<&[u8]>((Bound::Unbounded, end))?.next_back();
    check_neighbour(last, |found| is_before(found, end))
}

/// The first record behind the place of `key` is one, and lies there. `excluded` says that one on
/// the place itself lies before it.
fn check_start_behind(records: &Records, key: &[u8], excluded: bool) -> Result<(), redb::Error> {
    let start = if excluded {
        Bound::Excluded(key)
    } else {
        Bound::Included(key)
    };
    let first = records.range::<&[u8]>((start, Bound::Unbounded))?.next();
    check_neighbour(first, |found| is_behind(found, start))
}

fn check_neighbour(
    found: Option<Result<(Value, Value), redb::StorageError>>,
    lies_right: impl FnOnce(&[u8]) -> bool,
) -> Result<(), redb::Error> {
    let Some(found) = found else { return Ok(()) };
    let (key, value) = found?;
    check_record(key.value(), value.value())?;
    if lies_right(key.value()) {
        Ok(())
    } else {
        Err(out_of_order())
    }
}

fn check_record(key: &[u8], value: &[u8]) -> Result<(), redb::Error> {
    if proven_version(key, value).is_some() {
        return Ok(());
    }
    let key = String::from_utf8_lossy(key);
    let what = format!("the record beside it, {key:?}, is damaged: it may be that one");
    Err(redb::Error::Corrupted(what))
}

fn out_of_order() -> redb::Error {
    redb::Error::Corrupted("its keys are not in order".to_owned())
}
