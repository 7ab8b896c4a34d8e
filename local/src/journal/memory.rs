//! The journal in memory.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use sha2::{Digest, Sha256};
use storehouse_formats::Cid;
use storehouse_objectstore::Body;
use tokio::sync::watch;

use super::contract::Journal;
use super::names::{self, MAX_ARCHIVE};
use super::options::Retention;
use super::types::{Appended, BatchInfo, Status};
use crate::error::{Error, Result};

/// A [`Journal`] in memory, for tests and for nodes that keep nothing: what is not handed over is
/// lost with the process. Clones are handles on the same journal.
#[derive(Clone, Debug)]
pub struct MemoryJournal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<MemoryState>,
    rotate_at: u64,
    rotations: watch::Sender<u64>,
}

#[derive(Debug)]
struct MemoryState {
    open: Vec<u8>,
    frames: u64,
    since: SystemTime,
    /// Oldest first.
    batches: Vec<(BatchInfo, Bytes)>,
    closed: bool,
}

impl MemoryJournal {
    /// An empty journal. An append that brings the open batch to `rotate_at` bytes or past it
    /// rotates it.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(1);
    /// let appended = journal.append(b"an archive".as_slice().into()).await?;
    /// assert!(appended.rotated.is_some());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn new(rotate_at: u64) -> Self {
        let state = MemoryState {
            open: names::HEADER.to_vec(),
            frames: 0,
            since: SystemTime::now(),
            batches: Vec::new(),
            closed: false,
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            rotate_at,
            rotations: watch::Sender::new(0),
        }))
    }

    fn lock(&self) -> Result<MutexGuard<'_, MemoryState>> {
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            Err(Error::Closed)
        } else {
            Ok(state)
        }
    }

    fn append_now(&self, archive: &[u8]) -> Result<Appended> {
        if archive.is_empty() || archive.len() > MAX_ARCHIVE {
            return Err(Error::FrameSize {
                size: archive.len(),
                limit: MAX_ARCHIVE,
            });
        }
        let sha256: [u8; 32] = Sha256::digest(archive).into();
        let mut state = self.lock()?;
        let offset = state.open.len() as u64;
        state.open.extend_from_slice(&names::frame(sha256, archive));
        state.frames += 1;
        let rotated = if state.open.len() as u64 >= self.0.rotate_at {
            self.rotate(&mut state)
        } else {
            None
        };
        Ok(Appended {
            archive: names::cid(sha256),
            offset,
            rotated,
            rotation_error: None,
        })
    }

    fn rotate(&self, state: &mut MemoryState) -> Option<Cid> {
        if state.frames == 0 {
            return None;
        }
        let bytes = Bytes::from(std::mem::replace(&mut state.open, names::HEADER.to_vec()));
        let cid = names::cid(Sha256::digest(&bytes).into());
        (state.frames, state.since) = (0, SystemTime::now());
        state.batches.retain(|(batch, _)| batch.cid != cid);
        state.batches.push((
            BatchInfo {
                cid: cid.clone(),
                size: bytes.len() as u64,
                rotated: state.since,
                acknowledged: None,
            },
            bytes,
        ));
        self.0.rotations.send_modify(|count| *count += 1);
        Some(cid)
    }
}

impl Journal for MemoryJournal {
    fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>> {
        Box::pin(async move { self.append_now(&archive) })
    }

    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async { self.lock().map(|_| ()) })
    }

    fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>> {
        Box::pin(async { Ok(self.rotate(&mut *self.lock()?)) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(async {
            Ok(self
                .lock()?
                .batches
                .iter()
                .map(|(batch, _)| batch.clone())
                .collect())
        })
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(async {
            let mut batches = self.list().await?;
            batches.retain(|batch| batch.acknowledged.is_none());
            Ok(batches)
        })
    }

    fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>> {
        Box::pin(async {
            let state = self.lock()?;
            let batch = state.batches.iter().find(|(batch, _)| batch.cid == *cid);
            batch
                .map(|(_, bytes)| bytes.clone().into())
                .ok_or(Error::BatchNotFound { cid: cid.clone() })
        })
    }

    fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            let mut state = self.lock()?;
            let batch = state
                .batches
                .iter_mut()
                .find(|(batch, _)| batch.cid == *cid);
            let (batch, _) = batch.ok_or(Error::BatchNotFound { cid: cid.clone() })?;
            batch.acknowledged.get_or_insert_with(SystemTime::now);
            Ok(())
        })
    }

    fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        Box::pin(async {
            self.lock()?.batches.retain(|(batch, _)| batch.cid != *cid);
            Ok(())
        })
    }

    fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(async move {
            let mut state = self.lock()?;
            let removed = retention.select(
                state
                    .batches
                    .iter()
                    .map(|(batch, _)| batch.clone())
                    .collect(),
                SystemTime::now(),
            );
            state.batches.retain(|(batch, _)| !removed.contains(batch));
            Ok(removed)
        })
    }

    fn status(&self) -> BoxFuture<'_, Result<Status>> {
        Box::pin(async {
            let state = self.lock()?;
            let size = state.open.len() as u64;
            Ok(Status::new(size, state.frames, state.since))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            if let Ok(mut state) = self.lock() {
                state.closed = true;
            }
            Ok(())
        })
    }

    fn rotations(&self) -> watch::Receiver<u64> {
        self.0.rotations.subscribe()
    }
}
