//! Hashing beside the stream: pieces are handed over as they pass, and hashed on another thread.

use std::io;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use storehouse_objectstore::{Body, Error, Result};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::function::Hasher;
use crate::{Digest, HashFunction};

/// What is hashed on the spot, in bytes: at 1.8 GB/s it takes as long as the hop to another thread and back.
const INLINE: usize = 64 * 1024;

/// A piece so small is hashed on the spot whenever nothing before it waits: a body of single bytes must not become a queue of them.
const TINY: usize = 4 * 1024;

/// How much is gathered before another thread is bothered with it, in bytes.
const BATCH: usize = 256 * 1024;

/// How much may wait while a batch is hashed, in bytes, before the stream is held up. As much again may be in that batch.
const BACKLOG: usize = 2 * 1024 * 1024;

/// A hash being computed over pieces that are given in order.
///
/// At most one batch is hashed at a time; what comes meanwhile waits and makes up the next one. Dropping it leaves at most that one batch to
/// be hashed to no purpose.
pub(crate) struct Pipeline {
    state: State,
    waiting: Vec<Bytes>,
    /// What waits, in bytes, with no piece counted as less than [`TINY`].
    load: usize,
}

enum State {
    Idle(Hasher),
    Hashing(JoinHandle<Hasher>),
    /// The runtime shut down, or the hasher panicked, which it does not.
    Lost,
}

impl Pipeline {
    pub(crate) fn new(function: HashFunction) -> Self {
        Self { state: State::Idle(function.hasher()), waiting: Vec::new(), load: 0 }
    }

    /// Takes the next piece. Never waits; see [`Pipeline::room`].
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.harvest();
        match &mut self.state {
            State::Idle(hasher) if self.waiting.is_empty() && piece.len() <= TINY => hasher.update(&piece),
            _ => {
                self.load = self.load.saturating_add(piece.len().max(TINY));
                self.waiting.push(piece);
                self.start(BATCH);
            }
        }
    }

    /// Waits until no more than the allowed backlog is left.
    ///
    /// # Errors
    /// If the hash is lost.
    pub(crate) async fn room(&mut self) -> io::Result<()> {
        while self.load > BACKLOG {
            self.join().await?;
            self.start(BATCH);
        }
        Ok(())
    }

    /// Waits for the hash of all that was pushed.
    ///
    /// # Errors
    /// If the hash is lost.
    pub(crate) async fn finish(&mut self) -> io::Result<Digest> {
        loop {
            self.join().await?;
            if self.load > INLINE {
                self.start(INLINE);
                continue;
            }
            return match std::mem::replace(&mut self.state, State::Lost) {
                State::Idle(hasher) => Ok(hash(hasher, &std::mem::take(&mut self.waiting)).finish()),
                State::Hashing(_) | State::Lost => Err(lost()),
            };
        }
    }

    /// The digest of a whole body, and its size in bytes.
    pub(crate) async fn drain(mut self, mut body: Body) -> Result<(Digest, u64)> {
        let failed = |e: io::Error| Error::Body { key: None, source: e.into() };
        let mut size: u64 = 0;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            size = size.saturating_add(piece.len() as u64);
            self.push(piece);
            self.room().await.map_err(failed)?;
        }
        Ok((self.finish().await.map_err(failed)?, size))
    }

    /// Has all that waits hashed, if the hasher is free and at least `least` bytes wait.
    fn start(&mut self, least: usize) {
        if self.load < least {
            return;
        }
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Idle(hasher) => {
                let batch = std::mem::take(&mut self.waiting);
                self.load = 0;
                match Handle::try_current() {
                    Ok(runtime) => State::Hashing(runtime.spawn_blocking(move || hash(hasher, &batch))),
                    // Stores in memory work without a runtime. So do blobs in them.
                    Err(_) => State::Idle(hash(hasher, &batch)),
                }
            }
            busy => busy,
        };
    }

    /// Takes the hasher back if it is done.
    fn harvest(&mut self) {
        if let State::Hashing(task) = &mut self.state
            && let Some(done) = task.now_or_never()
        {
            self.state = done.map_or(State::Lost, State::Idle);
        }
    }

    /// Waits until the hasher is back.
    async fn join(&mut self) -> io::Result<()> {
        if let State::Hashing(task) = &mut self.state {
            self.state = task.await.map_or(State::Lost, State::Idle);
        }
        if matches!(self.state, State::Lost) { Err(lost()) } else { Ok(()) }
    }
}

fn hash(mut hasher: Hasher, pieces: &[Bytes]) -> Hasher {
    for piece in pieces {
        hasher.update(piece);
    }
    hasher
}

fn lost() -> io::Error {
    io::Error::other("hashing was cut short: the runtime is shutting down")
}
