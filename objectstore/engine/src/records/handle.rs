//! What closes a store when its last user is gone.

use std::sync::Arc;

use super::core::Core;
use super::engine::Engine;
use super::writer::Writer;
use crate::CommitQueue;

/// Closes the store when it is dropped.
pub(super) struct Handle<E: Engine> {
    pub(super) core: Arc<Core<E>>,
    pub(super) queue: CommitQueue<Writer<E>>,
}

impl<E: Engine> Drop for Handle<E> {
    fn drop(&mut self) {
        self.core.closing();
        let core = Arc::clone(&self.core);
        let close = move || drop(core.close());
        // Closing may wait for the disk, which an async thread must not.
        let thread = std::thread::Builder::new().name("storehouse-close".to_owned());
        if thread.spawn(close).is_err() {
            drop(self.core.close());
        }
    }
}
