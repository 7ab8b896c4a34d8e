//! What replicas missed, as far as this process knows.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use storehouse_objectstore::Key;

use super::record::Version;

/// The most keys that are remembered. If there are more, a replica that misses a write counts as
/// behind on every key until it was scrubbed.
pub(super) const MOST: usize = 65_536;

#[derive(Debug, Default)]
pub(super) struct Missed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// The newest write that each replica missed.
    keys: HashMap<Key, Vec<(usize, Version)>>,
    /// Replicas that missed more than is remembered.
    everything: HashSet<usize>,
    /// The same, since the scrub that runs began.
    again: HashSet<usize>,
    /// Writes that are still under way to a replica although their operation has ended.
    unsettled: HashMap<Key, Vec<usize>>,
}

impl Missed {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The replica does not hold this version, or it is not known to.
    pub(super) fn missed(&self, key: &Key, replica: usize, version: Version) {
        let mut state = self.state();
        if state.keys.len() >= MOST && !state.keys.contains_key(key) {
            state.everything.insert(replica);
            state.again.insert(replica);
            return;
        }
        let of_key = state.keys.entry(key.clone()).or_default();
        match of_key.iter_mut().find(|(of, _)| *of == replica) {
            Some((_, newest)) => *newest = version.max(*newest),
            None => of_key.push((replica, version)),
        }
    }

    /// The replica holds this version.
    pub(super) fn holds(&self, key: &Key, replica: usize, version: Version) {
        let mut state = self.state();
        if let Some(of_key) = state.keys.get_mut(key) {
            of_key.retain(|(of, newest)| *of != replica || *newest > version);
            if of_key.is_empty() {
                state.keys.remove(key);
            }
        }
    }

    /// Whether the replica is known to be behind on the key.
    pub(super) fn is_behind(&self, key: &Key, replica: usize) -> bool {
        let state = self.state();
        let of_key = state.keys.get(key);
        state.everything.contains(&replica)
            || of_key.is_some_and(|of_key| of_key.iter().any(|(of, _)| *of == replica))
    }

    /// Whether the replica is known to be behind on any key.
    pub(super) fn is_behind_on_any(&self, replica: usize) -> bool {
        let state = self.state();
        let mut of_keys = state.keys.values().flatten();
        state.everything.contains(&replica) || of_keys.any(|(of, _)| *of == replica)
    }

    /// A write to the replica goes on in the background.
    pub(super) fn unsettle(&self, key: &Key, replica: usize) {
        let mut state = self.state();
        state
            .unsettled
            .entry(key.clone())
            .or_default()
            .push(replica);
    }

    /// One such write has ended.
    pub(super) fn settle(&self, key: &Key, replica: usize) {
        let mut state = self.state();
        if let Some(of_key) = state.unsettled.get_mut(key) {
            if let Some(at) = of_key.iter().position(|of| *of == replica) {
                of_key.swap_remove(at);
            }
            if of_key.is_empty() {
                state.unsettled.remove(key);
            }
        }
    }

    /// Whether a write to the replica goes on in the background.
    pub(super) fn is_unsettled(&self, key: &Key, replica: usize) -> bool {
        let state = self.state();
        let of_key = state.unsettled.get(key);
        of_key.is_some_and(|of_key| of_key.contains(&replica))
    }

    /// A scrub of everything begins.
    pub(super) fn begin_scrub(&self) {
        self.state().again.clear();
    }

    /// It has brought this replica up to date under every key, but for what was missed since it
    /// began.
    pub(super) fn scrubbed(&self, replica: usize) {
        let mut state = self.state();
        if !state.again.contains(&replica) {
            state.everything.remove(&replica);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        Key::new(format!("k{n}")).unwrap()
    }

    fn version(time: u64) -> Version {
        Version { time, writer: 0 }
    }

    #[test]
    fn a_late_write_does_not_hide_a_newer_one() {
        let missed = Missed::default();
        missed.missed(&key(1), 2, version(5));
        missed.missed(&key(1), 2, version(3));
        missed.holds(&key(1), 2, version(4));
        assert!(missed.is_behind(&key(1), 2) && missed.is_behind_on_any(2));
        assert!(!missed.is_behind(&key(1), 1) && !missed.is_behind(&key(2), 2));
        missed.holds(&key(1), 2, version(5));
        assert!(!missed.is_behind_on_any(2));
        assert!(missed.state().keys.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let missed = Missed::default();
        for n in 0..MOST + 10 {
            missed.missed(&key(n), 1, version(1));
        }
        assert_eq!(missed.state().keys.len(), MOST);
        assert!(missed.is_behind(&key(MOST + 1_000), 1));
        missed.begin_scrub();
        missed.missed(&key(MOST + 11), 1, version(1));
        missed.scrubbed(1);
        assert!(missed.is_behind(&key(MOST + 1_000), 1));
        missed.begin_scrub();
        missed.scrubbed(1);
        assert!(!missed.is_behind(&key(MOST + 1_000), 1));
    }

    #[test]
    fn writes_under_way_are_counted() {
        let missed = Missed::default();
        missed.unsettle(&key(1), 0);
        missed.unsettle(&key(1), 0);
        missed.settle(&key(1), 0);
        assert!(missed.is_unsettled(&key(1), 0) && !missed.is_unsettled(&key(1), 1));
        missed.settle(&key(1), 0);
        assert!(missed.state().unsettled.is_empty());
    }
}
