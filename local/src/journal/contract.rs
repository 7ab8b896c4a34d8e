//! What a journal does.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use storehouse_formats::Cid;
use storehouse_objectstore::Body;
use tokio::sync::watch;

use super::options::Retention;
use super::types::{Appended, BatchInfo, Status};
#[allow(unused_imports, reason = "for the documentation")]
use crate::error::{Error, Result};

/// A journal of retrieval receipts.
///
/// The contract:
///
/// 1. Frames lie in the batch in the order in which their appends were called, as far as those did
///    not overlap.
/// 2. When `append` returns, the frame is as durable as the
///    [`SyncPolicy`](crate::journal::SyncPolicy) says. When it fails, the frame is not in the
///    journal (if the sync failed, a machine that crashes right then may bring it back). A dropped
///    append may or may not be.
/// 3. A batch that rotated is in `list` and, until it is acknowledged, in `pending`, after any
///    crash. Acknowledge only what was handed over.
/// 4. `gc` never removes a batch that is not acknowledged.
/// 5. After any error the journal goes on as soon as its cause (a full disk) is gone.
pub trait Journal: Debug + Send + Sync + 'static {
    /// Appends one receipt archive as a frame. The bytes are taken as they are;
    /// [`BatchReader`](crate::journal::BatchReader) checks them when they are read.
    ///
    /// # Errors
    /// [`Error::FrameSize`], [`Error::Io`] (the disk is full, the sync failed), [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// let first = journal.append(b"an archive".as_slice().into()).await?;
    /// let second = journal.append(b"another".as_slice().into()).await?;
    /// assert!(first.offset < second.offset);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>>;

    /// Makes every frame appended so far durable, whatever the policy.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// journal.sync().await?;
    /// assert_eq!(journal.status().await?.unsynced, 0);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn sync(&self) -> BoxFuture<'_, Result<()>>;

    /// Closes the open batch and begins another. `None` if the open batch has no frame: nothing is
    /// done then.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`]. The batch then stays open, or has rotated and is in
    /// `pending`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// assert_eq!(journal.force_rotate().await?, None);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// assert!(journal.force_rotate().await?.is_some());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>>;

    /// The rotated batches, oldest first (ties in the order of their CIDs).
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// let batch = journal.force_rotate().await?.expect("a frame was appended");
    /// assert_eq!(journal.list().await?[0].cid, batch);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// The rotated batches not acknowledged yet, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// journal.force_rotate().await?;
    /// for batch in journal.pending().await? {
    ///     // Hand it over, and then:
    ///     journal.acknowledge(&batch.cid).await?;
    /// }
    /// assert!(journal.pending().await?.is_empty());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// A rotated batch, as a stream of known size. Its hash is not checked on the way: its
    /// consumer, or [`BatchReader`](crate::journal::BatchReader), does.
    ///
    /// # Errors
    /// [`Error::BatchNotFound`], [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// let batch = journal.force_rotate().await?.expect("a frame was appended");
    /// let size = journal.get_batch(&batch).await?.size();
    /// assert_eq!(size, Some(journal.list().await?[0].size));
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>>;

    /// Says that the batch was handed over: it leaves `pending`, and `gc` may remove it. Durable
    /// when it returns; doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::BatchNotFound`], [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// let batch = journal.force_rotate().await?.expect("a frame was appended");
    /// journal.acknowledge(&batch).await?;
    /// assert!(journal.list().await?[0].acknowledged.is_some());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>>;

    /// Removes a rotated batch, acknowledged or not. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// let batch = journal.force_rotate().await?.expect("a frame was appended");
    /// journal.remove(&batch).await?;
    /// assert!(journal.list().await?.is_empty());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>>;

    /// Removes acknowledged batches as the policy says, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`]. What was removed before the error stays removed.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal, Retention};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// let batch = journal.force_rotate().await?.expect("a frame was appended");
    /// let everything = Retention::default().total_above(0);
    /// assert!(journal.gc(everything).await?.is_empty());
    /// journal.acknowledge(&batch).await?;
    /// assert_eq!(journal.gc(everything).await?[0].cid, batch);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// How the open batch stands.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none and none can be created, [`Error::Stopped`].
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// assert_eq!(journal.status().await?.frames, 1);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn status(&self) -> BoxFuture<'_, Result<Status>>;

    /// Waits for the calls that were made before, syncs, and gives the directory up, so that it can
    /// be opened again at once. Later calls fail with [`Error::Closed`]. Closing again does
    /// nothing. A journal that is dropped instead loses nothing either.
    ///
    /// # Errors
    /// [`Error::Io`] if the last sync fails, [`Error::Stopped`]. The journal is closed all the
    /// same.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// journal.close().await?;
    /// assert!(journal.status().await.is_err());
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn close(&self) -> BoxFuture<'_, Result<()>>;

    /// Counts rotations, by size and by force, since the journal was opened: wait for a change,
    /// then look at `pending`.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_local::journal::{Journal, MemoryJournal};
    ///
    /// let journal = MemoryJournal::new(100 << 20);
    /// let mut rotations = journal.rotations();
    /// journal.append(b"an archive".as_slice().into()).await?;
    /// journal.force_rotate().await?;
    /// rotations.changed().await.expect("the journal is open");
    /// assert_eq!(*rotations.borrow(), 1);
    /// # Ok::<(), storehouse_local::Error>(())
    /// # }).unwrap();
    /// ```
    fn rotations(&self) -> watch::Receiver<u64>;
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[deny(clippy::missing_trait_methods)]
        impl<J: Journal + ?Sized> Journal for $pointer<J> {
            fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>> {
                (**self).append(archive)
            }
            fn sync(&self) -> BoxFuture<'_, Result<()>> {
                (**self).sync()
            }
            fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>> {
                (**self).force_rotate()
            }
            fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
                (**self).list()
            }
            fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
                (**self).pending()
            }
            fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>> {
                (**self).get_batch(cid)
            }
            fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
                (**self).acknowledge(cid)
            }
            fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>> {
                (**self).remove(cid)
            }
            fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>> {
                (**self).gc(retention)
            }
            fn status(&self) -> BoxFuture<'_, Result<Status>> {
                (**self).status()
            }
            fn close(&self) -> BoxFuture<'_, Result<()>> {
                (**self).close()
            }
            fn rotations(&self) -> watch::Receiver<u64> {
                (**self).rotations()
            }
        }
    )*};
}

forward!(Arc, Box);
