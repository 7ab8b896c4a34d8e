//! Whether a read met a commit of its key.
//!
//! While a write reaches one replica after the other, two reads of different replicas could see it
//! in the wrong order.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storehouse_objectstore::Key;

#[derive(Clone, Debug, Default)]
pub(super) struct Commits(Arc<Mutex<HashMap<Key, Activity>>>);

#[derive(Debug, Default)]
struct Activity {
    readers: usize,
    commits: usize,
    /// Commits that have begun since the first of the readers came.
    begun: u64,
}

impl Commits {
    fn all(&self) -> MutexGuard<'_, HashMap<Key, Activity>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A commit of the key, until dropped.
    pub(super) fn begin(&self, key: &Key) -> Commit {
        let mut all = self.all();
        let activity = all.entry(key.clone()).or_default();
        activity.commits += 1;
        activity.begun += 1;
        Commit {
            commits: self.clone(),
            key: key.clone(),
        }
    }

    /// A read of the key, until dropped.
    pub(super) fn read(&self, key: &Key) -> Reading {
        let mut all = self.all();
        let activity = all.entry(key.clone()).or_default();
        activity.readers += 1;
        Reading {
            quiet_at: (activity.commits == 0).then_some(activity.begun),
            commits: self.clone(),
            key: key.clone(),
        }
    }

    fn leave(&self, key: &Key, leave: impl FnOnce(&mut Activity)) {
        let mut all = self.all();
        if let Some(activity) = all.get_mut(key) {
            leave(activity);
            if activity.readers == 0 && activity.commits == 0 {
                all.remove(key);
            }
        }
    }
}

#[derive(Debug)]
pub(super) struct Commit {
    commits: Commits,
    key: Key,
}

impl Drop for Commit {
    fn drop(&mut self) {
        self.commits
            .leave(&self.key, |activity| activity.commits -= 1);
    }
}

#[derive(Debug)]
pub(super) struct Reading {
    commits: Commits,
    key: Key,
    quiet_at: Option<u64>,
}

impl Reading {
    /// Whether no commit was under way since this read began.
    pub(super) fn met_no_commit(&self) -> bool {
        let all = self.commits.all();
        let activity = all.get(&self.key);
        activity.is_some_and(|activity| self.quiet_at == Some(activity.begun))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.commits
            .leave(&self.key, |activity| activity.readers -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_knows_the_commits_it_met() {
        let (commits, key) = (Commits::default(), Key::new("k").unwrap());
        let before = commits.read(&key);
        assert!(before.met_no_commit());
        let commit = commits.begin(&key);
        let during = commits.read(&key);
        drop(commit);
        assert!(!before.met_no_commit() && !during.met_no_commit());
        let after = commits.read(&key);
        assert!(after.met_no_commit());
        drop((before, during, after));
        assert!(commits.all().is_empty());
    }
}
