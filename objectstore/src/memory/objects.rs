//! The sorted map, and the lock around it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::SystemTime;

use bytes::Bytes;

use crate::{
    Attributes, Batch, BatchOp, BatchResult, CopyOptions, ETag, Entry, Error, EventSender, Key,
    ListOptions, Metadata, Operation, PutMode, Result,
};

/// Objects behind a lock.
#[derive(Debug, Default)]
pub(super) struct LockedObjects {
    objects: RwLock<Objects>,
    /// Told under the lock, so that events of one key come in their order.
    pub(super) events: EventSender,
}

#[derive(Default)]
struct Objects {
    by_key: BTreeMap<Key, StoredObject>,
    /// Counts puts, so that every version has a tag of its own.
    version: u64,
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Objects")
            .field("count", &self.by_key.len())
            .finish_non_exhaustive()
    }
}

/// One version of an object.
#[derive(Clone)]
pub(super) struct StoredObject {
    pub(super) bytes: Bytes,
    etag: ETag,
    modified: SystemTime,
    attributes: Attributes,
}

impl StoredObject {
    /// The next version, with a tag of its own.
    fn new(version: &mut u64, bytes: Bytes, attributes: Attributes) -> Self {
        *version += 1;
        Self {
            bytes,
            etag: ETag::new(format!("{version:x}")),
            modified: SystemTime::now(),
            attributes,
        }
    }

    pub(super) fn metadata(&self) -> Metadata {
        Metadata::new(self.bytes.len() as u64, self.etag.clone())
            .last_modified(self.modified)
            .attributes(self.attributes.clone())
    }
}

impl LockedObjects {
    // Nothing panics while it holds the lock, and the map is whole between any two statements:
    // poison says nothing here.
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, operation: Operation, key: &Key) -> Result<StoredObject> {
        self.read()
            .by_key
            .get(key)
            .cloned()
            .ok_or_else(|| Error::not_found(operation, key))
    }

    pub(super) fn put(
        &self,
        key: &Key,
        bytes: Bytes,
        mode: &PutMode,
        attributes: Attributes,
    ) -> Result<ETag> {
        let mut objects = self.write();
        let Objects { by_key, version } = &mut *objects;
        mode.check(key, by_key.get(key).map(|stored| &stored.etag))?;
        let stored = StoredObject::new(version, bytes, attributes);
        let etag = stored.etag.clone();
        by_key.insert(key.clone(), stored);
        self.events.put(key, &etag);
        Ok(etag)
    }

    /// Copies or renames; the bytes are shared.
    pub(super) fn copy(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<ETag> {
        let mut objects = self.write();
        let Objects { by_key, version } = &mut *objects;
        let source = by_key
            .get(from)
            .ok_or_else(|| Error::not_found(Operation::Copy, from))?;
        options.check_source(from, &source.etag)?;
        options
            .mode
            .check(to, by_key.get(to).map(|stored| &stored.etag))
            .map_err(|error| error.map_operation(Operation::Copy))?;
        let attributes = options
            .attributes
            .unwrap_or_else(|| source.attributes.clone());
        let stored = StoredObject::new(version, source.bytes.clone(), attributes);
        let etag = stored.etag.clone();
        by_key.insert(to.clone(), stored);
        self.events.put(to, &etag);
        if options.remove_source {
            by_key.remove(from);
            self.events.deleted(from);
        }
        Ok(etag)
    }

    pub(super) fn delete(&self, key: &Key) {
        let mut objects = self.write();
        objects.by_key.remove(key);
        self.events.deleted(key);
    }

    pub(super) fn batch(&self, batch: Batch) -> Result<BatchResult> {
        let mut objects = self.write();
        let Objects { by_key, version } = &mut *objects;
        // What the batch changes, and only once all of its conditions hold, the map.
        let mut changes: BTreeMap<Key, Option<StoredObject>> = BTreeMap::new();
        let mut etags = Vec::with_capacity(batch.ops.len());
        for op in batch.ops {
            let there = changes
                .get(op.key())
                .map_or_else(|| by_key.get(op.key()), Option::as_ref);
            op.check_condition(there.map(|stored| &stored.etag))?;
            let (key, change) = match op {
                BatchOp::Put { key, bytes, .. } => {
                    let stored = StoredObject::new(version, bytes, Attributes::default());
                    (key, Some(stored))
                }
                BatchOp::Delete { key, .. } => (key, None),
            };
            etags.push(change.as_ref().map(|stored| stored.etag.clone()));
            changes.insert(key, change);
        }
        for (key, change) in changes {
            match change {
                Some(stored) => {
                    self.events.put(&key, &stored.etag);
                    by_key.insert(key, stored);
                }
                None => {
                    by_key.remove(&key);
                    self.events.deleted(&key);
                }
            }
        }
        Ok(BatchResult { etags })
    }

    /// At most `limit` entries after `after`.
    pub(super) fn page(
        &self,
        options: &ListOptions,
        after: Option<&Key>,
        limit: usize,
    ) -> Vec<Entry> {
        // A prefix may be no key, so the bounds are texts, which order as keys do.
        let start = match after {
            Some(after) if after.as_str() >= options.prefix.as_str() => {
                Bound::Excluded(after.as_str())
            }
            _ => Bound::Included(options.prefix.as_str()),
        };
        self.read()
            .by_key
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.as_str().starts_with(&options.prefix))
            .take(limit)
            .map(|(key, stored)| {
                let inline = options
                    .inline_values
                    .is_some_and(|most| stored.bytes.len() as u64 <= most);
                Entry {
                    key: key.clone(),
                    metadata: stored.metadata(),
                    value: inline.then(|| stored.bytes.clone()),
                }
            })
            .collect()
    }
}
