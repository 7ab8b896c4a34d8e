//! The directories that a group of puts or deletes changed.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{Mode, mkdirat};
use rustix::io::Errno;

use super::store::Store;

/// Shards that were made, but whose names may not be durable yet.
///
/// Whoever puts into one of these syncs the store's directory too: the put that made the shard may
/// not have come to that.
#[derive(Debug, Default)]
pub(super) struct Young(Mutex<HashSet<String>>);

impl Young {
    fn with<T>(&self, f: impl FnOnce(&mut HashSet<String>) -> T) -> T {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shards in use by a group, each opened once, and which of them changed.
#[derive(Default)]
pub(super) struct Changed {
    open: HashMap<String, Arc<File>>,
    changed: HashSet<String>,
}

impl Changed {
    /// The directory of a shard, made if it is not there.
    pub(super) fn shard(&mut self, store: &Store, shard: &str) -> io::Result<Arc<File>> {
        if let Some(dir) = self.existing_shard(store, shard)? {
            return Ok(dir);
        }
        // Before it appears, so that nobody finds a shard there and takes it for an old one.
        store.young.with(|young| young.insert(shard.to_owned()));
        match mkdirat(&store.files.dir, shard, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e.into()),
        }
        self.existing_shard(store, shard)?
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The directory of a shard, if it is there.
    pub(super) fn existing_shard(
        &mut self,
        store: &Store,
        shard: &str,
    ) -> io::Result<Option<Arc<File>>> {
        if let Some(dir) = self.open.get(shard) {
            return Ok(Some(Arc::clone(dir)));
        }
        let Some(dir) = store.files.open_shard(shard)?.map(Arc::new) else {
            return Ok(None);
        };
        self.open.insert(shard.to_owned(), Arc::clone(&dir));
        Ok(Some(dir))
    }

    /// Something in this shard is to be made durable.
    pub(super) fn note(&mut self, shard: &str) {
        self.changed.insert(shard.to_owned());
    }

    /// Syncs what was noted, and forgets it. What failed, by shard.
    pub(super) fn sync(
        &mut self,
        store: &Store,
        sync: impl Fn(&[&File]) -> Vec<io::Result<()>>,
    ) -> HashMap<String, String> {
        let changed = std::mem::take(&mut self.changed);
        let shards: Vec<(&String, &Arc<File>)> = changed
            .iter()
            .filter_map(|shard| self.open.get_key_value(shard))
            .collect();
        // Their names exist by now, so that one sync of the directory above covers them.
        let young: Vec<&String> = store.young.with(|young| {
            shards
                .iter()
                .map(|(shard, _)| *shard)
                .filter(|shard| young.contains(*shard))
                .collect()
        });
        let mut files: Vec<&File> = shards.iter().map(|(_, dir)| &***dir).collect();
        if !young.is_empty() {
            files.push(&store.files.dir);
        }
        let mut results = sync(&files);
        let above = if young.is_empty() {
            Ok(())
        } else {
            results.pop().unwrap_or(Ok(()))
        };
        let mut failures: HashMap<String, String> = shards
            .iter()
            .zip(results)
            .filter_map(|((shard, _), result)| Some(((*shard).clone(), result.err()?.to_string())))
            .collect();
        match above {
            Ok(()) => store
                .young
                .with(|all| all.retain(|shard| !young.contains(&shard))),
            Err(e) => failures.extend(
                young
                    .into_iter()
                    .map(|shard| (shard.clone(), e.to_string())),
            ),
        }
        failures
    }
}
