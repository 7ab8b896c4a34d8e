//! Declaring indexes.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use storehouse_objectstore::Key;

use super::entry::{Entry, Pointer, TextPointer, default_entries, escape};
use super::locks::Locks;
use crate::{Error, Namespace, Result};

type KeysOf<T> = Arc<dyn Fn(&T) -> Vec<String> + Send + Sync>;

/// What a store knows of an index.
pub struct Definition<T> {
    name: String,
    keys: KeysOf<T>,
    entries: Option<Namespace>,
    kind: IndexKind,
}

impl<T> Clone for Definition<T> {
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            keys: Arc::clone(&self.keys),
            entries: self.entries.clone(),
            kind: self.kind.clone(),
        }
    }
}

#[derive(Clone)]
pub(super) enum IndexKind {
    Unique {
        pointer: Arc<dyn Pointer>,
        contested: Contested,
    },
    Multi,
}

/// Which record a unique index leads to if two have the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Contested {
    /// The put of the second one is refused.
    Refused,
    First,
    Last,
}

/// An index of records of type `T`: a [`UniqueIndex`] or a [`MultiIndex`].
pub trait IndexedBy<T>: sealed::Sealed {
    #[doc(hidden)]
    fn definition(&self) -> Arc<Definition<T>>;
}

mod sealed {
    pub trait Sealed {}
}

/// An index that leads from a key of type `K` to at most one record.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use storehouse_genericstore::index::{TextPointer, UniqueIndex};
/// use storehouse_genericstore::{GenericStore, Json, Namespace};
/// use storehouse_objectstore::Memory;
///
/// let by_name = UniqueIndex::new("name", |user: &(String, u32)| vec![user.0.clone()])
///     .last_wins() // or first_wins(); without either a second record of one key is refused
///     .pointer_format(TextPointer)
///     .in_namespace(Namespace::new("user-by-name/", "")?);
/// let users = GenericStore::new(Memory::new(), Json, Namespace::new("user/", "")?)
///     .with_index(&by_name)?;
/// users.put("1", &("ann".to_owned(), 30)).await?;
/// users.put("2", &("ann".to_owned(), 31)).await?;
/// assert_eq!(users.find(&by_name, &"ann".to_owned()).await?.unwrap().key, "2");
///
/// let by_name = UniqueIndex::new("name", |user: &(String, u32)| vec![user.0.clone()]).first_wins();
/// let users = GenericStore::new(Memory::new(), Json, Namespace::new("user/", "")?)
///     .with_index(&by_name)?;
/// users.put("1", &("ann".to_owned(), 30)).await?;
/// users.put("2", &("ann".to_owned(), 31)).await?;
/// assert_eq!(users.find(&by_name, &"ann".to_owned()).await?.unwrap().key, "1");
/// let report = users.repair().await?;
/// assert_eq!(report, users.repair().await?, "there was nothing to repair");
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
pub struct UniqueIndex<T, K>(Arc<Definition<T>>, PhantomData<fn(&K)>);

/// An index that leads from a key of type `K` to any number of records.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use futures_util::TryStreamExt;
/// use storehouse_genericstore::index::MultiIndex;
/// use storehouse_genericstore::{GenericStore, Json, Namespace};
/// use storehouse_objectstore::Memory;
///
/// let by_tag = MultiIndex::new("tag", |tags: &Vec<String>| tags.clone())
///     .in_namespace(Namespace::new("note-by-tag/", "")?);
/// let notes = GenericStore::new(Memory::new(), Json, Namespace::new("note/", "")?)
///     .with_index(&by_tag)?;
/// notes.put("1", &vec!["home".to_owned(), "urgent".to_owned()]).await?;
/// notes.put("2", &vec!["home".to_owned()]).await?;
/// let home: Vec<_> = notes.find_all(&by_tag, &"home".to_owned()).try_collect().await?;
/// assert_eq!(home.len(), 2);
///
/// notes.delete("1").await?;
/// let urgent: Vec<_> = notes.find_all(&by_tag, &"urgent".to_owned()).try_collect().await?;
/// assert!(urgent.is_empty());
/// # Ok::<(), storehouse_genericstore::Error>(())
/// # }).unwrap();
/// ```
pub struct MultiIndex<T, K>(Arc<Definition<T>>, PhantomData<fn(&K)>);

macro_rules! common {
    ($($index:ident),*) => {$(
        impl<T, K> sealed::Sealed for $index<T, K> {}

        impl<T, K> $index<T, K> {
            /// With its entries in this namespace of the object store.
            #[must_use]
            pub fn in_namespace(self, namespace: Namespace) -> Self {
                self.change(|definition| definition.entries = Some(namespace))
            }

            fn change(self, change: impl FnOnce(&mut Definition<T>)) -> Self {
                let mut definition = Definition::clone(&self.0);
                change(&mut definition);
                Self(Arc::new(definition), PhantomData)
            }
        }

        impl<T, K> IndexedBy<T> for $index<T, K> {
            fn definition(&self) -> Arc<Definition<T>> {
                Arc::clone(&self.0)
            }
        }

        impl<T, K> Clone for $index<T, K> {
            fn clone(&self) -> Self {
                Self(Arc::clone(&self.0), PhantomData)
            }
        }

        impl<T, K> fmt::Debug for $index<T, K> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($index)).field(&self.0.name).finish()
            }
        }
    )*};
}

common!(UniqueIndex, MultiIndex);

impl<T: 'static, K: ToString + 'static> UniqueIndex<T, K> {
    /// The index `name`, in which a record is found by each of its `keys`. A put of a record with a
    /// key that another record holds is refused.
    pub fn new(
        name: impl Into<String>,
        keys: impl Fn(&T) -> Vec<K> + Send + Sync + 'static,
    ) -> Self {
        let kind = IndexKind::Unique {
            pointer: Arc::new(TextPointer),
            contested: Contested::Refused,
        };
        Self(
            Arc::new(Definition {
                name: name.into(),
                keys: texts(keys),
                entries: None,
                kind,
            }),
            PhantomData,
        )
    }

    /// A put of a record with a key that another record holds is not refused, and the key leads to
    /// the record that was put last. When that one gives it up, the key leads nowhere until it is
    /// put again or the store is [repaired](crate::GenericStore::repair), even if another record
    /// has it.
    #[must_use]
    pub fn last_wins(self) -> Self {
        self.contested(Contested::Last)
    }

    /// A put of a record with a key that another record holds is not refused, and the key still
    /// leads to the record that was put first. When that one gives it up, the key leads nowhere, as
    /// with [`last_wins`](Self::last_wins).
    #[must_use]
    pub fn first_wins(self) -> Self {
        self.contested(Contested::First)
    }

    fn contested(self, which: Contested) -> Self {
        self.change(|definition| {
            if let IndexKind::Unique { contested, .. } = &mut definition.kind {
                *contested = which;
            }
        })
    }

    /// With records' keys written in the entries in another form.
    #[must_use]
    pub fn pointer_format(self, form: impl Pointer) -> Self {
        self.change(|definition| {
            if let IndexKind::Unique { pointer, .. } = &mut definition.kind {
                *pointer = Arc::new(form);
            }
        })
    }
}

impl<T: 'static, K: ToString + 'static> MultiIndex<T, K> {
    /// The index `name`, in which a record is found by each of its `keys`.
    pub fn new(
        name: impl Into<String>,
        keys: impl Fn(&T) -> Vec<K> + Send + Sync + 'static,
    ) -> Self {
        Self(
            Arc::new(Definition {
                name: name.into(),
                keys: texts(keys),
                entries: None,
                kind: IndexKind::Multi,
            }),
            PhantomData,
        )
    }
}

fn texts<T: 'static, K: ToString + 'static>(
    keys: impl Fn(&T) -> Vec<K> + Send + Sync + 'static,
) -> KeysOf<T> {
    Arc::new(move |record| {
        let mut texts: Vec<String> = keys(record).iter().map(K::to_string).collect();
        texts.sort_unstable();
        texts.dedup();
        texts
    })
}

/// An index of a store, with the place of its entries.
pub(crate) struct Index<T> {
    pub(super) definition: Arc<Definition<T>>,
    pub(super) entries: Namespace,
}

impl<T> Index<T> {
    pub(super) fn name(&self) -> &str {
        &self.definition.name
    }

    pub(super) fn is_unique(&self) -> bool {
        matches!(self.definition.kind, IndexKind::Unique { .. })
    }

    /// Whether a put may take a key from the record that holds it.
    pub(super) fn takes_over(&self) -> bool {
        matches!(
            self.definition.kind,
            IndexKind::Unique {
                contested: Contested::Last,
                ..
            }
        )
    }

    pub(super) fn kind(&self) -> &IndexKind {
        &self.definition.kind
    }

    pub(super) fn texts(&self, record: &T) -> Vec<String> {
        (self.definition.keys)(record)
    }

    /// Whether entries lie in folders, rather than under plain names.
    pub(super) fn in_folders(&self) -> bool {
        self.entries.prefix().is_empty() || self.entries.prefix().ends_with('/')
    }

    /// What stands between index key and record key in an entry of a multi index.
    pub(super) fn separator(&self) -> char {
        if self.in_folders() { '/' } else { '+' }
    }

    /// The entry that leads from `text` to the record `key`.
    pub(super) fn entry(&self, text: &str, key: &str) -> Result<Entry> {
        let escaped = escape(text, self.in_folders());
        let (name, value) = match &self.definition.kind {
            IndexKind::Unique { pointer, .. } => {
                let value = pointer.encode(key).ok_or_else(|| Error::Config {
                    what: format!("index {:?}", self.name()),
                    reason: "it cannot point to such a record's key",
                })?;
                (escaped, value)
            }
            IndexKind::Multi => (
                format!("{escaped}{}{key}", self.separator()),
                bytes::Bytes::new(),
            ),
        };
        Ok(Entry {
            text: text.to_owned(),
            key: self.entries.object_key(&name)?,
            value,
        })
    }
}

/// The indexes of a store.
pub(crate) struct Indexes<T> {
    pub(super) all: Vec<Arc<Index<T>>>,
    pub(super) locks: Arc<Locks>,
}

impl<T> Default for Indexes<T> {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            locks: Arc::default(),
        }
    }
}

impl<T> fmt::Debug for Indexes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.all.iter().map(|index| index.name()))
            .finish()
    }
}

impl<T> Indexes<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether an object lies among the entries.
    pub(crate) fn holds(&self, key: &Key) -> bool {
        self.all
            .iter()
            .any(|index| key.as_str().starts_with(index.entries.prefix()))
    }

    pub(crate) fn with(&self, definition: Arc<Definition<T>>, records: &Namespace) -> Result<Self> {
        let wrong = |reason| Error::Config {
            what: format!("index {:?}", definition.name),
            reason,
        };
        let entries = match &definition.entries {
            Some(entries) => entries.clone(),
            None => default_entries(records, &definition.name)?,
        };
        // Entries are told from records, and from those of other indexes, by their prefix.
        if records.prefix().starts_with(entries.prefix()) {
            return Err(wrong("its entries would lie around the records"));
        }
        let clash = |other: &Index<T>| {
            other.entries.prefix().starts_with(entries.prefix())
                || entries.prefix().starts_with(other.entries.prefix())
        };
        if self.all.iter().any(|other| clash(other)) {
            return Err(wrong("its entries would lie among those of another index"));
        }
        let mut all = self.all.clone();
        all.push(Arc::new(Index {
            definition,
            entries,
        }));
        Ok(Self {
            all,
            locks: Arc::clone(&self.locks),
        })
    }

    pub(super) fn find(&self, wanted: &Arc<Definition<T>>) -> Result<&Arc<Index<T>>> {
        self.all
            .iter()
            .find(|index| Arc::ptr_eq(&index.definition, wanted))
            .ok_or_else(|| Error::Config {
                what: format!("index {:?}", wanted.name),
                reason: "it is not one of this store",
            })
    }
}
