//! Reading and writing blocks on disk.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{
    Body, Durability, Entry, Error, GetOptions, Key, ListOptions, Metadata, ObjectStore,
    PutOptions, Result,
};
use tokio::runtime::Handle;
use tokio::time::{Instant, timeout};

use super::format::{self, DiskId};
use super::index::{Found, Index};
use super::options::{CacheDiskOptions, CacheDiskStats};
pub(in crate::cache) use super::queue::Reserved;
use super::queue::{Job, Queue, Running};
use crate::cache::leases::{Leases, object_hash};

/// How many blocks are deleted at once.
const DELETES: usize = 8;

/// How many blocks are chosen at once to be deleted.
const VICTIMS: usize = 256;

/// One block of an object's version, by what it is called on disk.
pub(in crate::cache) struct DiskBlock {
    id: DiskId,
    header: Bytes,
    len: u64,
}

impl DiskBlock {
    pub(in crate::cache) fn new(key: &Key, metadata: &Metadata, index: u64, size: u64) -> Self {
        let header = format::header(key, metadata, index, size);
        let len = metadata.size.saturating_sub(index * size).min(size);
        Self {
            id: DiskId::new(key, &header),
            header,
            len,
        }
    }
}

#[derive(Default)]
struct Counts {
    hits: AtomicU64,
    misses: AtomicU64,
    timeouts: AtomicU64,
    damaged: AtomicU64,
    written: AtomicU64,
    removed: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(in crate::cache) struct CacheDisk {
    store: Arc<dyn ObjectStore>,
    options: CacheDiskOptions,
    leases: Leases,
    index: Mutex<Index>,
    /// All that was there before is in the index.
    complete: AtomicBool,
    queue: Arc<Queue>,
    counts: Counts,
    /// Until when the disk is not read.
    rests_until: Mutex<Option<Instant>>,
    /// When old blocks were last looked for.
    swept: Mutex<Option<Instant>>,
}

impl fmt::Debug for CacheDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheDisk")
            .field("store", &self.store)
            .field("options", &self.options)
            .field("blocks", &self.index().len())
            .finish_non_exhaustive()
    }
}

impl CacheDisk {
    pub(in crate::cache) fn new(
        store: Arc<dyn ObjectStore>,
        options: CacheDiskOptions,
        leases: &Leases,
    ) -> Arc<Self> {
        let disk = Arc::new(Self {
            store,
            options,
            leases: leases.clone(),
            index: Mutex::default(),
            complete: AtomicBool::new(false),
            queue: Arc::default(),
            counts: Counts::default(),
            rests_until: Mutex::default(),
            swept: Mutex::default(),
        });
        disk.work();
        disk
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any block of this object may be there.
    pub(in crate::cache) fn has_object(self: &Arc<Self>, key: &Key) -> bool {
        if !self.complete.load(Ordering::Relaxed) {
            self.work();
        }
        self.index().has_object(object_hash(key))
    }

    /// Whether the block may be there.
    pub(in crate::cache) fn may_have(&self, block: &DiskBlock) -> bool {
        self.index().is_live(&block.id)
    }

    /// Reads a block; `None` if it is not there, or the disk is slow, or fails.
    pub(in crate::cache) async fn get(self: &Arc<Self>, block: &DiskBlock) -> Option<Bytes> {
        let read = self.read(block).await;
        count(match read {
            Some(_) => &self.counts.hits,
            None => &self.counts.misses,
        });
        read
    }

    async fn read(self: &Arc<Self>, block: &DiskBlock) -> Option<Bytes> {
        let found = self.index().look_up(&block.id, self.options.max_age);
        match found {
            Found::Live => {}
            Found::Old => {
                self.remove(&block.id);
                return None;
            }
            Found::Not => return None,
        }
        // Outside of a runtime there are no timers.
        if self.rests() || Handle::try_current().is_err() {
            return None;
        }
        let key = Key::new(block.id.name()).ok()?;
        let size = format::stored_size(&block.header, block.len);
        let reading = async {
            let object = self.store.get_opts(&key, GetOptions::default()).await?;
            if object.metadata.size != size {
                return Ok(Bytes::new());
            }
            object.body.collect(size).await
        };
        match timeout(self.options.read_timeout, reading).await {
            Ok(Ok(stored)) => {
                let bytes = format::read(&block.header, block.len, &stored);
                if bytes.is_none() {
                    count(&self.counts.damaged);
                    self.remove(&block.id);
                }
                bytes
            }
            Ok(Err(error)) => {
                if error.is_not_found() {
                    self.index().remove(&block.id);
                } else {
                    count(&self.counts.failed);
                    self.remove(&block.id);
                }
                None
            }
            Err(_) => {
                count(&self.counts.timeouts);
                self.rest();
                None
            }
        }
    }

    fn rests_until(&self) -> MutexGuard<'_, Option<Instant>> {
        let until = self.rests_until.lock();
        until.unwrap_or_else(PoisonError::into_inner)
    }

    fn rest(&self) {
        *self.rests_until() = Instant::now().checked_add(self.options.pause);
    }

    fn rests(&self) -> bool {
        self.rests_until()
            .is_some_and(|until| Instant::now() < until)
    }

    /// Room for a block that is about to be written; `None` if there is none, or it is there.
    pub(in crate::cache) fn reserve(&self, block: &DiskBlock) -> Option<Reserved> {
        if self.may_have(block) {
            return None;
        }
        let most = self.options.queue_bytes;
        let reserved = self.queue.reserve(block.len, most);
        if reserved.is_none() {
            count(&self.counts.dropped);
        }
        reserved
    }

    /// Has a block written, off the caller's path.
    pub(in crate::cache) fn put(
        self: &Arc<Self>,
        block: DiskBlock,
        bytes: Bytes,
        reserved: Reserved,
    ) {
        self.queue.push(Job::Write {
            id: block.id,
            header: block.header,
            bytes,
            reserved,
        });
        self.work();
    }

    /// From now on the block is not read, and it is deleted soon.
    fn remove(self: &Arc<Self>, id: &DiskId) {
        self.index().kill(id);
        self.queue.push(Job::Remove(*id));
        self.work();
    }

    /// Runs the jobs in a task, unless one is at it or there is no runtime.
    fn work(self: &Arc<Self>) {
        if let Ok(runtime) = Handle::try_current()
            && let Some(running) = self.queue.begin()
        {
            runtime.spawn(Arc::clone(self).run(running));
        }
    }

    /// Waits until what is to be written is written or dropped.
    pub(in crate::cache) async fn flush(self: &Arc<Self>) {
        self.work();
        self.queue.rest().await;
    }

    pub(in crate::cache) async fn close(self: &Arc<Self>) -> Result<()> {
        if Handle::try_current().is_ok() {
            let _ = timeout(self.options.close_timeout, self.flush()).await;
        }
        self.queue.close();
        self.store.close().await
    }

    pub(in crate::cache) fn stats(&self) -> CacheDiskStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let index = self.index();
        CacheDiskStats {
            blocks: index.len(),
            bytes: index.bytes(),
            complete: self.complete.load(Ordering::Relaxed),
            hits: get(&self.counts.hits),
            misses: get(&self.counts.misses),
            timeouts: get(&self.counts.timeouts),
            damaged: get(&self.counts.damaged),
            written: get(&self.counts.written),
            removed: get(&self.counts.removed),
            dropped: get(&self.counts.dropped),
            failed: get(&self.counts.failed),
        }
    }

    async fn run(self: Arc<Self>, mut running: Running) {
        self.index().take_back_leaving();
        if !self.complete.load(Ordering::Relaxed) && !self.rests() {
            match self.list().await {
                Ok(()) => self.complete.store(true, Ordering::Relaxed),
                Err(_) => {
                    count(&self.counts.failed);
                    self.rest();
                }
            }
        }
        self.sweep().await;
        while let Some(job) = running.next() {
            match job {
                Job::Write {
                    id,
                    header,
                    bytes,
                    reserved,
                } => {
                    self.write(id, header, bytes).await;
                    drop(reserved);
                }
                Job::Remove(id) => {
                    self.delete(vec![id]).await;
                }
            }
        }
    }

    /// Learns which blocks are there.
    async fn list(&self) -> Result<()> {
        let (now, clock) = (Instant::now(), SystemTime::now());
        let mut entries = self.store.list(ListOptions::default());
        while let Some(Entry { key, metadata, .. }) = entries.try_next().await? {
            let Some(id) = DiskId::parse(key.as_str()) else {
                continue;
            };
            // A time to come is that of a clock that was set back.
            let age = metadata
                .last_modified
                .and_then(|time| clock.duration_since(time).ok())
                .unwrap_or_default();
            // Older than this machine's clock can say: it may have been up for less than that.
            let since = now.checked_sub(age);
            let mut index = self.index();
            if !index.has(&id) {
                index.insert(id, metadata.size, since.unwrap_or(now));
                if since.is_none() && age >= self.options.max_age {
                    index.kill(&id);
                }
            }
        }
        Ok(())
    }

    /// Deletes what is too old, and what has no room any more.
    async fn sweep(&self) {
        let every = self.options.max_age / 8;
        let is_due = |swept: &Option<Instant>| swept.is_none_or(|at| at.elapsed() >= every);
        {
            let mut swept = self.swept.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_due(&swept) {
                return;
            }
            *swept = Some(Instant::now());
        }
        loop {
            let old = self.index().take_old(self.options.max_age, VICTIMS);
            if old.is_empty() || !self.delete(old).await {
                break;
            }
        }
        self.make_room(0).await;
    }

    async fn write(&self, id: DiskId, header: Bytes, bytes: Bytes) {
        if self.index().is_live(&id) {
            return;
        }
        let size = format::stored_size(&header, bytes.len() as u64);
        let Ok(key) = Key::new(id.name()) else {
            return;
        };
        // Before all blocks are known there is no telling how much room there is.
        if !self.complete.load(Ordering::Relaxed) || !self.make_room(size).await {
            count(&self.counts.dropped);
            return;
        }
        let pieces = format::write(header, bytes).map(Ok::<_, Error>);
        let body = Body::from_stream(stream::iter(pieces)).with_size(size);
        let options = PutOptions::default().durability(Durability::Relaxed);
        match self.store.put_opts(&key, body, options).await {
            Ok(_) => {
                self.index().insert(id, size, Instant::now());
                count(&self.counts.written);
            }
            Err(error) => {
                count(&self.counts.failed);
                // It may be there all the same.
                {
                    let mut index = self.index();
                    index.insert(id, size, Instant::now());
                    index.kill(&id);
                }
                self.delete(vec![id]).await;
                if error.is_full() {
                    let (bytes, blocks) = {
                        let index = self.index();
                        (self.low(index.bytes()), index.len())
                    };
                    self.evict((bytes, blocks)).await;
                }
            }
        }
    }

    /// What stays of this much.
    fn low(&self, full: u64) -> u64 {
        let percent = u128::from(self.options.low_watermark.min(100));
        // At most what it was.
        (u128::from(full) * percent / 100) as u64
    }

    /// Whether there is room for one more block of this size; makes some, down to the low mark, if
    /// there is not.
    async fn make_room(&self, size: u64) -> bool {
        let one = usize::from(size > 0);
        let fits = || {
            let index = self.index();
            index.bytes().saturating_add(size) <= self.options.max_bytes
                && index.len().saturating_add(one) <= self.options.max_blocks
        };
        if fits() {
            return true;
        }
        let most = |low: u64, max: u64, more: u64| low.min(max.saturating_sub(more));
        let (max_bytes, max_blocks) = (self.options.max_bytes, self.options.max_blocks as u64);
        let bytes = most(self.low(max_bytes), max_bytes, size);
        let blocks = most(self.low(max_blocks), max_blocks, one as u64);
        self.evict((bytes, usize::try_from(blocks).unwrap_or(usize::MAX)))
            .await;
        fits()
    }

    async fn evict(&self, left: (u64, usize)) {
        loop {
            // Before any lease is looked up.
            let released = self.leases.released();
            let is_leased = |object| self.leases.has_hash(object);
            let victims = self
                .index()
                .take_victims(left, VICTIMS, released, is_leased);
            if victims.is_empty() || !self.delete(victims).await {
                return;
            }
        }
    }

    /// Deletes blocks; whether all are gone. The others count, and are tried again later.
    async fn delete(&self, ids: Vec<DiskId>) -> bool {
        let gone = stream::iter(ids)
            .map(|id| async move {
                let Ok(key) = Key::new(id.name()) else {
                    return true;
                };
                let gone = self.store.delete(&key).await.is_ok();
                let mut index = self.index();
                if gone {
                    index.remove(&id);
                    count(&self.counts.removed);
                } else {
                    index.kill(&id);
                    count(&self.counts.failed);
                }
                gone
            })
            .buffer_unordered(DELETES);
        gone.fold(true, |all, gone| async move { all && gone })
            .await
    }
}
