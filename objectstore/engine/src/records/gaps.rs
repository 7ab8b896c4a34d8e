//! Ranges of keys that are known to be empty, so that scans need not pass the deletions in them.
//!
//! A log-structured engine keeps a deletion until its tables are merged, and until then a scan
//! passes each one. So the keys from a deleted one up to the next that exists are noted here, and
//! scans step over the ranges that have grown large. A put in a range splits it before the engine
//! is written, so a range never hides a record.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, ControlFlow};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::engine::{Engine, Span, Visit};
use super::fault::Fault;

/// The deletions in a range that are worth stepping over.
const LARGE: u64 = 64;

/// The most ranges that are kept.
const MAX: usize = 8192;

#[derive(Debug)]
pub(super) struct Gaps {
    ranges: Mutex<Ranges>,
    /// How many ranges there are, and how many are large, to be looked at without the lock.
    all: AtomicUsize,
    large: AtomicUsize,
    turn: AtomicUsize,
}

#[derive(Debug, Default)]
struct Ranges {
    /// By the least key of each. None overlap or touch.
    all: BTreeMap<Vec<u8>, Gap>,
    /// The least keys of the large ones.
    large: BTreeSet<Vec<u8>>,
}

#[derive(Clone, Debug)]
struct Gap {
    /// Exclusive; `None` for the end of all keys.
    end: Option<Vec<u8>>,
    deletions: u64,
}

impl Default for Gaps {
    fn default() -> Self {
        let [all, large, turn] = [0, 0, 0].map(AtomicUsize::new);
        Self {
            ranges: Mutex::default(),
            all,
            large,
            turn,
        }
    }
}

impl Gaps {
    /// Notes that nothing is left from each of `deleted`, which are in order, to the next key.
    /// Nothing must be written meanwhile. Leaves out keys once it took longer than `budget`: later
    /// deletions in front of them note them as well.
    pub(super) fn deleted<E: Engine>(
        &self,
        engine: &E,
        deleted: &[&[u8]],
        budget: Duration,
    ) -> Result<(), Fault> {
        let started = Instant::now();
        // Not always the same ones are left out.
        let first = self.turn.fetch_add(97, Ordering::Relaxed) % deleted.len().max(1);
        let mut known: Option<(&[u8], Option<Vec<u8>>)> = None;
        for (i, key) in deleted
            .iter()
            .enumerate()
            .cycle()
            .skip(first)
            .take(deleted.len())
        {
            if let Some((start, end)) = &known
                && start <= key
                && end.as_ref().is_none_or(|end| *key < &end[..])
            {
                continue;
            }
            if started.elapsed() > budget {
                break;
            }
            let mut end = None;
            let span = Span::new(Bound::Included(key.to_vec()), Bound::Unbounded);
            self.scan(engine, span, &mut |key, _| {
                end = Some(key.to_vec());
                ControlFlow::Break(())
            })?;
            let within = |key: &&&[u8]| end.as_ref().is_none_or(|end| **key < &end[..]);
            let deletions = deleted[i..].iter().take_while(within).count() as u64;
            let gap = Gap {
                end: end.clone(),
                deletions,
            };
            self.update(|ranges| ranges.add(key.to_vec(), gap));
            known = Some((key, end));
        }
        Ok(())
    }

    /// Splits ranges in which `keys` lie. Must come before these keys are written.
    pub(super) fn put<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        if self.all.load(Ordering::Acquire) > 0 {
            self.update(|ranges| keys.for_each(|key| ranges.split(key)));
        }
    }

    /// Visits what the engine finds in `span`, forwards, without the large ranges.
    pub(super) fn scan<E: Engine>(
        &self,
        engine: &E,
        mut span: Span,
        visit: &mut Visit<'_>,
    ) -> Result<(), Fault> {
        let mut ended = false;
        while !span.is_empty() {
            let next = match self.large.load(Ordering::Acquire) {
                0 => None,
                _ => self.lock().large_from(&span.start),
            };
            let Some((start, end)) = next else {
                return engine.scan(&span, visit);
            };
            let piece = Span {
                end: Bound::Excluded(start),
                ..span.clone()
            };
            if !piece.is_empty() && !ends_before(&span.end, &piece.end) {
                engine.scan(&piece, &mut |key, value| {
                    let flow = visit(key, value);
                    ended = flow.is_break();
                    flow
                })?;
            } else if ends_before(&span.end, &piece.end) {
                return engine.scan(&span, visit);
            }
            match end {
                Some(end) if !ended => span.start = Bound::Included(end),
                _ => return Ok(()),
            }
        }
        Ok(())
    }

    fn update(&self, change: impl FnOnce(&mut Ranges)) {
        let mut ranges = self.lock();
        change(&mut ranges);
        self.all.store(ranges.all.len(), Ordering::Release);
        self.large.store(ranges.large.len(), Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Ranges> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a span that ends at `end` ends before `other`, a bound that is excluded.
fn ends_before(end: &Bound<Vec<u8>>, other: &Bound<Vec<u8>>) -> bool {
    match (end, other) {
        (Bound::Included(end), Bound::Excluded(other)) => end < other,
        (Bound::Excluded(end), Bound::Excluded(other)) => end <= other,
        _ => false,
    }
}

impl Ranges {
    fn add(&mut self, start: Vec<u8>, gap: Gap) {
        let (mut start, mut gap) = (start, gap);
        let before = self.all.range(..=start.clone()).next_back();
        if let Some((least, before)) = before
            && before.end.as_ref().is_none_or(|end| *end >= start)
        {
            let least = least.clone();
            gap.deletions += before.deletions;
            gap.end = before
                .end
                .clone()
                .and_then(|end| gap.end.map(|other| end.max(other)));
            self.remove(&least);
            start = least;
        }
        loop {
            let next = self.all.range(start.clone()..).next();
            let Some((least, next)) = next else { break };
            if gap.end.as_ref().is_some_and(|end| least > end) {
                break;
            }
            let least = least.clone();
            gap.deletions += next.deletions;
            gap.end = next
                .end
                .clone()
                .and_then(|end| gap.end.map(|other| end.max(other)));
            self.remove(&least);
        }
        self.insert(start, gap);
        let Self { all, large } = self;
        let mut enough = 2;
        while all.len() > MAX {
            all.retain(|_, gap| gap.deletions >= enough);
            large.retain(|least| all.contains_key(least));
            enough *= 2;
        }
    }

    fn split(&mut self, key: &[u8]) {
        let before = self.all.range(..=key.to_vec()).next_back();
        let Some((least, gap)) = before else { return };
        if gap.end.as_ref().is_some_and(|end| &end[..] <= key) {
            return;
        }
        let (least, gap) = (least.clone(), gap.clone());
        self.remove(&least);
        if &least[..] < key {
            self.insert(
                least,
                Gap {
                    end: Some(key.to_vec()),
                    ..gap.clone()
                },
            );
        }
        let behind = [key, &[0]].concat();
        if gap.end.as_ref() != Some(&behind) {
            self.insert(behind, gap);
        }
    }

    fn insert(&mut self, least: Vec<u8>, gap: Gap) {
        if gap.deletions >= LARGE {
            self.large.insert(least.clone());
        }
        self.all.insert(least, gap);
    }

    fn remove(&mut self, least: &[u8]) {
        self.all.remove(least);
        self.large.remove(least);
    }

    /// The first large range that does not end before `start`.
    fn large_from(&self, start: &Bound<Vec<u8>>) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let key = match start {
            Bound::Unbounded => Vec::new(),
            Bound::Included(key) | Bound::Excluded(key) => key.clone(),
        };
        let before = self.large.range(..=key.clone()).next_back();
        let mut next = before.into_iter().chain(self.large.range(key.clone()..));
        next.find_map(|least| {
            let end = self.all.get(least)?.end.clone();
            end.as_ref()
                .is_none_or(|end| *end > key)
                .then(|| (least.clone(), end))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether a range says that `key` is not there.
    fn hides(ranges: &Ranges, key: &[u8]) -> bool {
        let before = ranges.all.range(..=key.to_vec()).next_back();
        before.is_some_and(|(_, gap)| gap.end.as_ref().is_none_or(|end| &end[..] > key))
    }

    proptest! {
        #[test]
        fn no_range_hides_a_key_and_none_overlap(
            steps in prop::collection::vec((any::<bool>(), "[ab]{1,4}"), 1..120),
        ) {
            let (mut keys, mut ranges) = (BTreeSet::<Vec<u8>>::new(), Ranges::default());
            for (put, key) in steps {
                let key = key.into_bytes();
                if put {
                    ranges.split(&key);
                    keys.insert(key);
                } else {
                    keys.remove(&key);
                    let end = keys.range(key.clone()..).next().cloned();
                    ranges.add(key.clone(), Gap { end, deletions: 40 });
                    prop_assert!(hides(&ranges, &key));
                }
                for key in &keys {
                    prop_assert!(!hides(&ranges, key));
                }
                let mut last: Option<Vec<u8>> = Some(Vec::new());
                for (least, gap) in &ranges.all {
                    prop_assert!(last.as_ref().is_some_and(|last| last <= least), "they overlap");
                    prop_assert!(gap.end.as_ref().is_none_or(|end| end > least), "one is empty");
                    prop_assert_eq!(ranges.large.contains(least), gap.deletions >= LARGE);
                    last = gap.end.clone();
                }
                prop_assert!(ranges.large.iter().all(|least| ranges.all.contains_key(least)));
            }
        }
    }

    #[test]
    fn there_are_never_too_many() {
        let mut ranges = Ranges::default();
        for number in 0..3 * MAX as u32 {
            let start = number.to_be_bytes().to_vec();
            let end = Some([&start[..], &[1]].concat());
            let deletions = 1 + u64::from(number % 100);
            ranges.add(start, Gap { end, deletions });
            assert!(ranges.all.len() <= MAX && ranges.large.len() <= ranges.all.len());
        }
        assert!(!ranges.large.is_empty());
    }
}
