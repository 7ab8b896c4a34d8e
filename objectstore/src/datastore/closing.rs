//! Stores of this process that are closing in the background: whoever opens such a directory again
//! waits for them instead of being refused.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError, Weak};

use super::Core;

static CLOSING: Mutex<Vec<(PathBuf, Weak<Core>)>> = Mutex::new(Vec::new());

/// The last handle of the store at `path` is gone; its threads end by themselves.
pub(super) fn began(path: &Path, core: Weak<Core>) {
    // Of a directory that was removed nobody asks again.
    let Ok(path) = path.canonicalize() else {
        return;
    };
    let mut closing = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    closing.retain(|(_, core)| is_locked(core));
    closing.push((path, core));
}

/// Whether the directory's lock is held by a store that will give it up soon.
pub(super) fn is_under_way(path: &Path) -> bool {
    let Ok(path) = path.canonicalize() else {
        return false;
    };
    let closing = CLOSING.lock().unwrap_or_else(PoisonError::into_inner);
    closing
        .iter()
        .any(|(closing, core)| *closing == path && is_locked(core))
}

fn is_locked(core: &Weak<Core>) -> bool {
    core.upgrade().is_some_and(|core| core.is_locked())
}
