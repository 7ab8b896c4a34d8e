//! What a sorted key-value engine does for a record store.

use std::fmt::Debug;
use std::ops::{Bound, ControlFlow};
use std::path::Path;

use storehouse_objectstore::Result;

use super::fault::Fault;

/// What [`Engine::scan`] calls with each key and its value; it ends the scan by a break.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A sorted map of bytes to bytes in a directory, by some library.
///
/// All methods block. Reads see whole writes: what one [`Engine::write`] did, or nothing of it.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::collections::BTreeMap;
/// use std::path::Path;
/// use std::sync::RwLock;
/// use storehouse_engine::{Engine, EngineStats, Fault, Limits, RecordStore, Span, Visit};
/// use storehouse_objectstore::{Key, ObjectStoreExt, Result};
///
/// /// A map in memory, so this is no store to keep anything in.
/// #[derive(Default)]
/// struct Map(RwLock<BTreeMap<Vec<u8>, Vec<u8>>>);
///
/// impl Engine for Map {
///     const NAME: &'static str = "map";
///     const UNSYNCED_SURVIVES_PROCESS: bool = false;
///     const KEEPS_DELETIONS: bool = false;
///     type Options = ();
///
///     fn limits(_: &()) -> Limits {
///         Limits::new(1 << 20, false)
///     }
///
///     fn open(
///         _dir: &Path,
///         _: &(),
///         _unused: bool,
///         accept: &dyn Fn(&Self) -> Result<()>,
///     ) -> Result<Self> {
///         let map = Self::default();
///         accept(&map)?;
///         Ok(map)
///     }
///
///     fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault> {
///         Ok(self.0.read().unwrap().get(key).map(|value| read(value)))
///     }
///
///     fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault> {
///         let map = self.0.read().unwrap();
///         if span.is_empty() {
///             return Ok(());
///         }
///         let mut records = map.range::<[u8], _>(span.bounds());
///         let next = || if span.reverse { records.next_back() } else { records.next() };
///         for (key, value) in std::iter::from_fn(next) {
///             if visit(key, value).is_break() {
///                 break;
///             }
///         }
///         Ok(())
///     }
///
///     fn write(&self, changes: &[(&[u8], Option<&[u8]>)], _sync: bool) -> Result<(), Fault> {
///         let mut map = self.0.write().unwrap();
///         for (key, value) in changes {
///             match value {
///                 Some(value) => drop(map.insert(key.to_vec(), value.to_vec())),
///                 None => drop(map.remove(*key)),
///             }
///         }
///         Ok(())
///     }
///
///     fn compact(&self) -> Result<(), Fault> {
///         Ok(())
///     }
///
///     fn verify(&self) -> Result<Vec<String>, Fault> {
///         Ok(Vec::new())
///     }
///
///     fn stats(&self) -> Result<EngineStats, Fault> {
///         let records = self.0.read().unwrap().len() as u64;
///         Ok(EngineStats { records, ..EngineStats::default() })
///     }
///
///     fn has_stopped(&self) -> bool {
///         false
///     }
///
///     fn room_to_reopen(&self) -> u64 {
///         0
///     }
///
///     fn room_to_write(&self, _operations: u64, bytes: u64, _only_removes: bool) -> u64 {
///         bytes
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// let store = RecordStore::<Map>::open(dir.path(), ()).await?;
/// let key = Key::new("a")?;
/// store.put(&key, "a record").await?;
/// assert_eq!(store.get_bytes(&key, 1024).await?, "a record");
/// assert!(store.check().await?.is_sound());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub trait Engine: Send + Sync + Sized + 'static {
    /// The engine's name, at most 8 bytes of ASCII. A directory stays with one engine.
    const NAME: &'static str;

    /// Whether [`Engine::write`] can do without a sync and still survive a crash of the process.
    const UNSYNCED_SURVIVES_PROCESS: bool;

    /// Whether scans pass what was removed, until the files are compacted.
    const KEEPS_DELETIONS: bool;

    /// The options of opening.
    type Options: Clone + Debug + Send + Sync + 'static;

    /// The limits that the options set.
    fn limits(options: &Self::Options) -> Limits;

    /// Opens what is in `dir`, which exists, or makes an empty map there. `unused` says that
    /// nothing in it was ever acknowledged: what a crash left of making it may be removed.
    ///
    /// `accept` judges what was opened. If it refuses, this returns its error and leaves the files
    /// as they were before.
    ///
    /// # Errors
    /// What `accept` says; [`Error::Backend`](storehouse_objectstore::Error::Backend) if the files
    /// cannot be opened.
    fn open(
        dir: &Path,
        options: &Self::Options,
        unused: bool,
        accept: &dyn Fn(&Self) -> Result<()>,
    ) -> Result<Self>;

    /// Reads the value of `key` with `read`; `None` if there is none.
    ///
    /// # Errors
    /// A [`Fault`] if it cannot be read.
    fn get<T>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> T) -> Result<Option<T>, Fault>;

    /// Visits keys and values of `span` in its order, as they were at one moment, until `visit`
    /// breaks.
    ///
    /// # Errors
    /// A [`Fault`] if it cannot go on.
    fn scan(&self, span: &Span, visit: &mut Visit<'_>) -> Result<(), Fault>;

    /// Applies `changes` together: a value, or `None` to remove the key. They are in byte order of
    /// keys, each key once. With `sync` they are durable when this returns. Never called twice at
    /// a time.
    ///
    /// # Errors
    /// A [`Fault`] if they may not have happened, all of them or none. Then no later write may
    /// succeed until the engine is opened again.
    fn write(&self, changes: &[(&[u8], Option<&[u8]>)], sync: bool) -> Result<(), Fault>;

    /// Rewrites the files so that what was removed or replaced takes up no room. Reads go on.
    ///
    /// # Errors
    /// A [`Fault`] if that failed. Nothing is lost.
    fn compact(&self) -> Result<(), Fault>;

    /// Reads everything that scans do not, such as checksums of the files' own, and says what is
    /// wrong. Scans are done by the caller.
    ///
    /// # Errors
    /// A [`Fault`] if the files cannot be read.
    fn verify(&self) -> Result<Vec<String>, Fault>;

    /// Sizes and counts, without reading much.
    ///
    /// # Errors
    /// A [`Fault`] if they cannot be read.
    fn stats(&self) -> Result<EngineStats, Fault>;

    /// Whether writes or reads have stopped, until the engine is opened again. An engine that was
    /// opened on a full disk, to be read alone, has stopped.
    fn has_stopped(&self) -> bool;

    /// The free bytes that opening again needs on the disk.
    fn room_to_reopen(&self) -> u64;

    /// The free bytes that a write of this many operations and bytes may need on the disk, now or
    /// later, for example when the engine writes its buffers to a table. Of a write that only
    /// removes this is what it needs at least: with less the reserve is given up before it, and it
    /// is tried all the same.
    fn room_to_write(&self, operations: u64, bytes: u64, only_removes: bool) -> u64;
}

/// Limits that a store keeps.
///
/// ```
/// use storehouse_engine::Limits;
///
/// let limits = Limits::new(1 << 20, false).reserve(64 << 10);
/// assert_eq!((limits.max_size, limits.salvage, limits.reserve), (1 << 20, false, 64 << 10));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest record, in bytes (inclusive).
    pub max_size: u64,
    /// Opens a store that has lost acknowledged writes.
    pub salvage: bool,
    /// The space that is kept back for opening and deleting on a full disk, in bytes; 0 for none.
    pub reserve: u64,
}

impl Limits {
    /// These limits, without a reserve.
    #[must_use]
    pub fn new(max_size: u64, salvage: bool) -> Self {
        Self {
            max_size,
            salvage,
            reserve: 0,
        }
    }

    /// With a reserve of this number of bytes.
    #[must_use]
    pub fn reserve(mut self, bytes: u64) -> Self {
        self.reserve = bytes;
        self
    }
}

/// Sizes and counts of an engine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// The bytes that the files take up on the disk.
    pub disk: u64,
    /// The number of records, at least. Engines may count deletions and replaced values too.
    pub records: u64,
    /// The bytes of the caches and buffers in memory, as far as the engine knows.
    pub memory: u64,
}

/// A range of keys and the direction to read it in.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::ops::Bound;
/// use storehouse_engine::Span;
///
/// let map = BTreeMap::from([(b"a".to_vec(), 1), (b"b".to_vec(), 2), (b"c".to_vec(), 3)]);
/// let span = Span::new(Bound::Excluded(b"a".to_vec()), Bound::Unbounded);
/// let found: Vec<_> = map.range::<[u8], _>(span.bounds()).map(|(_, value)| *value).collect();
/// assert_eq!(found, [2, 3]);
///
/// // `BTreeMap::range` panics for some spans without a key.
/// let none = Span::new(Bound::Excluded(b"a".to_vec()), Bound::Excluded(b"a".to_vec()));
/// assert!(none.is_empty() && !span.is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The least key.
    pub start: Bound<Vec<u8>>,
    /// The greatest key.
    pub end: Bound<Vec<u8>>,
    /// From the greatest key to the least.
    pub reverse: bool,
}

impl Span {
    /// The keys between two bounds, from the least to the greatest.
    #[must_use]
    pub fn new(start: Bound<Vec<u8>>, end: Bound<Vec<u8>>) -> Self {
        Self {
            start,
            end,
            reverse: false,
        }
    }

    /// Whether no key can be in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match (&self.start, &self.end) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(start), Bound::Included(end)) => start > end,
            (Bound::Included(start) | Bound::Excluded(start), Bound::Excluded(end))
            | (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        }
    }

    /// Its bounds, borrowed.
    #[must_use]
    pub fn bounds(&self) -> (Bound<&[u8]>, Bound<&[u8]>) {
        (
            self.start.as_ref().map(Vec::as_slice),
            self.end.as_ref().map(Vec::as_slice),
        )
    }
}
