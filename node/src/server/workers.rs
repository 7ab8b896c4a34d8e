//! The threads that connections are served on.

use std::future::pending;
use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// One thread for each processor, each with a runtime of its own. A connection stays on its thread:
/// waking another thread costs more than answering a small request.
///
/// They run as long as the process, because a store's queues may hold work of theirs.
#[derive(Debug)]
pub(crate) struct Workers {
    handles: Vec<Handle>,
    next: usize,
}

impl Workers {
    /// # Errors
    /// The system's, if it has no more threads or files.
    pub(crate) fn start() -> io::Result<Self> {
        let workers = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let handles = (0..workers).map(|worker| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            thread::Builder::new()
                .name(format!("worker-{worker}"))
                .spawn(move || runtime.block_on(pending::<()>()))?;
            Ok(handle)
        });
        Ok(Self {
            handles: handles.collect::<io::Result<_>>()?,
            next: 0,
        })
    }

    /// The worker of the next connection: each in turn.
    pub(crate) fn next(&mut self) -> &Handle {
        self.next = (self.next + 1) % self.handles.len();
        &self.handles[self.next]
    }
}
