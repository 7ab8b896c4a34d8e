//! Hashing beside the stream: pieces are handed over as they pass, and hashed on another thread.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use storehouse_objectstore::{Body, Error, Result};
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::digest::Digest;
use crate::function::{HashFunction, HashState};

/// What is hashed on the spot, in bytes: at 1.8 GB/s it takes as long as the hop to another thread
/// and back.
const INLINE: usize = 64 * 1024;

/// A piece so small is hashed on the spot whenever nothing before it waits: a body of single bytes
/// must not become a queue of them.
const TINY: usize = 4 * 1024;

/// How much is gathered before another thread is bothered with it, in bytes.
const BATCH: usize = 256 * 1024;

/// How much may wait while a batch is hashed, in bytes, before the stream is held up. As much again
/// may be in that batch.
const BACKLOG: usize = 2 * 1024 * 1024;

/// A hash being computed over pieces that are given in order.
///
/// One blocking thread at a time has the hasher, and keeps it as long as anything waits: the stream
/// need not be polled for the hash to go on. Dropping the hasher leaves at most one batch to be
/// hashed to no purpose.
pub(crate) struct StreamHasher(Arc<SharedHasher>);

struct SharedHasher {
    state: Mutex<HasherState>,
    /// A batch was taken, or the hasher came back.
    changed: Notify,
}

struct HasherState {
    /// `None` while a thread has it; until it is back, that thread also takes what waits.
    hasher: Option<HashState>,
    waiting: Vec<Bytes>,
    /// What waits, in bytes, with no piece counted as less than [`TINY`].
    load: usize,
    /// The hasher will not come back: the runtime is shutting down.
    lost: bool,
}

impl StreamHasher {
    pub(crate) fn new(function: HashFunction) -> Self {
        let state = HasherState {
            hasher: Some(function.hasher()),
            waiting: Vec::new(),
            load: 0,
            lost: false,
        };
        Self(Arc::new(SharedHasher {
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// Takes the next piece. Never waits; see [`StreamHasher::room`].
    pub(crate) fn push(&self, piece: Bytes) {
        let mut state = self.0.lock();
        let alone = state.waiting.is_empty();
        match &mut state.hasher {
            Some(hasher) if piece.len() <= TINY && alone => hasher.update(&piece),
            _ => {
                state.load = state.load.saturating_add(piece.len().max(TINY));
                state.waiting.push(piece);
                self.start(state, BATCH);
            }
        }
    }

    /// Waits until no more than the allowed backlog is left.
    ///
    /// # Errors
    /// If the hash is lost.
    pub(crate) async fn room(&self) -> io::Result<()> {
        while self.0.lock().whole()?.load > BACKLOG {
            self.0.changed.notified().await;
        }
        Ok(())
    }

    /// Waits for the hash of all that was pushed. Nothing may be pushed afterwards.
    ///
    /// # Errors
    /// If the hash is lost.
    pub(crate) async fn finish(&self) -> io::Result<Digest> {
        loop {
            if let Some(hasher) = self.finished()? {
                let (function, hash) = hasher.finish();
                return Ok(Digest::wrap(function, &hash));
            }
            self.0.changed.notified().await;
        }
    }

    /// The hasher, if it is back; a small rest is hashed on the spot, a large one handed over.
    fn finished(&self) -> io::Result<Option<HashState>> {
        let mut state = self.0.lock();
        if state.whole()?.load > INLINE {
            self.start(state, 0);
            return Ok(None);
        }
        let Some(mut hasher) = state.hasher.take() else {
            return Ok(None);
        };
        hasher.update_all(&state.take_waiting());
        Ok(Some(hasher))
    }

    /// The digest of a whole body, and its size in bytes.
    pub(crate) async fn drain(self, mut body: Body) -> Result<(Digest, u64)> {
        let failed = |e: io::Error| Error::Body {
            key: None,
            source: e.into(),
        };
        let mut size: u64 = 0;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            size = size.saturating_add(piece.len() as u64);
            self.push(piece);
            self.room().await.map_err(failed)?;
        }
        Ok((self.finish().await.map_err(failed)?, size))
    }

    /// Has all that waits hashed, if no thread is at it and at least `least` bytes wait.
    fn start(&self, mut state: MutexGuard<'_, HasherState>, least: usize) {
        if state.load < least {
            return;
        }
        let Some(hasher) = state.hasher.take() else {
            return;
        };
        let batch = state.take_waiting();
        drop(state);
        let work = Work {
            shared: Arc::clone(&self.0),
            hasher: Some(hasher),
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || work.run(batch))),
            // Stores in memory work without a runtime. So do blobs in them.
            Err(_) => work.run(batch),
        }
    }
}

impl Drop for StreamHasher {
    fn drop(&mut self) {
        self.0.lock().take_waiting();
    }
}

impl SharedHasher {
    fn lock(&self) -> MutexGuard<'_, HasherState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HasherState {
    fn whole(&self) -> io::Result<&Self> {
        if self.lost {
            Err(io::Error::other(
                "hashing was cut short: the runtime is shutting down",
            ))
        } else {
            Ok(self)
        }
    }

    fn take_waiting(&mut self) -> Vec<Bytes> {
        self.load = 0;
        std::mem::take(&mut self.waiting)
    }
}

/// What a blocking thread does. If it is dropped before it is done, as a runtime that shuts down
/// drops what it has not begun, it says so.
struct Work {
    shared: Arc<SharedHasher>,
    hasher: Option<HashState>,
}

impl Work {
    fn run(mut self, mut batch: Vec<Bytes>) {
        while let Some(hasher) = &mut self.hasher {
            hasher.update_all(&batch);
            let mut state = self.shared.lock();
            batch = state.take_waiting();
            if batch.is_empty() {
                state.hasher = self.hasher.take();
            }
            drop(state);
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.hasher.is_some() {
            self.shared.lock().lost = true;
            self.shared.changed.notify_one();
        }
    }
}
