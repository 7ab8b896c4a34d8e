//! Reading many records.

use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{ETag, Entry, Key, ListOptions, ObjectStore, Result as StoreResult};

use crate::read_ahead::{Fetch, ReadAhead};
use crate::{Codec, Error, GenericStore, Record, Result};

/// Options of [`GenericStore::scan`]: public fields, with defaults.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_genericstore::{GenericStore, Namespace, Raw, ScanOptions};
/// use storehouse_objectstore::Memory;
///
/// let store = GenericStore::<Vec<u8>, _, _>::new(Memory::new(), Raw, Namespace::root());
/// for key in ["a1", "a2", "b1"] {
///     store.put(key, &key.as_bytes().to_vec()).await?;
/// }
/// let after = ScanOptions::prefix("a").start_after("a1");
/// let keys: Vec<String> = store.keys(after).try_collect().await?;
/// assert_eq!(keys, ["a2"]);
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// Only records whose keys start with this text. All if empty.
    pub prefix: String,
    /// Only records after this key (exclusive) in the object store's order. It need not exist.
    pub start_after: Option<String>,
}

impl ScanOptions {
    /// Records whose keys start with `prefix`.
    pub fn prefix(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            start_after: None,
        }
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
    /// The records, in the order in which the object store lists their keys. Where they lie beside
    /// their keys, the listing brings them along; elsewhere they are fetched a bounded number
    /// ahead.
    ///
    /// A record that cannot be decoded, or is too large, is an error for its key ([`Error::key`],
    /// [`Error::is_record`]) in its place, and the rest goes on; after another error the scan may
    /// end. A record deleted while the scan runs may be left out.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::StreamExt;
    /// use storehouse_genericstore::{GenericStore, Json, Namespace, ScanOptions};
    /// use storehouse_objectstore::{Memory, ObjectStoreExt};
    ///
    /// let ages = GenericStore::<u32, _, _>::new(Memory::new(), Json, Namespace::root());
    /// ages.put("ann", &30).await?;
    /// ages.object_store().put(&ages.object_key("bob")?, "no JSON").await?;
    /// ages.put("eve", &50).await?;
    ///
    /// // A record that is damaged is an error in its place.
    /// let scanned: Vec<_> = ages.scan(ScanOptions::default()).collect().await;
    /// assert_eq!(scanned[0].as_ref().unwrap().value, 30);
    /// let damaged = scanned[1].as_ref().unwrap_err();
    /// assert!(damaged.is_record() && damaged.key().unwrap().as_str() == "bob");
    /// assert_eq!(scanned[2].as_ref().unwrap().key, "eve");
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn scan(&self, options: ScanOptions) -> BoxStream<'_, Result<Record<T>>> {
        self.fetch(options, None, record_of)
    }

    /// The records alone, without their keys and tags; otherwise as [`scan`](Self::scan).
    pub fn values(&self, options: ScanOptions) -> BoxStream<'_, Result<T>> {
        self.values_or(options)
    }

    /// The same with errors of a type that this crate's become: a step less for each record than to
    /// turn them into it afterwards.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::TryStreamExt;
    /// use storehouse_genericstore::{GenericStore, Namespace, Raw, ScanOptions};
    /// use storehouse_objectstore::Memory;
    ///
    /// type BoxError = Box<dyn std::error::Error + Send + Sync>;
    ///
    /// let notes = GenericStore::<Vec<u8>, _, _>::new(Memory::new(), Raw, Namespace::root());
    /// notes.put("a", &b"one".to_vec()).await?;
    /// let values = notes.values_or::<BoxError>(ScanOptions::default());
    /// assert_eq!(values.try_collect::<Vec<_>>().await?, [b"one"]);
    /// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
    /// # }).unwrap();
    /// ```
    pub fn values_or<E: From<Error> + Send + 'static>(
        &self,
        options: ScanOptions,
    ) -> BoxStream<'_, Result<T, E>> {
        self.fetch(options, None, |_, value, _| value)
    }

    /// The records' keys, in the object store's order, without reading the records.
    pub fn keys(&self, options: ScanOptions) -> BoxStream<'_, Result<String>> {
        self.entries(options, None, false)
            .map_ok(|entry| self.record_key(&entry.key).unwrap_or_default().to_owned())
            .boxed()
    }

    /// How many records there are whose keys start with `prefix`.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn count(&self, prefix: &str) -> Result<u64> {
        self.entries(ScanOptions::prefix(prefix), None, false)
            .try_fold(0, |count, _| future::ok(count + 1))
            .await
    }

    /// Whether there is a record whose key starts with `prefix`. One list request of one key,
    /// unless objects lie there that are no records.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn exists_prefix(&self, prefix: &str) -> Result<bool> {
        Ok(self.first_entry(prefix, false).await?.is_some())
    }

    /// The first record, in the object store's order, whose key starts with `prefix` and that
    /// `matches`.
    ///
    /// If the very first one does, that took one list request of one key and at most one get. A
    /// record that cannot be decoded is passed over if a later one matches.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{GenericStore, Json, Namespace};
    /// use storehouse_objectstore::Memory;
    ///
    /// let ages = GenericStore::<u32, _, _>::new(Memory::new(), Json, Namespace::root());
    /// for (name, age) in [("user/ann", 30), ("user/bob", 40), ("user/eve", 50)] {
    ///     ages.put(name, &age).await?;
    /// }
    /// assert_eq!(ages.first("user/", |age| *age > 30).await?.unwrap().key, "user/bob");
    /// assert!(ages.first("user/", |age| *age > 50).await?.is_none());
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Decode`] or [`Error::TooLarge`] of the first such record, if no
    /// other matches.
    pub async fn first(
        &self,
        prefix: &str,
        mut matches: impl FnMut(&T) -> bool + Send,
    ) -> Result<Option<Record<T>>> {
        let Some(first) = self.first_entry(prefix, true).await? else {
            return Ok(None);
        };
        let mut failed = None;
        let after = first.key.clone();
        match self.record(first).await {
            Ok(Some(record)) if matches(&record.value) => return Ok(Some(record)),
            Ok(_) => {}
            Err(e) if e.is_record() => failed = Some(e),
            Err(e) => return Err(e),
        }
        let mut rest = self.fetch::<_, Error>(ScanOptions::prefix(prefix), Some(after), record_of);
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

    async fn first_entry(&self, prefix: &str, values: bool) -> Result<Option<Entry>> {
        let listed = ListOptions::default()
            .prefix(self.listed(prefix))
            .limit(1)
            .inline_values(values.then_some(self.limit));
        match self.store.list(listed).try_next().await? {
            None => Ok(None),
            Some(entry) if self.record_key(&entry.key).is_some() => Ok(Some(entry)),
            Some(other) => {
                self.entries(ScanOptions::prefix(prefix), Some(other.key), values)
                    .try_next()
                    .await
            }
        }
    }

    fn listed(&self, prefix: &str) -> String {
        format!("{}{prefix}", self.namespace().prefix())
    }

    /// The listing of what may be records, with their bytes where `values` are asked for
    /// and the object store has them at no extra cost.
    fn list(
        &self,
        options: ScanOptions,
        after: Option<Key>,
        values: bool,
    ) -> Result<BoxStream<'static, StoreResult<Entry>>> {
        let start_after = options
            .start_after
            .map(|key| self.namespace().object_key(&key))
            .transpose()?;
        let (prefix, inline_values) = (self.listed(&options.prefix), values.then_some(self.limit));
        Ok(self.store.list(
            ListOptions::default()
                .prefix(prefix)
                .start_after(after.or(start_after))
                .inline_values(inline_values),
        ))
    }

    /// The objects of records.
    fn entries(
        &self,
        options: ScanOptions,
        after: Option<Key>,
        values: bool,
    ) -> BoxStream<'_, Result<Entry>> {
        match self.list(options, after, values) {
            Ok(listed) => listed
                .map_err(Error::from)
                .try_filter_map(|entry| {
                    future::ready(Ok(self.record_key(&entry.key).is_some().then_some(entry)))
                })
                .boxed(),
            Err(e) => stream::once(future::err(e)).boxed(),
        }
    }

    /// What `make` makes of each record's key, the record and its tag, in the object store's order.
    fn fetch<'a, R: Send + 'static, E: From<Error> + Send + 'static>(
        &'a self,
        options: ScanOptions,
        after: Option<Key>,
        make: impl Fn(&str, T, &ETag) -> R + Copy + Send + Sync + 'a,
    ) -> BoxStream<'a, Result<R, E>> {
        let listed = match self.list(options, after, true) {
            Ok(listed) => listed,
            Err(e) => return stream::once(future::err(e.into())).boxed(),
        };
        let made = move |entry: &Entry, bytes: &Bytes| {
            let key = self.record_key(&entry.key)?;
            Some(match self.decode(&entry.key, bytes) {
                Ok(value) => Ok(make(key, value, &entry.metadata.etag)),
                Err(e) => Err(e.into()),
            })
        };
        let fetched = move |mut entry: Entry| -> Option<Fetch<'a, R, E>> {
            self.record_key(&entry.key)?;
            Some(Box::pin(async move {
                match self.read_bytes(&entry.key).await {
                    Ok((bytes, etag)) => {
                        entry.metadata.etag = etag;
                        made(&entry, &bytes)
                    }
                    Err(e) if e.is_not_found() => None,
                    Err(e) => Some(Err(e.into())),
                }
            }))
        };
        Box::pin(ReadAhead::new(listed, made, fetched, self.read_ahead))
    }

    /// The record of a listed object; `None` if it is gone.
    async fn record(&self, mut entry: Entry) -> Result<Option<Record<T>>> {
        let read = match entry.value.take() {
            Some(value) => Ok((value, entry.metadata.etag)),
            None => self.read_bytes(&entry.key).await,
        };
        match read {
            Ok((bytes, etag)) => {
                let value = self.decode(&entry.key, &bytes)?;
                Ok(Some(Record {
                    key: self.record_key(&entry.key).unwrap_or_default().to_owned(),
                    value,
                    etag,
                }))
            }
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

fn record_of<T>(key: &str, value: T, etag: &ETag) -> Record<T> {
    Record {
        key: key.to_owned(),
        value,
        etag: etag.clone(),
    }
}
