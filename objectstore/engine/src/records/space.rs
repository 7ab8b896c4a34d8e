//! When the files are rewritten, so that deleted records take up no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::core::Core;
use super::engine::Engine;

/// Fewer deletions than this, of few bytes, are left to the engine.
const MIN_DELETES: u64 = 50_000;
const MIN_BYTES: u64 = 32 << 20;
/// Sizes cost the engine a look at its files.
const LOOK_EVERY: u64 = 100;

/// What was deleted since the last compaction.
#[derive(Debug, Default)]
pub(super) struct Space {
    deleted: AtomicU64,
    /// How many there were when the engine was asked last.
    looked_at: AtomicU64,
    running: AtomicBool,
}

impl Space {
    pub(super) fn deleted(&self, count: u64) {
        self.deleted.fetch_add(count, Ordering::Relaxed);
    }

    /// Starts a compaction on the blocking pool once a quarter of the records is gone. Each one
    /// leaves at most three quarters, so that all of them together rewrite a store of which
    /// everything is deleted about four times.
    pub(super) fn compact_if_due<E: Engine>(self: &Arc<Self>, core: &Arc<Core<E>>) {
        let deleted = self.deleted.load(Ordering::Relaxed);
        let looked_at = self.looked_at.load(Ordering::Relaxed);
        if deleted < looked_at + LOOK_EVERY || self.running.load(Ordering::Relaxed) {
            return;
        }
        self.looked_at.store(deleted, Ordering::Relaxed);
        let Ok(stats) = core.with(|engine| engine.stats()) else {
            return;
        };
        let average = stats.disk / stats.records.max(1);
        let many = deleted >= MIN_DELETES || deleted.saturating_mul(average) >= MIN_BYTES;
        if !many || deleted < stats.records / 4 || self.running.swap(true, Ordering::Relaxed) {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        let (space, core) = (Arc::clone(self), Arc::clone(core));
        runtime.spawn_blocking(move || {
            space.deleted.fetch_sub(deleted, Ordering::Relaxed);
            space.looked_at.store(0, Ordering::Relaxed);
            // If it fails, the records stay readable, and the next deletions try again.
            let _ = core.compact();
            space.running.store(false, Ordering::Relaxed);
        });
    }
}
