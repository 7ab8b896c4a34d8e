//! Directories whose names are durable.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::super::directory::split;

/// The most directories remembered. Another one costs a sync of those above it more.
const MOST: usize = 65_536;

/// Directories whose names, and those of all above them, are known to be durable. Others may have
/// been made by a process that did not live to sync them, or by another program.
#[derive(Debug, Default)]
pub(crate) struct DurableDirs(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    paths: BTreeSet<String>,
    /// How often a directory was removed.
    removals: u64,
}

/// When the names of directories were looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment(u64);

impl DurableDirs {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The directories, from `path` upwards, whose names may not be durable.
    pub(super) fn unknown(&self, mut path: &str) -> Vec<String> {
        let known = self.lock();
        let mut unknown = Vec::new();
        while !path.is_empty() && !known.paths.contains(path) {
            unknown.push(path.to_owned());
            path = split(path).0;
        }
        unknown
    }

    pub(super) fn now(&self) -> Moment {
        Moment(self.lock().removals)
    }

    /// Remembers directories whose names were synced since `moment`, unless one was removed
    /// meanwhile: another one of its name may be there by now.
    pub(super) fn add(&self, paths: Vec<String>, moment: Moment) {
        let mut known = self.lock();
        if known.removals != moment.0 {
            return;
        }
        if known.paths.len() + paths.len() > MOST {
            known.paths.clear();
        }
        known.paths.extend(paths.into_iter().take(MOST));
    }

    /// Forgets a directory that was removed, and what was below it.
    pub(super) fn removed(&self, path: &str) {
        let mut known = self.lock();
        known.removals += 1;
        known.paths.remove(path);
        let below = format!("{path}/");
        let gone: Vec<String> = known
            .paths
            .range(below.clone()..)
            .take_while(|known| known.starts_with(&below))
            .cloned()
            .collect();
        for path in gone {
            known.paths.remove(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_known_until_it_is_removed() {
        let dirs = DurableDirs::default();
        let moment = dirs.now();
        assert_eq!(dirs.unknown("a/b/c"), ["a/b/c", "a/b", "a"]);
        dirs.add(vec!["a".into(), "a/b".into(), "a-".into()], moment);
        assert_eq!(dirs.unknown("a/b/c"), ["a/b/c"]);
        dirs.removed("a");
        assert_eq!(dirs.unknown("a/b"), ["a/b", "a"]);
        assert!(dirs.unknown("a-").is_empty());
        dirs.add(vec!["a".into()], moment);
        assert_eq!(dirs.unknown("a"), ["a"], "a directory was removed since");
        dirs.add((0..=MOST).map(|n| n.to_string()).collect(), dirs.now());
        assert!(dirs.lock().paths.len() <= MOST);
    }
}
