//! Reading many records.

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future};
use storehouse_objectstore::{Key, ListOptions, ObjectStore};

use crate::{Codec, Error, GenericStore, Record, Result};

/// Options of [`GenericStore::scan`]: public fields, with defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Only records whose keys start with this text. All if empty.
    pub prefix: String,
    /// Only records after this key (exclusive) in the object store's order. It need not exist.
    pub start_after: Option<String>,
}

impl ScanOptions {
    /// Records whose keys start with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into(), start_after: None }
    }

    /// After this key (exclusive).
    #[must_use]
    pub fn start_after(mut self, key: impl Into<String>) -> Self {
        self.start_after = Some(key.into());
        self
    }
}

impl<T, C, S> GenericStore<T, C, S>
where
    T: Send + Sync + 'static,
    C: Codec<T>,
    S: ObjectStore,
{
    /// The records, in the order in which the object store lists their keys, fetched a bounded number ahead.
    ///
    /// A record that cannot be decoded, or is too large, is an error for its key ([`Error::key`], [`Error::is_record`]) in its place, and
    /// the rest goes on; after another error the scan may end. A record deleted while the scan runs may be left out.
    pub fn scan(&self, options: ScanOptions) -> BoxStream<'_, Result<Record<T>>> {
        self.fetch(self.object_keys(options, None))
    }

    /// The records' keys, in the object store's order, without reading the records.
    pub fn keys(&self, options: ScanOptions) -> BoxStream<'_, Result<String>> {
        self.object_keys(options, None).map_ok(|key| self.record_key(&key).unwrap_or_default().to_owned()).boxed()
    }

    /// How many records there are whose keys start with `prefix`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn count(&self, prefix: &str) -> Result<u64> {
        self.object_keys(ScanOptions::prefix(prefix), None).try_fold(0, |count, _| future::ok(count + 1)).await
    }

    /// Whether there is a record whose key starts with `prefix`. One list request of one key, unless objects lie there that are no records.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn exists_prefix(&self, prefix: &str) -> Result<bool> {
        Ok(self.first_key(prefix).await?.is_some())
    }

    /// The first record, in the object store's order, whose key starts with `prefix` and that `matches`.
    ///
    /// If the very first one does, that took one list request of one key and one get. A record that cannot be decoded is passed over if a later one
    /// matches.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Decode`] or [`Error::TooLarge`] of the first such record, if no other matches.
    pub async fn first(&self, prefix: &str, mut matches: impl FnMut(&T) -> bool + Send) -> Result<Option<Record<T>>> {
        let Some(first) = self.first_key(prefix).await? else { return Ok(None) };
        let mut failed = None;
        match self.read(&first).await {
            Ok((value, etag)) if matches(&value) => {
                let key = self.record_key(&first).unwrap_or_default().to_owned();
                return Ok(Some(Record { key, value, etag }));
            }
            Ok(_) => {}
            // Deleted since it was listed.
            Err(e) if e.is_not_found() => {}
            Err(e) if e.is_record() => failed = Some(e),
            Err(e) => return Err(e),
        }
        let mut rest = self.fetch(self.object_keys(ScanOptions::prefix(prefix), Some(first)));
        while let Some(record) = rest.next().await {
            match record {
                Ok(record) if matches(&record.value) => return Ok(Some(record)),
                Ok(_) => {}
                Err(e) if e.is_record() => failed = failed.or(Some(e)),
                Err(e) => return Err(e),
            }
        }
        failed.map_or(Ok(None), Err)
    }

    async fn first_key(&self, prefix: &str) -> Result<Option<Key>> {
        let listed = ListOptions::default().prefix(self.listed(prefix)).limit(1);
        match self.store.list(listed).try_next().await? {
            None => Ok(None),
            Some(entry) if self.record_key(&entry.key).is_some() => Ok(Some(entry.key)),
            Some(other) => self.object_keys(ScanOptions::prefix(prefix), Some(other.key)).try_next().await,
        }
    }

    fn listed(&self, prefix: &str) -> String {
        format!("{}{prefix}", self.namespace().prefix())
    }

    fn object_keys(&self, options: ScanOptions, after: Option<Key>) -> BoxStream<'_, Result<Key>> {
        let after = match options.start_after.map(|key| self.namespace().object_key(&key)).transpose() {
            Ok(start_after) => after.or(start_after),
            Err(e) => return futures_util::stream::once(future::err(e)).boxed(),
        };
        let listed = ListOptions { prefix: self.listed(&options.prefix), start_after: after, limit: None };
        self.store
            .list(listed)
            .map_err(Error::from)
            .try_filter_map(|e| future::ok(self.record_key(&e.key).is_some().then_some(e.key)))
            .boxed()
    }

    fn fetch<'a>(&'a self, keys: BoxStream<'a, Result<Key>>) -> BoxStream<'a, Result<Record<T>>> {
        keys.map(move |key| async move {
            let object = key?;
            match self.read(&object).await {
                Ok((value, etag)) => Ok(Some(Record { key: self.record_key(&object).unwrap_or_default().to_owned(), value, etag })),
                Err(e) if e.is_not_found() => Ok(None),
                Err(e) => Err(e),
            }
        })
        .buffered(self.read_ahead)
        .filter_map(|record| future::ready(record.transpose()))
        .boxed()
    }
}
