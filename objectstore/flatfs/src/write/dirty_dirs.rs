//! The directories that a group of puts or deletes changed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;
use storehouse_engine::files::duplicate;

use super::super::directory::Directory;

/// Shards that were made and whose names may not be durable yet.
///
/// Every put into one of them syncs the store's directory too: the put that made the shard may not
/// have done so yet.
#[derive(Debug, Default)]
pub(crate) struct UnsyncedShards(Mutex<HashSet<String>>);

impl UnsyncedShards {
    fn with<T>(&self, f: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The shards that a group uses, each opened once, and which of them changed.
pub(crate) struct DirtyDirs<'a> {
    directory: &'a Directory,
    unsynced: &'a UnsyncedShards,
    open: HashMap<String, Arc<File>>,
    dirty: HashSet<String>,
}

impl<'a> DirtyDirs<'a> {
    pub(crate) fn new(directory: &'a Directory, unsynced: &'a UnsyncedShards) -> Self {
        Self {
            directory,
            unsynced,
            open: HashMap::new(),
            dirty: HashSet::new(),
        }
    }

    /// The directory of a shard, made if it does not exist.
    pub(crate) fn open_or_make(&mut self, shard: &str) -> io::Result<Arc<File>> {
        if let Some(dir) = self.open(shard)? {
            return Ok(dir);
        }
        // Before it appears, so that no other group takes it for one whose name is durable.
        self.unsynced
            .with(|unsynced| unsynced.insert(shard.to_owned()));
        match mkdirat(&self.directory.file, shard, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        self.open(shard)?
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory of a shard, if it exists.
    pub(crate) fn open(&mut self, shard: &str) -> io::Result<Option<Arc<File>>> {
        if let Some(dir) = self.open.get(shard) {
            return Ok(Some(Arc::clone(dir)));
        }
        let Some(dir) = self.directory.open_shard(shard)?.map(Arc::new) else {
            return Ok(None);
        };
        self.open.insert(shard.to_owned(), Arc::clone(&dir));
        Ok(Some(dir))
    }

    /// Marks a shard for the next [`sync`](Self::sync).
    pub(crate) fn mark(&mut self, shard: &str) {
        self.dirty.insert(shard.to_owned());
    }

    /// Syncs the marked shards, and the store's directory if it may not have their names durably.
    /// What failed, by shard.
    pub(crate) fn sync(
        &mut self,
        sync: impl Fn(&[&File]) -> Vec<io::Result<()>>,
    ) -> HashMap<String, io::Error> {
        let dirty = std::mem::take(&mut self.dirty);
        let shards: Vec<(&String, &Arc<File>)> = dirty
            .iter()
            .filter_map(|shard| self.open.get_key_value(shard))
            .collect();
        // Their names exist by now, so one sync of the store's directory covers them.
        let new: Vec<&String> = self.unsynced.with(|unsynced| {
            let names = shards.iter().map(|(shard, _)| *shard);
            names.filter(|shard| unsynced.contains(*shard)).collect()
        });
        let mut files: Vec<&File> = shards.iter().map(|(_, dir)| &***dir).collect();
        if !new.is_empty() {
            files.push(&self.directory.file);
        }
        let mut results = sync(&files);
        let names = if new.is_empty() {
            Ok(())
        } else {
            results.pop().unwrap_or(Ok(()))
        };
        let mut failures: HashMap<String, io::Error> = shards
            .iter()
            .zip(results)
            .filter_map(|((shard, _), result)| Some(((*shard).clone(), result.err()?)))
            .collect();
        match names {
            Ok(()) => self
                .unsynced
                .with(|unsynced| unsynced.retain(|shard| !new.contains(&shard))),
            Err(e) => failures.extend(new.into_iter().map(|new| (new.clone(), duplicate(&e)))),
        }
        failures
    }
}
