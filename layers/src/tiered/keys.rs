//! Which keys are being written, and which are being copied.
//!
//! While a key is written its readers ask the slow tier alone, and no copy of it is made. A writer
//! waits for a copy that is past the point where it could be given up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use storehouse_objectstore::Key;

use super::fill::{Fill, FillEnd};

#[derive(Debug, Default)]
pub(super) struct Keys {
    map: Mutex<HashMap<Key, KeyState>>,
}

#[derive(Debug, Default)]
struct KeyState {
    writers: usize,
    /// How many writers there were since the key was last at rest.
    written: u64,
    fill: Option<Arc<Fill>>,
    /// The fill is about to make its copy visible, and cannot be given up.
    commits: bool,
}

/// What is going on with a key.
#[derive(Debug)]
pub(super) enum Activity {
    None,
    Written,
    Copied(Arc<Fill>),
}

impl Keys {
    fn map(&self) -> MutexGuard<'_, HashMap<Key, KeyState>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn activity(&self, key: &Key) -> Activity {
        match self.map().get(key) {
            Some(state) if state.writers > 0 => Activity::Written,
            Some(KeyState {
                fill: Some(fill), ..
            }) => Activity::Copied(Arc::clone(fill)),
            _ => Activity::None,
        }
    }

    /// Begins a copy, unless something is going on already or there are `most` of them.
    pub(super) fn begin_fill(self: &Arc<Self>, key: &Key, window: u64, most: usize) -> Begin {
        let mut map = self.map();
        if let Some(state) = map.get(key) {
            if state.writers > 0 {
                return Begin::No;
            }
            if let Some(fill) = &state.fill {
                return Begin::Join(Arc::clone(fill));
            }
        }
        if map.values().filter(|state| state.fill.is_some()).count() >= most {
            return Begin::No;
        }
        let fill = Arc::new(Fill::new(window));
        map.entry(key.clone()).or_default().fill = Some(Arc::clone(&fill));
        Begin::Run(Filling {
            keys: Arc::clone(self),
            key: key.clone(),
            fill,
        })
    }

    /// Begins a write: from now on readers ask the slow tier. Returns once no copy can become
    /// visible any more, and the readers of one that was given up have the rest.
    pub(super) async fn begin_write(self: &Arc<Self>, key: &Key) -> Writing {
        let (order, fill, commits) = {
            let mut map = self.map();
            let state = map.entry(key.clone()).or_default();
            state.writers += 1;
            state.written += 1;
            (state.written, state.fill.clone(), state.commits)
        };
        let writing = Writing {
            keys: Arc::clone(self),
            key: key.clone(),
            order,
        };
        if let Some(fill) = fill {
            if !commits {
                fill.cancel();
            }
            fill.ended().await;
        }
        writing
    }

    /// Gives up all fills.
    pub(super) fn cancel_fills(&self) {
        for state in self.map().values() {
            if let Some(fill) = &state.fill {
                fill.cancel();
            }
        }
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut KeyState)) {
        let mut map = self.map();
        if let Some(state) = map.get_mut(key) {
            change(state);
            if state.writers == 0 && state.fill.is_none() {
                map.remove(key);
            }
        }
    }
}

/// Whether a copy was begun.
pub(super) enum Begin {
    Run(Filling),
    Join(Arc<Fill>),
    No,
}

/// A copy that is being made; dropping it ends it.
pub(super) struct Filling {
    keys: Arc<Keys>,
    key: Key,
    fill: Arc<Fill>,
}

impl Filling {
    pub(super) fn fill(&self) -> &Arc<Fill> {
        &self.fill
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// Passes the point from which on the copy may become visible; `false` if it must not, since
    /// the key was written.
    pub(super) fn commit(&self) -> bool {
        let mut map = self.keys.map();
        match map.get_mut(&self.key) {
            Some(state) if state.writers == 0 && self.is_of(state) => {
                state.commits = true;
                true
            }
            _ => false,
        }
    }

    fn is_of(&self, state: &KeyState) -> bool {
        state
            .fill
            .as_ref()
            .is_some_and(|fill| Arc::ptr_eq(fill, &self.fill))
    }
}

impl Filling {
    /// Ends the copy. First of all it is forgotten: who comes from now on must not take its answer.
    pub(super) fn finish(&self, end: FillEnd) {
        self.keys.change(&self.key, |state| {
            if self.is_of(state) {
                state.fill = None;
                state.commits = false;
            }
        });
        self.fill.end(end);
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.finish(FillEnd::Failed);
    }
}

/// A write under way; readers come back when it is dropped.
pub(super) struct Writing {
    keys: Arc<Keys>,
    key: Key,
    order: u64,
}

impl Writing {
    /// Begins to make the copy of what was written, if no other writer was there meanwhile: whose
    /// object came last would not be known.
    pub(super) fn begin_copy(&self) -> Option<Filling> {
        let mut map = self.keys.map();
        let state = map.get_mut(&self.key)?;
        if state.writers != 1 || state.written != self.order || state.fill.is_some() {
            return None;
        }
        let fill = Arc::new(Fill::new(0));
        state.fill = Some(Arc::clone(&fill));
        state.commits = true;
        Some(Filling {
            keys: Arc::clone(&self.keys),
            key: self.key.clone(),
            fill,
        })
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.keys.change(&self.key, |state| state.writers -= 1);
    }
}
