//! What a journal tells of its batches.

use std::sync::Arc;
use std::time::SystemTime;

use storehouse_formats::Cid;

use super::recovery::Recovery;
use crate::error::Error;

/// What an append did.
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl Appended {
    /// An append that did not rotate the batch.
    ///
    /// ```
    /// use storehouse_formats::car::dag_cbor_cid_of;
    /// use storehouse_local::journal::Appended;
    ///
    /// let appended = Appended::new(dag_cbor_cid_of(b"receipt"), 18);
    /// assert!(appended.rotated.is_none());
    /// ```
    #[must_use]
    pub fn new(archive: Cid, offset: u64) -> Self {
        Self {
            archive,
            offset,
            rotated: None,
            rotation_error: None,
        }
    }
}

/// A rotated batch.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl BatchInfo {
    /// A batch that was not acknowledged.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use storehouse_formats::car::dag_cbor_cid_of;
    /// use storehouse_local::journal::BatchInfo;
    ///
    /// let batch = BatchInfo::new(dag_cbor_cid_of(b"batch"), 1000, SystemTime::now());
    /// assert!(batch.acknowledged.is_none());
    /// ```
    #[must_use]
    pub fn new(cid: Cid, size: u64, rotated: SystemTime) -> Self {
        Self {
            cid,
            size,
            rotated,
            acknowledged: None,
        }
    }
}

/// The state of the open batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its size, header included, in bytes.
    pub size: u64,
    /// The number of frames.
    pub frames: u64,
    /// The number of its bytes that a crash of the machine might take.
    pub unsynced: u64,
    /// When it was begun; for one found at opening the file's time of creation, or of its last
    /// change where the file system keeps no such time.
    pub since: SystemTime,
    /// The error of the last sync or rotation that no caller waited for, until one succeeds.
    pub background_error: Option<Error>,
    /// What opening found wrong, and did about it.
    pub recovery: Arc<Recovery>,
}

impl Status {
    /// A batch of which everything is synced, and with which nothing was ever wrong.
    ///
    /// ```
    /// use std::time::SystemTime;
    /// use storehouse_local::journal::Status;
    ///
    /// let status = Status::new(18, 0, SystemTime::now());
    /// assert!(status.recovery.is_clean() && status.background_error.is_none());
    /// ```
    #[must_use]
    pub fn new(size: u64, frames: u64, since: SystemTime) -> Self {
        Self {
            size,
            frames,
            unsynced: 0,
            since,
            background_error: None,
            recovery: Arc::default(),
        }
    }
}
