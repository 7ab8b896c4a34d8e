//! The journal in a directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use storehouse_engine::blocking;
use storehouse_formats::Cid;
use storehouse_objectstore::Body;
use tokio::sync::watch;

use super::contract::Journal;
use super::directory::Directory;
use super::names::{self, MAX_ARCHIVE};
use super::options::{JournalOptions, Retention};
use super::queue::Queue;
use super::recovery::{LatestRecovery, Recovery};
use super::types::{Appended, BatchInfo, Status};
use crate::error::{Error, IoContext, Result};

/// A [`Journal`] in a directory, in Piri's files. Clones are handles on the same journal.
///
/// All work on files happens on blocking threads, with one exception: dropping the last handle
/// syncs what is not synced yet, where it is dropped (call [`Journal::sync`] before, and there is
/// nothing left to do). The directory is free then for the next to open it, or, under
/// [`SyncPolicy::Interval`](super::SyncPolicy::Interval), as soon as a sync by the clock that is
/// just going on is done.
#[derive(Clone, Debug)]
pub struct FsJournal {
    path: Arc<Path>,
    queue: Arc<Queue>,
    recovery: LatestRecovery,
}

impl FsJournal {
    /// Opens the journal in `path`; creates the directory if it is not there.
    ///
    /// The open batch is read from its start. A torn tail is cut off. A damaged batch is set aside,
    /// and a new one has all of its frames whose hash is right. [`FsJournal::recovery`] reports
    /// both; neither is an error. Nor is a full disk: rotated batches can be read and removed then,
    /// and appends fail until there is space.
    ///
    /// # Errors
    /// [`Error::InUse`] if another process or handle has it open, [`Error::Io`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse_local::journal::{FsJournal, Journal, JournalOptions};
    ///
    /// let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
    /// assert_eq!(journal.status().await?.size, 18, "the header");
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn open(path: impl Into<PathBuf>, options: JournalOptions) -> Result<Self> {
        let path = path.into();
        let dir: Arc<Path> = path.as_path().into();
        let recovery = LatestRecovery::default();
        let latest = recovery.clone();
        let directory = blocking(move || Directory::open(&path, options, latest)).await??;
        Ok(Self {
            path: dir,
            queue: Queue::new(directory),
            recovery,
        })
    }

    /// What opening found wrong, and did about it. On a disk that was full then, it is known once
    /// there was space.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse_local::journal::{FsJournal, JournalOptions};
    ///
    /// // A crash in the middle of a write left the beginning of a frame.
    /// std::fs::write(dir.path().join("egress.car.wip"), b"\x11\xa2eroots\x80gversion\x01\x99").unwrap();
    /// let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
    /// assert_eq!(journal.recovery().torn, 1);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn recovery(&self) -> Arc<Recovery> {
        self.recovery.get()
    }

    /// The journal's directory.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse_local::journal::{FsJournal, JournalOptions};
    ///
    /// let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
    /// assert_eq!(journal.path(), dir.path());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends one receipt archive: [`Journal::append`] without a box.
    ///
    /// # Errors
    /// Those of [`Journal::append`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// use storehouse_local::journal::{FsJournal, JournalOptions};
    ///
    /// let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
    /// let appended = journal.append(b"an archive".as_slice().into()).await?;
    /// assert_eq!(appended.offset, 18);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn append(&self, archive: Bytes) -> Result<Appended> {
        if archive.is_empty() || archive.len() > MAX_ARCHIVE {
            return Err(Error::FrameSize {
                size: archive.len(),
                limit: MAX_ARCHIVE,
            });
        }
        self.queue.append(archive).await
    }

    async fn body(&self, cid: Cid) -> Result<Body> {
        if self.queue.is_closed() {
            return Err(Error::Closed);
        }
        if !names::is_car(&cid) {
            return Err(Error::BatchNotFound { cid });
        }
        let path = self.path.join(names::batch(&cid));
        let source = path.clone();
        let file = blocking(move || match std::fs::File::open(&source) {
            Ok(file) => Ok(file),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Err(Error::BatchNotFound { cid }),
            Err(e) => Err(e).context("open", &source),
        })
        .await??;
        Body::from_file(file)
            .map_err(std::io::Error::other)
            .context("open", &path)
    }
}

impl Journal for FsJournal {
    fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>> {
        Box::pin(self.append(archive))
    }

    fn sync(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.queue.run(Directory::sync))
    }

    fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>> {
        Box::pin(self.queue.run(Directory::rotate))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(self.queue.run(Directory::list))
    }

    fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(async {
            let mut batches = self.list().await?;
            batches.retain(|batch| batch.acknowledged.is_none());
            Ok(batches)
        })
    }

    fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>> {
        Box::pin(self.body(cid.clone()))
    }

    fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        let cid = cid.clone();
        Box::pin(self.queue.run(move |directory| directory.acknowledge(&cid)))
    }

    fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
        let cid = cid.clone();
        Box::pin(self.queue.run(move |directory| directory.remove(&cid)))
    }

    fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
        Box::pin(self.queue.run(move |directory| directory.gc(retention)))
    }

    fn status(&self) -> BoxFuture<'_, Result<Status>> {
        Box::pin(self.queue.run(Directory::status))
    }

    fn close(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.queue.close())
    }

    fn rotations(&self) -> watch::Receiver<u64> {
        self.queue.rotations()
    }
}
