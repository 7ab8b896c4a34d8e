//! Putting indexes right after crashes.

use futures_util::{StreamExt, TryStreamExt, stream};
use storehouse_objectstore::{Key, ListOptions, ObjectStore, ObjectStoreExt};

use super::define::{Index, IndexKind};
use crate::{Codec, Error, GenericStore, Result, ScanOptions};

/// What a repair found and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// Records looked at that could be decoded.
    pub records: u64,
    /// Entries looked at.
    pub entries: u64,
    /// Entries removed, because no record has that key.
    pub removed: u64,
    /// Entries added that were missing.
    pub added: u64,
    /// Keys of a unique index that more than one record has; the entry leads to one of them.
    pub conflicts: u64,
    /// Records that cannot be decoded, by object. Their entries stay as they are.
    pub undecodable: Vec<Key>,
}

enum Entries {
    Whole,
    Removed,
}

enum RepairOutcome {
    Right,
    Added,
    Conflict,
}

impl<T, C, S> GenericStore<T, C, S>
where
    T: Send + Sync + 'static,
    C: Codec<T>,
    S: ObjectStore,
{
    /// Removes entries that no record has, and adds those that are missing. Reads every entry and
    /// every record once or twice; others may read and write meanwhile. Repeating it is safe, and
    /// does nothing where nothing is wrong.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{GenericStore, Json, Namespace, UniqueIndex};
    /// use storehouse_objectstore::Memory;
    ///
    /// let by_mail = UniqueIndex::new("mail", |user: &(String, u32)| vec![user.0.clone()]);
    /// let users = GenericStore::new(Memory::new(), Json, Namespace::new("user/", "")?);
    /// users.put("1", &("ann@example.org".to_owned(), 30)).await?;
    ///
    /// // An index that comes later is filled by a repair.
    /// let users = users.with_index(&by_mail)?;
    /// assert!(users.find(&by_mail, &"ann@example.org".to_owned()).await?.is_none());
    /// assert_eq!(users.repair().await?.added, 1);
    /// assert_eq!(users.find(&by_mail, &"ann@example.org".to_owned()).await?.unwrap().key, "1");
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`]: what was repaired until then stays so.
    pub async fn repair(&self) -> Result<RepairReport> {
        let mut report = RepairReport::default();
        for index in &self.indexes.all {
            let listed = self
                .store
                .list(ListOptions::default().prefix(index.entries.prefix()))
                .map_err(Error::from);
            let mut checked = listed
                .map(|entry| async move { self.repair_entry(index, entry?.key).await })
                .buffer_unordered(self.read_ahead);
            while let Some(entry) = checked.try_next().await? {
                report.entries += 1;
                report.removed += u64::from(matches!(entry, Entries::Removed));
            }
        }
        let mut records = self.scan(ScanOptions::default());
        while let Some(record) = records.next().await {
            let record = match record {
                Ok(record) => record,
                Err(e) if e.is_record() => {
                    report.undecodable.extend(e.key().cloned());
                    continue;
                }
                Err(e) => return Err(e),
            };
            report.records += 1;
            let texts = self.indexes.all.iter().flat_map(|index| {
                index
                    .texts(&record.value)
                    .into_iter()
                    .map(move |text| (index, text))
            });
            let mut done = stream::iter(texts)
                .map(|(index, text)| self.repair_record(index, text, &record.key))
                .buffer_unordered(self.read_ahead);
            while let Some(outcome) = done.try_next().await? {
                report.added += u64::from(matches!(outcome, RepairOutcome::Added));
                report.conflicts += u64::from(matches!(outcome, RepairOutcome::Conflict));
            }
        }
        Ok(report)
    }

    /// Removes the entry if it is stale. Locked, so that no writer is between its entries and its
    /// record.
    async fn repair_entry(&self, index: &Index<T>, entry: Key) -> Result<Entries> {
        // Not written by this crate: an entry has a text.
        let remove = async || {
            self.store.delete(&entry).await?;
            Ok(Entries::Removed)
        };
        match index.kind() {
            IndexKind::Multi => {
                let Some((text, key)) = index.parse_multi(&entry) else {
                    return Ok(Entries::Whole);
                };
                let _record = self.indexes.locks.record(&key).await;
                if self.holds(index, &key, &text).await? {
                    Ok(Entries::Whole)
                } else {
                    remove().await
                }
            }
            IndexKind::Unique { pointer, .. } => {
                let Some(text) = index.parse_unique(&entry) else {
                    return Ok(Entries::Whole);
                };
                let Some(key) = self
                    .pointer(&entry)
                    .await?
                    .map(|value| pointer.decode(&value))
                else {
                    return Ok(Entries::Whole);
                };
                let Some(key) = key else {
                    return remove().await;
                };
                let _record = self.indexes.locks.record(&key).await;
                let _entries = self.indexes.locks.entries(vec![entry.clone()]).await;
                // Again, now that no other task writes it.
                let same = self
                    .pointer(&entry)
                    .await?
                    .is_some_and(|value| pointer.decode(&value).as_deref() == Some(key.as_str()));
                if !same || self.holds(index, &key, &text).await? {
                    Ok(Entries::Whole)
                } else {
                    remove().await
                }
            }
        }
    }

    /// Adds the record's entry if it is missing.
    async fn repair_record(
        &self,
        index: &Index<T>,
        text: String,
        key: &str,
    ) -> Result<RepairOutcome> {
        let entry = index.entry(&text, key)?;
        let _record = self.indexes.locks.record(key).await;
        let _entries = self.indexes.locks.entries(vec![entry.key.clone()]).await;
        if let Some(value) = self.pointer(&entry.key).await? {
            let IndexKind::Unique { pointer, .. } = index.kind() else {
                return Ok(RepairOutcome::Right);
            };
            match pointer.decode(&value) {
                Some(holder) if holder == key => return Ok(RepairOutcome::Right),
                Some(holder) if self.holds(index, &holder, &text).await? => {
                    return Ok(RepairOutcome::Conflict);
                }
                _ => {}
            }
        }
        if !self.holds(index, key, &text).await? {
            // Changed or removed meanwhile, with its entries.
            return Ok(RepairOutcome::Right);
        }
        self.store.put(&entry.key, entry.value).await?;
        Ok(RepairOutcome::Added)
    }

    async fn pointer(&self, entry: &Key) -> Result<Option<bytes::Bytes>> {
        match self.read_bytes(entry).await {
            Ok((value, _)) => Ok(Some(value)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}
