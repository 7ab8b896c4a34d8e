//! The sizes that allocations give blobs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use futures_util::future::BoxFuture;
use storehouse::blobstore::{Digest, KnownSizes};
use storehouse::objectstore::ObjectStore;
use storehouse::objectstore::observe::LogLimit;
use storehouse::records::AllocationStore;
use storehouse::{Backend, Blobs, StoreName, Stores};
use tokio::sync::Semaphore;

use crate::error_chain::chain;

/// How long a verdict is not looked into again: of a size that may be the blob's, and of one that
/// is not.
const KEPT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(10));
/// The most verdicts that are kept.
const VERDICTS: usize = 16 * 1024;
/// Blobs that are hashed at once, because no allocation has their size.
const AT_ONCE: usize = 2;

/// Allocations that could not be read are logged once a second.
static UNREAD: LogLimit = LogLimit::new(Duration::from_secs(1));

/// Finds files that were cut short: those of a size that no allocation of the blob has. An
/// allocation may be wrong, too, so the bytes decide.
#[derive(Debug)]
pub(crate) struct AllocatedSizes {
    allocations: AllocationStore<Arc<dyn ObjectStore>>,
    /// The blobs as they are.
    blobs: Blobs,
    verdicts: Mutex<HashMap<Digest, Verdict>>,
    hashing: Semaphore,
}

#[derive(Clone, Copy, Debug)]
struct Verdict {
    size: u64,
    ruled_out: bool,
    until: Instant,
}

impl AllocatedSizes {
    /// For blobs that may lie in files, and where asking costs no request of a server. On S3 an
    /// object is whole or not there.
    pub(crate) fn of(stores: &Stores) -> Option<Arc<Self>> {
        let backend = |store| stores.backend_of(store);
        let asks = match backend(StoreName::Blobs) {
            Backend::Flatfs { .. } => true,
            Backend::Memory | Backend::S3 { .. } => false,
            _ => !matches!(backend(StoreName::Allocations), Backend::S3 { .. }),
        };
        asks.then(|| {
            Arc::new(Self {
                allocations: stores.records().allocations.clone(),
                blobs: stores.blobs().clone(),
                verdicts: Mutex::default(),
                hashing: Semaphore::new(AT_ONCE),
            })
        })
    }

    /// Forgets what was found of a blob: it was put, or allocated.
    pub(crate) fn forget(&self, digest: &Digest) {
        self.lock().remove(digest);
    }

    async fn judge(&self, digest: &Digest, size: u64) -> bool {
        if let Some(verdict) = self.kept(digest, size) {
            return verdict;
        }
        let suspicious = match self.no_allocation_has(digest, size).await {
            Ok(suspicious) => suspicious,
            Err(e) => {
                if let Some(more) = UNREAD.pass(Instant::now()) {
                    tracing::warn!(more, "the size of a blob is not compared: {}", chain(&e));
                }
                return false;
            }
        };
        let ruled_out = suspicious && self.is_damaged(digest, size).await;
        self.keep(digest, size, ruled_out);
        ruled_out
    }

    /// Whether there are allocations of the blob, all with another size.
    async fn no_allocation_has(
        &self,
        digest: &Digest,
        size: u64,
    ) -> Result<bool, storehouse::records::Error> {
        let mut allocations = self.allocations.list(Some(digest));
        let mut others = false;
        loop {
            match allocations.try_next().await {
                Ok(Some(allocation)) if allocation.blob.size == size => return Ok(false),
                Ok(Some(_)) => others = true,
                Ok(None) => return Ok(others),
                Err(e) if e.is_record() => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether the bytes are not the blob. Of a hash function that is not known the allocations
    /// decide.
    async fn is_damaged(&self, digest: &Digest, size: u64) -> bool {
        let _turn = self.hashing.acquire().await;
        // Another request may have found out meanwhile.
        if let Some(verdict) = self.kept(digest, size) {
            return verdict;
        }
        match self.blobs.verify(digest).await {
            Ok(()) => false,
            Err(e) if e.is_not_found() => false,
            Err(e) => {
                tracing::error!("a blob of {size} bytes is damaged: {}", chain(&e));
                true
            }
        }
    }

    fn kept(&self, digest: &Digest, size: u64) -> Option<bool> {
        let verdict = self.lock().get(digest).copied()?;
        (verdict.size == size && Instant::now() < verdict.until).then_some(verdict.ruled_out)
    }

    fn keep(&self, digest: &Digest, size: u64, ruled_out: bool) {
        let kept = if ruled_out { KEPT.1 } else { KEPT.0 };
        let verdict = Verdict {
            size,
            ruled_out,
            until: Instant::now() + kept,
        };
        let mut verdicts = self.lock();
        if verdicts.len() >= VERDICTS {
            verdicts.clear();
        }
        verdicts.insert(digest.clone(), verdict);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, Verdict>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KnownSizes for AllocatedSizes {
    fn rule_out<'a>(&'a self, digest: &'a Digest, size: u64) -> BoxFuture<'a, bool> {
        Box::pin(self.judge(digest, size))
    }
}
