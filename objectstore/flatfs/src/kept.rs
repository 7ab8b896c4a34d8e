//! Files kept open between short reads: to open and close a file takes longer than to read a little
//! of it.
//!
//! A kept file is asked each time whether it is still the one that has the name. Unlinking it,
//! renaming it, and renaming another over it all change its link count or its change time, whoever
//! does it; so what a Go node does in the same directory shows as well. (Two files that swap names
//! with `RENAME_EXCHANGE` show nothing on XFS and F2FS. Nobody has a reason to do that to objects.)
//! That holds on the file systems that [`Sys::tells_of_changes`](super::sys::Sys::tells_of_changes)
//! knows; elsewhere nothing is kept.

// The fields of `stat` have other types on other systems.
#![allow(clippy::unnecessary_cast, clippy::useless_conversion)]

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Stat, fstat};
use rustix::process::{Resource, getrlimit};

use storehouse_objectstore::{Key, Metadata};

/// The most files that are kept. At most a sixteenth of what the process may open, so that nobody
/// else misses them.
const MOST: usize = 256;
const SHARE: u64 = 16;

/// The most files of a set: a key has one set where it may be, so that no reader waits for those of
/// other keys.
const WAYS: usize = 4;

/// The store's files that are kept open; none by default.
#[derive(Debug, Default)]
pub(super) struct Kept {
    sets: Box<[Mutex<Set>]>,
    /// How long ago a file's last change must be: the next change of a younger one could have the
    /// same time.
    settled: Duration,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Set {
    /// The one used last comes first.
    files: Vec<Arc<KeptFile>>,
    /// Hashes of the keys that were looked for last and not found, the latest first: whoever comes
    /// a second time will come again.
    missed: [u64; WAYS],
    /// How often one was taken out because it was changed.
    forgotten: u64,
}

/// A file that is open.
#[derive(Debug)]
pub(super) struct KeptFile {
    key: Key,
    pub(super) file: File,
    pub(super) metadata: Metadata,
    version: Version,
}

/// The state of a key's set, and the time, before its file was opened. If an object of the set is
/// changed after that, the file is not kept: it would take up the disk's space for nothing.
#[derive(Debug)]
pub(super) struct Vacancy(Option<(u64, SystemTime)>);

impl Vacancy {
    /// No place.
    pub(super) fn none() -> Self {
        Self(None)
    }
}

/// Every change alters at least one of these.
#[derive(Debug, PartialEq, Eq)]
struct Version {
    links: u64,
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Version {
    fn of(stat: &Stat) -> Self {
        Self {
            links: stat.st_nlink as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether the last change was that long ago at `now`.
    fn is_settled(&self, settled: Duration, now: SystemTime) -> bool {
        let Ok(seconds) = u64::try_from(self.changed.0) else {
            return false;
        };
        let changed = UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds) + Duration::from_nanos(self.changed.1));
        changed.is_some_and(|changed| now.duration_since(changed).is_ok_and(|age| age >= settled))
    }
}

impl Set {
    fn vacancy(&self) -> Vacancy {
        Vacancy(Some((self.forgotten, SystemTime::now())))
    }
}

impl Kept {
    /// As many as this process can spare, of those whose last change is so long ago.
    pub(super) fn new(settled: Duration) -> Self {
        let may_open = getrlimit(Resource::Nofile).current;
        let most = may_open.map_or(MOST, |most| {
            usize::try_from(most / SHARE).map_or(MOST, |most| most.min(MOST))
        });
        Self {
            sets: (0..most / WAYS).map(|_| Mutex::default()).collect(),
            settled,
            hasher: RandomState::new(),
        }
    }

    /// Where a key's file may be, and the key's hash.
    fn set(&self, key: &Key) -> Option<(MutexGuard<'_, Set>, u64)> {
        let hash = self.hasher.hash_one(key);
        let set = self
            .sets
            .get((hash as usize).checked_rem(self.sets.len())?)?;
        Some((set.lock().unwrap_or_else(PoisonError::into_inner), hash))
    }

    /// The object's file, if it is kept and still the object's.
    pub(super) fn find(&self, key: &Key) -> Result<Arc<KeptFile>, Vacancy> {
        let Some((mut set, hash)) = self.set(key) else {
            return Err(Vacancy::none());
        };
        let Some(at) = set.files.iter().position(|kept| kept.key == *key) else {
            if set.missed.contains(&hash) {
                return Err(set.vacancy());
            }
            set.missed.rotate_right(1);
            set.missed[0] = hash;
            return Err(Vacancy::none());
        };
        set.files[..=at].rotate_right(1);
        let kept = Arc::clone(&set.files[0]);
        drop(set);
        if fstat(&kept.file).is_ok_and(|stat| Version::of(&stat) == kept.version) {
            return Ok(kept);
        }
        let vacancy = self.forget(key);
        close(kept);
        Err(vacancy)
    }

    /// Keeps a file that was opened for a read, in place of the one of its set that was not used
    /// for the longest time.
    pub(super) fn keep(
        &self,
        vacancy: Vacancy,
        key: &Key,
        file: File,
        stat: &Stat,
        metadata: &Metadata,
    ) {
        let version = Version::of(stat);
        let Vacancy(Some((forgotten, opened))) = vacancy else {
            return;
        };
        if !version.is_settled(self.settled, opened) {
            return;
        }
        let kept = Arc::new(KeptFile {
            key: key.clone(),
            file,
            metadata: metadata.clone(),
            version,
        });
        let Some((mut set, _)) = self.set(key) else {
            return;
        };
        if set.forgotten != forgotten || set.files.iter().any(|kept| kept.key == *key) {
            return;
        }
        let least = if set.files.len() < WAYS {
            None
        } else {
            set.files.pop()
        };
        set.files.insert(0, kept);
        drop(set);
        least.into_iter().for_each(close);
    }

    /// Closes the object's file, which was changed.
    pub(super) fn forget(&self, key: &Key) -> Vacancy {
        let Some((mut set, _)) = self.set(key) else {
            return Vacancy::none();
        };
        set.forgotten += 1;
        let at = set.files.iter().position(|kept| kept.key == *key);
        let changed = at.map(|at| set.files.remove(at));
        let vacancy = set.vacancy();
        drop(set);
        changed.into_iter().for_each(close);
        vacancy
    }
}

/// Closes a file, unless somebody still reads it. If it has lost its name that frees its bytes,
/// which may take long for a long file: not on this thread, if another can.
fn close(kept: Arc<KeptFile>) {
    let is_removed = fstat(&kept.file).is_ok_and(|stat| stat.st_nlink == 0);
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) if is_removed => drop(runtime.spawn_blocking(move || drop(kept))),
        _ => drop(kept),
    }
}
