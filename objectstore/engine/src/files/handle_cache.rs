//! Open file handles kept between short reads: opening and closing a file takes longer than reading
//! a little of it.
//!
//! Each use asks the kernel whether the handle's file is still the one with the name. Unlinking it,
//! renaming it, and renaming another file over it all change its link count or change time, in this
//! process or another; so what a Go node does in the same directory shows too. (Two files that swap
//! names by `RENAME_EXCHANGE` show nothing on XFS and F2FS; no program does that to objects.) This
//! holds on the file systems that [`Sys::shows_changes`](super::sys::Sys::shows_changes)
//! knows; on others nothing is cached.

// The fields of `stat` have other types on other systems.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Stat, fstat};
use rustix::process::{Resource, getrlimit};

use storehouse_objectstore::{Key, Metadata};

/// The cache takes at most one in this many of the handles that the process may have.
const SHARE: u64 = 16;

/// The most handles, whatever is asked for.
const MOST: usize = 1 << 16;

/// The most handles of a set. Each key belongs to one set, so readers of other keys rarely wait for
/// the same lock.
const WAYS: usize = 4;

/// The cache. Empty by default.
///
/// ```
/// use std::fs::File;
/// use std::time::Duration;
/// use storehouse_engine::files::{HandleCache, Vacancy, describe, metadata};
/// use storehouse_objectstore::{Key, Operation};
///
/// # let dir = tempfile::tempdir()?;
/// let (path, key) = (dir.path().join("a"), Key::new("a")?);
/// std::fs::write(&path, "hello")?;
/// let cache = HandleCache::new(16, Duration::ZERO);
/// assert!(cache.find(&key).is_err());
/// let vacancy = cache.find(&key).unwrap_err(); // a key that misses twice has a place
///
/// let file = File::open(&path)?;
/// let stat = describe(Operation::Get, &key, &file)?;
/// cache.insert(vacancy, &key, file, &stat, &metadata(&stat));
/// assert_eq!(cache.find(&key).unwrap().metadata.size, 5);
///
/// std::fs::remove_file(&path)?;
/// assert!(cache.find(&key).is_err(), "the file lost its name");
/// cache.invalidate(&key); // what a store does when it changes an object itself
///
/// // Without a place nothing is cached.
/// std::fs::write(&path, "hello")?;
/// cache.insert(Vacancy::none(), &key, File::open(&path)?, &stat, &metadata(&stat));
/// assert!(cache.find(&key).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct HandleCache {
    sets: Box<[Mutex<HandleSet>]>,
    /// The most handles of each set.
    ways: usize,
    /// The age that a file's last change must have: a further change of a younger file could have
    /// the same time.
    min_age: Duration,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct HandleSet {
    /// Most recently used first.
    handles: Vec<Arc<CachedHandle>>,
    /// Hashes of the keys that missed last, latest first: a key that misses twice is cached.
    missed: [u64; WAYS],
    /// How often a handle was dropped because its object changed.
    invalidations: u64,
}

/// An open file.
#[derive(Debug)]
pub struct CachedHandle {
    key: Key,
    pub file: File,
    pub metadata: Metadata,
    state: FileState,
}

/// A place for a key's handle: its set's state and the time before the file was opened. If an
/// object of the set changes after that, the handle is not cached: it would pin a deleted file's
/// blocks.
#[derive(Debug)]
pub struct Vacancy(Option<(u64, SystemTime)>);

impl Vacancy {
    /// No place.
    ///
    /// ```
    /// use std::time::Duration;
    /// use storehouse_engine::files::{HandleCache, Vacancy};
    ///
    /// let place: Vacancy = Vacancy::none(); // for a read that must not fill the cache
    /// assert!(format!("{place:?}").contains("None"));
    /// ```
    pub fn none() -> Self {
        Self(None)
    }
}

/// Every change of a file alters at least one of these.
#[derive(Debug, PartialEq, Eq)]
struct FileState {
    links: u64,
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl FileState {
    fn of(stat: &Stat) -> Self {
        Self {
            links: stat.st_nlink as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether the last change was at least `min_age` ago at `now`.
    fn is_older(&self, min_age: Duration, now: SystemTime) -> bool {
        let Ok(seconds) = u64::try_from(self.changed.0) else {
            return false;
        };
        let changed = UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds) + Duration::from_nanos(self.changed.1));
        changed.is_some_and(|changed| now.duration_since(changed).is_ok_and(|age| age >= min_age))
    }
}

impl HandleSet {
    fn vacancy(&self) -> Vacancy {
        Vacancy(Some((self.invalidations, SystemTime::now())))
    }
}

impl HandleCache {
    /// At most `most` handles (inclusive), of files whose last change is at least `min_age` old.
    /// Never more than a sixteenth of the handles that the process may have.
    pub fn new(most: usize, min_age: Duration) -> Self {
        let may_open = getrlimit(Resource::Nofile).current;
        let most = may_open.map_or(most, |may_open| {
            usize::try_from(may_open / SHARE).map_or(most, |share| most.min(share))
        });
        let ways = most.min(WAYS);
        let sets = most.min(MOST).checked_div(ways).unwrap_or(0);
        Self {
            sets: (0..sets).map(|_| Mutex::default()).collect(),
            ways,
            min_age,
            hasher: RandomState::new(),
        }
    }

    /// The key's set, and the key's hash.
    fn set(&self, key: &Key) -> Option<(MutexGuard<'_, HandleSet>, u64)> {
        if self.sets.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let set = &self.sets[hash as usize % self.sets.len()];
        Some((set.lock().unwrap_or_else(PoisonError::into_inner), hash))
    }

    /// The object's handle, if it is cached and still the object's.
    ///
    /// # Errors
    /// A place for the handle of the file that the caller opens instead.
    pub fn find(&self, key: &Key) -> Result<Arc<CachedHandle>, Vacancy> {
        let Some((mut set, hash)) = self.set(key) else {
            return Err(Vacancy::none());
        };
        let Some(at) = set.handles.iter().position(|handle| handle.key == *key) else {
            if set.missed.contains(&hash) {
                return Err(set.vacancy());
            }
            set.missed.rotate_right(1);
            set.missed[0] = hash;
            return Err(Vacancy::none());
        };
        set.handles[..=at].rotate_right(1);
        let handle = Arc::clone(&set.handles[0]);
        drop(set);
        if fstat(&handle.file).is_ok_and(|stat| FileState::of(&stat) == handle.state) {
            return Ok(handle);
        }
        let vacancy = self.invalidate(key);
        close(handle);
        Err(vacancy)
    }

    /// Caches a handle that was opened for a read, in place of the least recently used one of its
    /// set.
    pub fn insert(
        &self,
        vacancy: Vacancy,
        key: &Key,
        file: File,
        stat: &Stat,
        metadata: &Metadata,
    ) {
        let state = FileState::of(stat);
        let Vacancy(Some((invalidations, opened))) = vacancy else {
            return;
        };
        if !state.is_older(self.min_age, opened) {
            return;
        }
        let handle = Arc::new(CachedHandle {
            key: key.clone(),
            file,
            metadata: metadata.clone(),
            state,
        });
        let Some((mut set, _)) = self.set(key) else {
            return;
        };
        if set.invalidations != invalidations || set.handles.iter().any(|other| other.key == *key) {
            return;
        }
        let evicted = if set.handles.len() < self.ways {
            None
        } else {
            set.handles.pop()
        };
        set.handles.insert(0, handle);
        drop(set);
        evicted.into_iter().for_each(close);
    }

    /// Drops the handle of an object that changed.
    pub fn invalidate(&self, key: &Key) -> Vacancy {
        let Some((mut set, _)) = self.set(key) else {
            return Vacancy::none();
        };
        set.invalidations += 1;
        let at = set.handles.iter().position(|handle| handle.key == *key);
        let stale = at.map(|at| set.handles.remove(at));
        let vacancy = set.vacancy();
        drop(set);
        stale.into_iter().for_each(close);
        vacancy
    }
}

/// Drops a handle. The last close of an unlinked file frees its blocks, which can be slow, so it
/// runs on the blocking pool.
fn close(handle: Arc<CachedHandle>) {
    let is_unlinked = fstat(&handle.file).is_ok_and(|stat| stat.st_nlink == 0);
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if is_unlinked => drop(runtime.spawn_blocking(move || drop(handle))),
        _ => drop(handle),
    }
}
