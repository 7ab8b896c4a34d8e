//! What a write under way holds.

use std::sync::Arc;

use storehouse_engine::DirLock;
use storehouse_objectstore::RunningOperation;

/// Keeps the directory's lock, and a close waiting, until a write is done, also where it goes on
/// after its caller has dropped it.
#[derive(Debug)]
pub(super) struct Running {
    // Dropped first: a close that is over must find the lock free.
    _lock: Arc<DirLock>,
    _operation: RunningOperation,
}

impl Running {
    pub(super) fn new(lock: Arc<DirLock>, operation: RunningOperation) -> Self {
        Self {
            _lock: lock,
            _operation: operation,
        }
    }
}
