//! Chunks that operations under way use, so that no collection takes them.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::format::Digest;

/// The chunks in use.
#[derive(Debug, Default)]
pub(super) struct Pins {
    table: Mutex<PinTable>,
    /// Held by the one collection that may run at a time.
    collecting: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, Default)]
struct PinTable {
    /// How many operations use each.
    counts: HashMap<Digest, usize>,
    /// All that were in use at some time since the running collection began.
    since_mark: Option<HashSet<Digest>>,
    /// How many sweeps have begun, and how many have ended: odd while one runs.
    sweeps: u64,
}

impl Pins {
    fn table(&self) -> MutexGuard<'_, PinTable> {
        // Nothing panics under this lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A mark for [`Pins::hold_since`].
    pub(super) fn sweeps(&self) -> u64 {
        self.table().sweeps
    }

    /// Pins chunks, until dropped.
    pub(super) fn hold(self: &Arc<Self>, digests: Vec<Digest>) -> Pinned {
        self.table().add(&digests);
        Pinned {
            pins: Arc::clone(self),
            digests,
        }
    }

    /// The same, and whether no sweep can have taken any of them since `sweeps` was asked for.
    pub(super) fn hold_since(
        self: &Arc<Self>,
        digests: Vec<Digest>,
        sweeps: u64,
    ) -> (Pinned, bool) {
        let mut table = self.table();
        table.add(&digests);
        let safe = table.sweeps == sweeps && sweeps.is_multiple_of(2);
        drop(table);
        let pins = Arc::clone(self);
        (Pinned { pins, digests }, safe)
    }

    /// Whether an operation uses the chunk, or has since the collection began.
    pub(super) fn is_pinned(&self, digest: &Digest) -> bool {
        let table = self.table();
        let since_mark = table.since_mark.as_ref();
        table.counts.contains_key(digest) || since_mark.is_some_and(|all| all.contains(digest))
    }

    /// Begins a collection, before it looks at the first manifest, and after the one that runs.
    pub(super) async fn collect(self: &Arc<Self>) -> Collecting {
        let only = Arc::clone(&self.collecting).lock_owned().await;
        let mut table = self.table();
        table.since_mark = Some(table.counts.keys().copied().collect());
        drop(table);
        Collecting {
            pins: Arc::clone(self),
            is_sweeping: AtomicBool::new(false),
            _only: only,
        }
    }
}

impl PinTable {
    fn add(&mut self, digests: &[Digest]) {
        for digest in digests {
            *self.counts.entry(*digest).or_default() += 1;
        }
        if let Some(since_mark) = &mut self.since_mark {
            since_mark.extend(digests);
        }
    }
}

/// Pinned chunks, until dropped.
#[derive(Debug)]
pub(super) struct Pinned {
    pins: Arc<Pins>,
    digests: Vec<Digest>,
}

impl Pinned {
    pub(super) fn digests(&self) -> &[Digest] {
        &self.digests
    }

    /// Takes over the pins of another.
    pub(super) fn append(&mut self, mut other: Self) {
        self.digests.append(&mut other.digests);
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        if self.digests.is_empty() {
            return;
        }
        let mut table = self.pins.table();
        for digest in &self.digests {
            if let Some(count) = table.counts.get_mut(digest) {
                *count -= 1;
                if *count == 0 {
                    table.counts.remove(digest);
                }
            }
        }
    }
}

/// A collection, until dropped. What removes chunks for it holds it.
#[derive(Debug)]
pub(super) struct Collecting {
    pins: Arc<Pins>,
    is_sweeping: AtomicBool,
    _only: OwnedMutexGuard<()>,
}

impl Collecting {
    /// Begins to remove chunks.
    pub(super) fn sweep(&self) {
        let mut table = self.pins.table();
        if !self.is_sweeping.swap(true, Ordering::Relaxed) {
            table.sweeps += 1;
        }
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let mut table = self.pins.table();
        table.since_mark = None;
        table.sweeps += u64::from(self.is_sweeping.load(Ordering::Relaxed));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_chunk_stays_pinned_until_the_last_and_through_a_collection() {
        let pins = Arc::new(Pins::default());
        let (one, two) = ([1; 32], [2; 32]);
        let mut first = pins.hold(vec![one]);
        let second = pins.hold(vec![one, two]);
        first.append(pins.hold(vec![two]));
        drop(second);
        assert!(pins.is_pinned(&one) && pins.is_pinned(&two));
        let collecting = pins.collect().await;
        drop(first);
        assert!(pins.is_pinned(&one), "in use when the collection began");
        drop(pins.hold(vec![[3; 32]]));
        assert!(pins.is_pinned(&[3; 32]), "in use while it ran");
        drop(collecting);
        assert!(!pins.is_pinned(&one) && !pins.is_pinned(&two) && !pins.is_pinned(&[3; 32]));
    }

    #[tokio::test]
    async fn a_sweep_between_is_noticed() {
        let pins = Arc::new(Pins::default());
        let safe = |since| pins.hold_since(Vec::new(), since).1;
        let before = pins.sweeps();
        let collecting = pins.collect().await;
        assert!(safe(before), "nothing is removed while it marks");
        collecting.sweep();
        let during = pins.sweeps();
        assert!(!safe(before) && !safe(during));
        drop(collecting);
        assert!(!safe(before) && !safe(during) && safe(pins.sweeps()));
    }
}
