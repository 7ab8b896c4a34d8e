//! What a journal tells of its batches.

use std::sync::Arc;
use std::time::SystemTime;

use ipld_core::cid::Cid;

use super::recovery::Recovery;
use crate::error::Error;

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
    /// The error of the last sync or rotation that no caller waited for, until one succeeds.
    pub background_error: Option<Error>,
    /// What opening found wrong, and did about it.
    pub recovery: Arc<Recovery>,
}
