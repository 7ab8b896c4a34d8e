//! Writing records with their entries.

use std::collections::BTreeSet;

use bytes::Bytes;
use storehouse_objectstore::{
    Batch, BatchOp, Batches, ETag, Error as StoreError, Key, ObjectStore, ObjectStoreExt,
    Operation, PutMode, PutOptions,
};

use super::define::{Contested, Index, IndexKind};
use super::entry::Entry;
use crate::{Codec, Error, GenericStore, Result};

/// How often a batch is tried whose conditions others' writes undid in the meantime.
const ATTEMPTS: usize = 64;

/// What a write changes.
pub(super) struct Change<'a> {
    /// The record's key in the namespace, and its object.
    pub(super) key: &'a str,
    pub(super) object: Key,
    /// The new bytes; `None` for a removal.
    pub(super) bytes: Option<Bytes>,
    /// The entries that the new record has, by index.
    pub(super) wanted: Vec<Vec<Entry>>,
}

impl<T, C, S> GenericStore<T, C, S>
where
    T: Send + Sync + 'static,
    C: Codec<T>,
    S: ObjectStore,
{
    pub(crate) async fn put_indexed(
        &self,
        key: &str,
        object: Key,
        value: &T,
        bytes: Bytes,
        mode: PutMode,
    ) -> Result<ETag> {
        let change = Change {
            key,
            object,
            bytes: Some(bytes),
            wanted: self.entries_of(key, value)?,
        };
        let written = match self.store.batches() {
            Some(batches) => self.change_at_once(batches, &change, &mode).await?,
            None => self.change_in_order(&change, mode).await?,
        };
        // A put always gives a tag.
        Ok(written.unwrap_or_else(|| ETag::new("")))
    }

    pub(crate) async fn delete_indexed(&self, key: &str, object: Key, mode: PutMode) -> Result<()> {
        let change = Change {
            key,
            object,
            bytes: None,
            wanted: self.indexes.all.iter().map(|_| Vec::new()).collect(),
        };
        match self.store.batches() {
            Some(batches) => self.change_at_once(batches, &change, &mode).await?,
            None => self.change_in_order(&change, mode).await?,
        };
        Ok(())
    }

    /// The entries that a record has, by index.
    pub(super) fn entries_of(&self, key: &str, value: &T) -> Result<Vec<Vec<Entry>>> {
        self.indexes
            .all
            .iter()
            .map(|index| {
                index
                    .texts(value)
                    .iter()
                    .map(|text| index.entry(text, key))
                    .collect()
            })
            .collect()
    }

    /// The record that is there: its tag, and its entries as far as it can be decoded.
    async fn there(&self, change: &Change<'_>) -> Result<Option<(ETag, Vec<Vec<Entry>>)>> {
        let (bytes, etag) = match self.read_bytes(&change.object).await {
            Ok(read) => read,
            Err(e) if e.is_not_found() => return Ok(None),
            // Too large to be one of this store: it has no entries.
            Err(Error::TooLarge { .. }) => {
                return Ok(Some((
                    self.store.head(&change.object).await?.etag,
                    Vec::new(),
                )));
            }
            Err(e) => return Err(e),
        };
        let entries = match self.decode(&change.object, &bytes) {
            Ok(value) => self.entries_of(change.key, &value)?,
            Err(_) => Vec::new(),
        };
        Ok(Some((etag, entries)))
    }

    async fn change_at_once(
        &self,
        batches: &dyn Batches,
        change: &Change<'_>,
        mode: &PutMode,
    ) -> Result<Option<ETag>> {
        for _ in 0..ATTEMPTS {
            let there = self.there(change).await?;
            mode.check(&change.object, there.as_ref().map(|(etag, _)| etag))?;
            let mut batch = Batch::new();
            for (index, entry) in self.by_index(&change.wanted) {
                let Some(mode) = self.entry_mode(index, entry, change.key).await? else {
                    continue;
                };
                batch = batch.op(BatchOp::Put {
                    key: entry.key.clone(),
                    bytes: entry.value.clone(),
                    mode,
                });
            }
            for (index, entry) in self.stale(change, there.as_ref()) {
                if let Some(etag) = self.own_entry(index, entry, change.key).await? {
                    batch = batch.delete_if(entry.key.clone(), etag);
                }
            }
            batch = match (&change.bytes, there) {
                (Some(bytes), Some((etag, _))) => {
                    batch.replace(change.object.clone(), etag, bytes.clone())
                }
                (Some(bytes), None) => batch.create(change.object.clone(), bytes.clone()),
                (None, Some((etag, _))) => batch.delete_if(change.object.clone(), etag),
                (None, None) => return Ok(None),
            };
            match batches.batch(batch).await {
                Ok(result) => return Ok(result.etags.last().cloned().flatten()),
                Err(StoreError::Precondition { .. } | StoreError::AlreadyExists { .. }) => {}
                Err(e) => return Err(e.into()),
            }
        }
        Err(StoreError::Precondition {
            operation: Operation::Put,
            key: change.object.clone(),
        }
        .into())
    }

    async fn change_in_order(&self, change: &Change<'_>, mode: PutMode) -> Result<Option<ETag>> {
        let _record = self.indexes.locks.record(change.key).await;
        let there = self.there(change).await?;
        mode.check(&change.object, there.as_ref().map(|(etag, _)| etag))?;
        let stale = self.stale(change, there.as_ref());
        let wanted = self.by_index(&change.wanted);
        let unique = wanted
            .iter()
            .chain(&stale)
            .filter(|(index, _)| index.is_unique())
            .map(|(_, entry)| entry.key.clone())
            .collect();
        let _entries = self.indexes.locks.entries(unique).await;

        // All that may be refused is judged before the first write.
        let mut won = Vec::with_capacity(wanted.len());
        for (index, entry) in wanted {
            if self.entry_mode(index, entry, change.key).await?.is_some() {
                won.push((index, entry));
            }
        }
        for (index, entry) in &won {
            if !index.takes_over() {
                self.store.put(&entry.key, entry.value.clone()).await?;
            }
        }
        let written = match &change.bytes {
            Some(bytes) => Some(
                self.store
                    .put_opts(
                        &change.object,
                        bytes.clone().into(),
                        PutOptions::default().mode(mode),
                    )
                    .await?
                    .etag,
            ),
            None => {
                self.store.delete(&change.object).await?;
                None
            }
        };
        for (index, entry) in &won {
            if index.takes_over() {
                self.store.put(&entry.key, entry.value.clone()).await?;
            }
        }
        for (index, entry) in stale {
            if self.own_entry(index, entry, change.key).await?.is_some() {
                self.store.delete(&entry.key).await?;
            }
        }
        Ok(written)
    }

    /// Entries of the record that is there, which the new one has no more.
    fn stale<'a>(
        &'a self,
        change: &Change<'_>,
        there: Option<&'a (ETag, Vec<Vec<Entry>>)>,
    ) -> Vec<(&'a Index<T>, &'a Entry)> {
        let wanted: BTreeSet<&Key> = change
            .wanted
            .iter()
            .flatten()
            .map(|entry| &entry.key)
            .collect();
        let mut stale = there.map_or_else(Vec::new, |(_, entries)| self.by_index(entries));
        stale.retain(|(_, entry)| !wanted.contains(&entry.key));
        stale
    }

    fn by_index<'a>(&'a self, entries: &'a [Vec<Entry>]) -> Vec<(&'a Index<T>, &'a Entry)> {
        let mut all = Vec::new();
        for (index, entries) in self.indexes.all.iter().zip(entries) {
            all.extend(entries.iter().map(|entry| (&**index, entry)));
        }
        all
    }

    /// How the entry is put; `None` if another record keeps its key.
    async fn entry_mode(
        &self,
        index: &Index<T>,
        entry: &Entry,
        key: &str,
    ) -> Result<Option<PutMode>> {
        let IndexKind::Unique { pointer, contested } = index.kind() else {
            return Ok(Some(PutMode::Overwrite));
        };
        if *contested == Contested::Last {
            return Ok(Some(PutMode::Overwrite));
        }
        let (value, etag) = match self.read_bytes(&entry.key).await {
            Ok(read) => read,
            Err(e) if e.is_not_found() => return Ok(Some(PutMode::Create)),
            Err(e) => return Err(e),
        };
        if let Some(holder) = pointer.decode(&value).filter(|holder| holder != key)
            && self.holds(index, &holder, &entry.text).await?
        {
            if *contested == Contested::First {
                return Ok(None);
            }
            return Err(Error::NotUnique {
                index: index.name().to_owned(),
                index_key: entry.text.clone(),
                holder,
            });
        }
        Ok(Some(PutMode::Replace(etag)))
    }

    /// Whether the record is there and has this key in the index. One that cannot be decoded may
    /// have it.
    pub(super) async fn holds(&self, index: &Index<T>, key: &str, text: &str) -> Result<bool> {
        let Ok(object) = self.object_key(key) else {
            return Ok(false);
        };
        match self.read(&object).await {
            Ok((value, _)) => Ok(index.texts(&value).iter().any(|known| known == text)),
            Err(e) if e.is_not_found() => Ok(false),
            Err(e) if e.is_record() => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// The tag of the entry that is there, if it is this record's.
    async fn own_entry(&self, index: &Index<T>, entry: &Entry, key: &str) -> Result<Option<ETag>> {
        match self.read_bytes(&entry.key).await {
            Ok((value, etag)) => Ok(match index.kind() {
                IndexKind::Unique { pointer, .. } => {
                    (pointer.decode(&value).as_deref() == Some(key)).then_some(etag)
                }
                IndexKind::Multi => Some(etag),
            }),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}
