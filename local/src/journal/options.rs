//! How a journal is opened and kept.

use std::time::{Duration, SystemTime};

use super::types::BatchInfo;

/// When appended frames are made durable.
///
/// | policy | what a crash of the process takes | what a crash of the machine takes |
/// |---|---|---|
/// | `EveryAppend` | nothing that was acknowledged | nothing that was acknowledged |
/// | `Interval` | nothing that was acknowledged | what was appended since the last sync: at most `bytes`, and no older than `time` |
/// | `OnRotation` | nothing that was acknowledged | up to the whole open batch |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Before `append` returns. Appends that wait together share one sync.
    #[default]
    EveryAppend,
    /// As soon as this much is unsynced, or the oldest unsynced frame is this old. Needs a runtime
    /// with its timer enabled.
    Interval {
        /// Unsynced bytes (inclusive).
        bytes: u64,
        /// Age of the oldest unsynced frame.
        time: Duration,
    },
    /// Before a batch is renamed, and when asked to.
    OnRotation,
}

/// How a journal is opened.
///
/// ```
/// use storehouse_local::journal::{JournalOptions, SyncPolicy};
///
/// let options = JournalOptions::default().rotate_at(1 << 20).sync(SyncPolicy::OnRotation);
/// assert_eq!(options.rotate_at, 1_048_576);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JournalOptions {
    /// An append that brings the open batch to this size or past it rotates it, in bytes. Default:
    /// 100 MiB.
    pub rotate_at: u64,
    /// When frames are made durable. Default: before every append returns.
    pub sync: SyncPolicy,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            rotate_at: 100 << 20,
            sync: SyncPolicy::default(),
        }
    }
}

impl JournalOptions {
    /// With batches that rotate at this size, in bytes.
    #[must_use]
    pub fn rotate_at(mut self, bytes: u64) -> Self {
        self.rotate_at = bytes;
        self
    }

    /// With this policy of syncing.
    #[must_use]
    pub fn sync(mut self, policy: SyncPolicy) -> Self {
        self.sync = policy;
        self
    }
}

/// Which acknowledged batches `gc` removes. A batch that is not acknowledged stays, whatever its
/// age and whatever the total. The default removes nothing.
///
/// ```
/// use std::time::Duration;
/// use storehouse_local::journal::Retention;
///
/// let week = Retention::default().older_than(Duration::from_secs(7 * 24 * 3600));
/// assert_eq!(week.total_above(1 << 30).total_above, Some(1 << 30));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Retention {
    /// Remove what was acknowledged this long ago or longer.
    pub older_than: Option<Duration>,
    /// While the rotated batches, acknowledged or not, come to more than this many bytes, remove
    /// the oldest acknowledged one.
    pub total_above: Option<u64>,
}

impl Retention {
    /// Removing what was acknowledged this long ago or longer.
    #[must_use]
    pub fn older_than(mut self, age: Duration) -> Self {
        self.older_than = Some(age);
        self
    }

    /// Removing while the rotated batches come to more than this many bytes.
    #[must_use]
    pub fn total_above(mut self, bytes: u64) -> Self {
        self.total_above = Some(bytes);
        self
    }

    /// What to remove of `batches`, which are all rotated ones, oldest first.
    pub(super) fn select(self, batches: Vec<BatchInfo>, now: SystemTime) -> Vec<BatchInfo> {
        let mut total: u64 = batches.iter().map(|batch| batch.size).sum();
        let mut removed = Vec::new();
        for batch in batches {
            let Some(acknowledged) = batch.acknowledged else {
                continue;
            };
            let age = now.duration_since(acknowledged).unwrap_or_default();
            if self.older_than.is_some_and(|limit| age >= limit)
                || self.total_above.is_some_and(|limit| total > limit)
            {
                total -= batch.size;
                removed.push(batch);
            }
        }
        removed
    }
}
