//! The threads that connections are served on.

use std::future::pending;
use std::io;
use std::num::NonZeroUsize;
use std::thread;

use tokio::runtime::{Builder, Handle};

/// One thread for each processor, each with a runtime of its own. A connection stays where it was
/// put: no thread wakes another one for it, nor takes its work over, which costs more than
/// answering a small request does.
///
/// They run as long as the process: what a request leaves behind in a store's queues is finished
/// there.
pub(crate) struct Lanes {
    handles: Vec<Handle>,
    next: usize,
}

impl Lanes {
    /// # Errors
    /// The system's, if it has no more threads or files.
    pub(crate) fn start() -> io::Result<Self> {
        let lanes = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let handles = (0..lanes).map(|lane| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            thread::Builder::new()
                .name(format!("lane-{lane}"))
                .spawn(move || runtime.block_on(pending::<()>()))?;
            Ok(handle)
        });
        Ok(Self {
            handles: handles.collect::<io::Result<_>>()?,
            next: 0,
        })
    }

    /// Where the next connection goes: each in turn.
    pub(crate) fn next(&mut self) -> &Handle {
        self.next = (self.next + 1) % self.handles.len();
        &self.handles[self.next]
    }
}
