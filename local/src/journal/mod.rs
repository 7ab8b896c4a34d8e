//! The retrieval journal: receipt archives appended to an open batch, which rotates into files
//! named by their hash.
//!
//! A batch is a CAR without roots, with one block (a *frame*) a receipt: the receipt's own archive
//! under its CID. [`FsJournal`] keeps batches in a directory as Piri does (`egress.car.wip`,
//! `egress.{cid}.car`), and opens what Piri left there; [`MemoryJournal`] keeps them in memory.
//! [`Rotator`] rotates, hands batches over and collects garbage by the clock; [`BatchReader`] reads
//! a batch receipt by receipt.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let archive = include_bytes!("../../tests/vectors/receipt-archive/000.car").as_slice();
//! use storehouse_local::journal::{BatchReader, FsJournal, Journal, JournalOptions};
//!
//! let journal = FsJournal::open(dir.path(), JournalOptions::default()).await?;
//! journal.append(archive.into()).await?;
//! let batch = journal.force_rotate().await?.expect("a frame was appended");
//!
//! assert_eq!(journal.pending().await?[0].cid, batch);
//! let bytes = journal.get_batch(&batch).await?.collect(1 << 20).await?;
//! for receipt in BatchReader::new(&bytes[..])? {
//!     println!("{}", receipt?.receipt()?);
//! }
//! journal.acknowledge(&batch).await?;
//! assert!(journal.pending().await?.is_empty());
//! # Ok(())
//! # }
//! ```

mod directory;
mod fs;
mod memory;
mod names;
#[cfg(feature = "observe")]
mod observed;
mod open_batch;
mod options;
mod queue;
mod reader;
mod receipt;
mod rotator;
mod scan;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use ipld_core::cid::Cid;
use storehouse_objectstore::Body;
use tokio::sync::watch;

pub use fs::FsJournal;
pub use memory::MemoryJournal;
#[cfg(feature = "observe")]
pub use observed::ObservedJournal;
#[cfg(feature = "observe")]
pub(crate) use observed::note;
pub use options::{JournalOptions, Retention, SyncPolicy};
pub use reader::{BatchReader, Frame};
pub use receipt::{Outcome, Receipt};
pub use rotator::{Handled, Rotator, RotatorOptions};
pub use scan::{Recovery, SetAside};

use crate::{Error, Result};

/// The most that a frame's archive may hold, in bytes (inclusive): the block that a strict reader
/// takes (32 MiB) less its CID.
pub const MAX_ARCHIVE: usize = (32 << 20) - names::FRAME_CID;

/// A journal of retrieval receipts.
///
/// The contract:
///
/// 1. Frames lie in the batch in the order in which their appends were called, as far as those did
///    not overlap.
/// 2. When `append` returns, the frame is as durable as the [`SyncPolicy`] says. When it fails, the
///    frame is not in the journal (if the sync failed, a machine that crashes right then may bring
///    it back). A dropped append may or may not be.
/// 3. A batch that rotated is in `list` and, until it is acknowledged, in `pending`, after any
///    crash. Acknowledge only what was handed over.
/// 4. `gc` never removes a batch that is not acknowledged.
/// 5. After any error the journal goes on as soon as its cause (a full disk) is gone.
pub trait Journal: Debug + Send + Sync + 'static {
    /// Appends one receipt archive as a frame. The bytes are taken as they are; [`BatchReader`]
    /// checks them when they are read.
    ///
    /// # Errors
    /// [`Error::FrameSize`], [`Error::Io`] (the disk is full, the sync failed), [`Error::Stopped`].
    fn append(&self, archive: Bytes) -> BoxFuture<'_, Result<Appended>>;

    /// Makes every frame appended so far durable, whatever the policy.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    fn sync(&self) -> BoxFuture<'_, Result<()>>;

    /// Closes the open batch and begins another. `None` if the open batch has no frame: nothing is
    /// done then.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`]. The batch then stays open, or has rotated and is in
    /// `pending`.
    fn force_rotate(&self) -> BoxFuture<'_, Result<Option<Cid>>>;

    /// The rotated batches, oldest first (ties in the order of their CIDs).
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    fn list(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// The rotated batches not acknowledged yet, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    fn pending(&self) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// A rotated batch, as a stream of known size. Its hash is not checked on the way: its
    /// consumer, or [`BatchReader`], does.
    ///
    /// # Errors
    /// [`Error::BatchNotFound`], [`Error::Io`], [`Error::Stopped`].
    fn get_batch<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<Body>>;

    /// Says that the batch was handed over: it leaves `pending`, and `gc` may remove it. Durable
    /// when it returns; doing it again changes nothing.
    ///
    /// # Errors
    /// [`Error::BatchNotFound`], [`Error::Io`], [`Error::Stopped`].
    fn acknowledge<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>>;

    /// Removes a rotated batch, acknowledged or not. A missing one is ok.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`].
    fn remove<'a>(&'a self, cid: &'a Cid) -> BoxFuture<'a, Result<()>>;

    /// Removes acknowledged batches as the policy says, oldest first.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Stopped`]. What was removed before the error stays removed.
    fn gc(&self, retention: Retention) -> BoxFuture<'_, Result<Vec<BatchInfo>>>;

    /// How the open batch stands.
    ///
    /// # Errors
    /// [`Error::Io`] if there is none and none can be created, [`Error::Stopped`].
    fn status(&self) -> BoxFuture<'_, Result<Status>>;

    /// Counts rotations, by size and by force, since the journal was opened: wait for a change,
    /// then look at `pending`.
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
            fn rotations(&self) -> watch::Receiver<u64> {
                (**self).rotations()
            }
        }
    )*};
}

forward!(Arc, Box);

/// What an append did.
#[derive(Clone, Debug)]
pub struct Appended {
    /// The CID of the archive, under which the frame holds it.
    pub archive: Cid,
    /// Where the frame begins in its batch, in bytes.
    pub offset: u64,
    /// The batch that this frame filled and closed, if it did.
    pub rotated: Option<Cid>,
    /// Why the rotation that was due after this frame failed. The frame itself is in the journal,
    /// and the next append tries the rotation again.
    pub rotation_error: Option<Error>,
}

/// A rotated batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchInfo {
    /// The CID of the whole batch as a file.
    pub cid: Cid,
    /// Its size, in bytes.
    pub size: u64,
    /// When it rotated: the file's time of modification.
    pub rotated: SystemTime,
    /// When it was acknowledged, if it was.
    pub acknowledged: Option<SystemTime>,
}

/// How the open batch stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its size, header included, in bytes.
    pub size: u64,
    /// The number of frames.
    pub frames: u64,
    /// How many of its bytes a crash of the machine might take.
    pub unsynced: u64,
    /// When it was begun; for one found at opening the file's time of creation, or of its last
    /// change where the file system keeps no such time.
    pub since: SystemTime,
    /// The error of the last sync or rotation that nobody waited for, until one succeeds.
    pub background_error: Option<Error>,
}
