//! Removes chunks that no object has.
//!
//! A collection marks what all manifests name, then sweeps the chunks. An object that is written
//! meanwhile may be missed by the listing; its chunks are pinned by the put or copy that writes it,
//! and what was pinned at any time since the mark began is not swept. A chunk is looked up and
//! removed under its lock, so that a put finds it and relies on it before, or writes it after.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::SystemTime;

use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{
    Body, Entry, Error, GetOptions, Key, ListOptions, ObjectStore, Operation, Result,
};

use super::failure::Failure;
use super::format::Digest;
use super::options::Collected;
use super::pins::Collecting;
use super::read::whole_manifest;
use super::shared::{Shared, chunk_digest};
use crate::parts::detached;

/// How many manifests are read at a time, and how many chunks are looked at.
const READS: usize = 8;

/// Manifests of at most this size, in bytes, come with the listing where the index can.
const INLINE: u64 = 64 * 1024;

/// How many chunks are removed together: as many of the locks are held.
const BATCH: usize = 64;

/// How many batches are removed at a time.
const BATCHES: usize = 2;

/// The first half of a digest: what of a set of millions stays in memory.
type Mark = u128;

fn mark(digest: &Digest) -> Mark {
    u128::from_le_bytes(std::array::from_fn(|n| digest[n]))
}

/// A chunk that no manifest names.
struct Unmarked {
    key: Key,
    digest: Digest,
    size: u64,
}

impl<I: ObjectStore, C: ObjectStore> Shared<I, C> {
    pub(super) async fn collect(self: &Arc<Self>) -> Result<Collected> {
        self.lifecycle.check(Operation::Delete, None)?;
        let collecting = Arc::new(self.pins.collect().await);
        let collected = self.mark_and_sweep(&collecting).await;
        let failed = match &collected {
            Ok(_) => None,
            // What passes says nothing of what failed before.
            Err(error) if error.is_transient() || error.is_closed() => return collected,
            Err(error) => Some(Failure::of(error)),
        };
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = failed;
        collected
    }

    async fn mark_and_sweep(self: &Arc<Self>, collecting: &Arc<Collecting>) -> Result<Collected> {
        let begin = SystemTime::now();
        let mut done = Collected::default();
        let marked = self.mark(&mut done).await?;
        self.sweep(collecting, begin, &marked, &mut done).await?;
        done.missing = (marked.len() as u64).saturating_sub(done.referenced);
        Ok(done)
    }

    /// What all manifests name.
    async fn mark(&self, done: &mut Collected) -> Result<HashSet<Mark>> {
        let mut marked = HashSet::new();
        let options = ListOptions::default().inline_values(INLINE);
        let manifests = self
            .index
            .list(options)
            .map(async |entry| self.marks(entry?).await)
            .buffer_unordered(READS);
        let mut manifests = std::pin::pin!(manifests);
        while let Some(marks) = manifests.try_next().await? {
            if let Some(marks) = marks {
                done.objects += 1;
                marked.extend(marks);
            }
        }
        Ok(marked)
    }

    /// What one manifest names; `None` if it is gone.
    async fn marks(&self, entry: Entry) -> Result<Option<Vec<Mark>>> {
        let key = &entry.key;
        let (metadata, body) = match entry.value {
            Some(value) => (entry.metadata, Body::from(value)),
            None => match self.index.get_opts(key, GetOptions::default()).await {
                Ok(object) => (object.metadata, object.body),
                Err(error) if error.is_not_found() => return Ok(None),
                Err(error) => return Err(error),
            },
        };
        let manifest = whole_manifest(key, metadata, body).await?;
        let marks = manifest.chunks.iter().map(|chunk| mark(&chunk.digest));
        Ok(Some(marks.collect()))
    }

    async fn sweep(
        self: &Arc<Self>,
        collecting: &Arc<Collecting>,
        begin: SystemTime,
        marked: &HashSet<Mark>,
        done: &mut Collected,
    ) -> Result<()> {
        collecting.sweep();
        let mut swept = Collected::default();
        let unmarked = self
            .chunks
            .list(ListOptions::default())
            .try_filter_map(|entry| {
                let size = entry.metadata.size;
                // What is no chunk is left alone.
                let found = chunk_digest(&entry.key).and_then(|digest| {
                    if marked.contains(&mark(&digest)) {
                        done.referenced += 1;
                        done.referenced_bytes += size;
                        return None;
                    }
                    if self.is_in_grace(entry.metadata.last_modified, begin) {
                        swept.spared += 1;
                        return None;
                    }
                    let key = entry.key;
                    Some(Unmarked { key, digest, size })
                });
                future::ready(Ok(found))
            });
        let batches = unmarked
            .try_chunks(BATCH)
            .map_err(|error| error.1)
            .map_ok(|batch| {
                let (this, collecting) = (Arc::clone(self), Arc::clone(collecting));
                detached(async move { this.remove(&collecting, begin, batch).await })
            })
            .try_buffer_unordered(BATCHES);
        let removed = batches
            .try_fold(Collected::default(), |mut all, batch| {
                all.removed += batch.removed;
                all.removed_bytes += batch.removed_bytes;
                all.spared += batch.spared;
                future::ready(Ok(all))
            })
            .await?;
        done.removed = removed.removed;
        done.removed_bytes = removed.removed_bytes;
        done.spared = removed.spared + swept.spared;
        Ok(())
    }

    /// Whether a chunk was written too short a time before the collection began.
    fn is_in_grace(&self, written: Option<SystemTime>, begin: SystemTime) -> bool {
        !self.grace.is_zero()
            && written.is_some_and(|written| {
                let age = begin.duration_since(written).unwrap_or_default();
                age < self.grace
            })
    }

    /// Removes those of a few chunks that are not in use.
    async fn remove(
        &self,
        // Holds it for as long as this goes on, whether or not its caller is gone.
        _: &Arc<Collecting>,
        begin: SystemTime,
        batch: Vec<Unmarked>,
    ) -> Result<Collected> {
        let _running = self.lifecycle.enter(Operation::Delete, None)?;
        let _locks = self.locks.lock_all(batch.iter().map(|one| &one.key)).await;
        let mut done = Collected::default();
        let mut doomed = Vec::new();
        for one in batch {
            if self.pins.is_pinned(&one.digest) {
                done.spared += 1;
            } else {
                doomed.push(one);
            }
        }
        if !self.grace.is_zero() {
            // Another process may have found it since it was listed.
            let found = stream::iter(doomed)
                .map(async |one| match self.chunks.head(&one.key).await {
                    Ok(now) => Ok((self.is_in_grace(now.last_modified, begin), one)),
                    Err(error) if error.is_not_found() => Ok((false, one)),
                    Err(error) => Err(error),
                })
                .buffer_unordered(READS);
            let found: Vec<_> = found.try_collect().await?;
            done.spared += found.iter().filter(|(spare, _)| *spare).count() as u64;
            doomed = found
                .into_iter()
                .filter_map(|(spare, one)| (!spare).then_some(one))
                .collect();
        }
        let bytes: u64 = doomed.iter().map(|one| one.size).sum();
        let count = doomed.len() as u64;
        let keys: Vec<_> = doomed.into_iter().map(|one| one.key).collect();
        let mut deleted = self.chunks.delete_many(stream::iter(keys).boxed());
        let mut first: Option<Error> = None;
        while let Some(one) = deleted.next().await {
            if let Err(error) = one {
                first.get_or_insert(error);
            }
        }
        if let Some(error) = first {
            return Err(error);
        }
        done.removed = count;
        done.removed_bytes = bytes;
        Ok(done)
    }
}
