//! What all handles and threads of a store share.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::cache::Cache;
use super::compact::Compactor;
use super::disk::Disk;
use super::fault::Damage;
use super::flush::Flusher;
use super::log::Log;
use super::manifest::Manifest;
use super::memory::Memory;
use super::queue::Queue;
use super::{DatastoreOptions, Fault};

/// An open store.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) options: DatastoreOptions,
    pub(super) id: u64,
    pub(super) queue: Queue,
    pub(super) flusher: Flusher,
    pub(super) compactor: Compactor,
    pub(super) cache: Cache,
    /// What was damaged when the store was opened with option `salvage`.
    pub(super) salvaged: Vec<Damage>,
    memory: RwLock<Memory>,
    manifest: Mutex<Manifest>,
    /// The current log's number and how far it is synced.
    log: Mutex<(u64, u64)>,
    lock: Mutex<Option<File>>,
}

// Nothing panics while it holds one of the locks, and what they guard is whole between any two
// statements: poison says nothing here.
impl Core {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        options: DatastoreOptions,
        lock: Option<File>,
        manifest: Manifest,
        memory: Memory,
        salvaged: Vec<Damage>,
    ) -> Self {
        Self {
            disk,
            id: manifest.id,
            queue: Queue::default(),
            flusher: Flusher::default(),
            compactor: Compactor::default(),
            cache: Cache::new(options.cache),
            salvaged,
            memory: RwLock::new(memory),
            manifest: Mutex::new(manifest),
            log: Mutex::default(),
            lock: Mutex::new(lock),
            options,
        }
    }

    pub(super) fn memory(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn memory_mut(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn manifest(&self) -> MutexGuard<'_, Manifest> {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how far the log is on the disk.
    pub(super) fn synced(&self, log: &Log) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner) = (log.number, log.synced());
    }

    pub(super) fn log_end(&self) -> (u64, u64) {
        *self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets others open the directory.
    /// Whether the directory's lock is still held for this store.
    pub(super) fn is_locked(&self) -> bool {
        self.lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some()
    }

    pub(super) fn unlock(&self) {
        if let Some(file) = self
            .lock
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        {
            // The lock itself: a process that is being started right now may share the file until
            // it has begun.
            let _ = file.unlock();
        }
    }

    /// What is wrong with the store, if anything is known to be.
    pub(super) fn trouble(&self) -> Option<Fault> {
        self.flusher.failure().or_else(|| self.compactor.failure())
    }
}
