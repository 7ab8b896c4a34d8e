//! Finding records by what is in them.

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt, future, stream};
use storehouse_objectstore::{Key, ListOptions, ObjectStore};

use super::define::{Index, IndexKind, IndexedBy};
use super::entry::{escape, unescape};
use super::{MultiIndex, UniqueIndex};
use crate::{Codec, Error, GenericStore, Record, Result};

impl<T, C, S> GenericStore<T, C, S>
where
    T: Send + Sync + 'static,
    C: Codec<T>,
    S: ObjectStore,
{
    /// The record that holds `key` in the index, if one does. Two gets.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_genericstore::{Error, GenericStore, Json, Namespace, UniqueIndex};
    /// use storehouse_objectstore::Memory;
    ///
    /// let by_mail = UniqueIndex::new("mail", |user: &(String, u32)| vec![user.0.clone()]);
    /// let users = GenericStore::new(Memory::new(), Json, Namespace::new("user/", "")?)
    ///     .with_index(&by_mail)?;
    /// users.put("1", &("ann@example.org".to_owned(), 30)).await?;
    /// let ann = users.find(&by_mail, &"ann@example.org".to_owned()).await?.unwrap();
    /// assert_eq!((ann.key.as_str(), ann.value.1), ("1", 30));
    /// assert!(users.find(&by_mail, &"bob@example.org".to_owned()).await?.is_none());
    ///
    /// let twice = users.put("2", &("ann@example.org".to_owned(), 31)).await;
    /// assert!(matches!(twice, Err(Error::NotUnique { .. })));
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Decode`] and [`Error::TooLarge`] of the record,
    /// [`Error::IndexEntry`] of its entry, [`Error::Config`] if the index is not one of this store.
    pub async fn find<K: ToString>(
        &self,
        index: &UniqueIndex<T, K>,
        key: &K,
    ) -> Result<Option<Record<T>>> {
        let definition = index.definition();
        let index = self.indexes.find(&definition)?;
        let text = key.to_string();
        let Ok(entry) = index.entries.object_key(&escape(&text, index.in_folders())) else {
            return Ok(None);
        };
        let value = match self.read_bytes(&entry).await {
            Ok((value, _)) => value,
            Err(e) if e.is_not_found() => return Ok(None),
            Err(e) => return Err(e),
        };
        let IndexKind::Unique { pointer, .. } = index.kind() else {
            return Ok(None);
        };
        let key = pointer.decode(&value).ok_or(Error::IndexEntry {
            key: entry,
            reason: "it does not name a record",
        })?;
        self.pointed_to(index, key, &text).await
    }

    /// The records that have `key` in the index, in the order of their keys in the object store,
    /// fetched a bounded number ahead. Errors are as in [`scan`](Self::scan).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use futures_util::TryStreamExt;
    /// use storehouse_genericstore::{GenericStore, Json, MultiIndex, Namespace};
    /// use storehouse_objectstore::Memory;
    ///
    /// let by_colour = MultiIndex::new("colour", |fruit: &(String, u32)| vec![fruit.0.clone()]);
    /// let fruits = GenericStore::new(Memory::new(), Json, Namespace::new("fruit/", "")?)
    ///     .with_index(&by_colour)?;
    /// fruits.put("apple", &("red".to_owned(), 3)).await?;
    /// fruits.put("cherry", &("red".to_owned(), 90)).await?;
    /// fruits.put("banana", &("yellow".to_owned(), 2)).await?;
    /// let red = fruits.find_all(&by_colour, &"red".to_owned()).map_ok(|found| found.key);
    /// assert_eq!(red.try_collect::<Vec<_>>().await?, ["apple", "cherry"]);
    /// # Ok::<(), storehouse_genericstore::Error>(())
    /// # }).unwrap();
    /// ```
    pub fn find_all<K: ToString>(
        &self,
        index: &MultiIndex<T, K>,
        key: &K,
    ) -> BoxStream<'_, Result<Record<T>>> {
        let definition = index.definition();
        let index = match self.indexes.find(&definition) {
            Ok(index) => index,
            Err(e) => return stream::once(future::err(e)).boxed(),
        };
        let text = key.to_string();
        let prefix = format!(
            "{}{}{}",
            index.entries.prefix(),
            escape(&text, index.in_folders()),
            index.separator()
        );
        self.store
            .list(ListOptions::default().prefix(prefix))
            .map_err(Error::from)
            .map(move |entry| {
                let text = text.clone();
                async move {
                    match index.parse_multi(&entry?.key) {
                        Some((_, key)) => self.pointed_to(index, key, &text).await,
                        None => Ok(None),
                    }
                }
            })
            .buffered(self.read_ahead)
            .filter_map(|found| future::ready(found.transpose()))
            .boxed()
    }

    /// The record, if it is there and the entry is not stale.
    async fn pointed_to(
        &self,
        index: &Index<T>,
        key: String,
        text: &str,
    ) -> Result<Option<Record<T>>> {
        // A key that no record can have is an entry of somebody else's making.
        if self.object_key(&key).is_err() {
            return Ok(None);
        }
        match self.get_record(&key).await {
            Ok(record) => Ok(index
                .texts(&record.value)
                .iter()
                .any(|known| known == text)
                .then_some(record)),
            Err(e) if e.is_not_found() => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl<T> Index<T> {
    /// Index key and record key of a multi index's entry.
    pub(super) fn parse_multi(&self, entry: &Key) -> Option<(String, String)> {
        let (escaped, key) = self
            .entries
            .record_key(entry)?
            .split_once(self.separator())?;
        Some((unescape(escaped, self.in_folders())?, key.to_owned()))
    }

    /// Index key of a unique index's entry.
    pub(super) fn parse_unique(&self, entry: &Key) -> Option<String> {
        unescape(self.entries.record_key(entry)?, self.in_folders())
    }
}
