//! Delete: removed and synced, one or many.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fd::OwnedFd;
use storehouse_engine::files::{duplicate, failed, hold, sync_all, unlink};
use storehouse_engine::off_thread;
use storehouse_objectstore::{Error, Key, Operation, Result};

use super::directory::file_name;
use super::shard;
use super::store::FlatFs;
use super::write::{DirtyDirs, RECORD, Writer};

/// A delete and its outcome.
struct Delete {
    key: Key,
    /// `None` while it is to be done.
    result: Option<Result<()>>,
    /// The file to be removed, during a turn.
    target: Option<Target>,
    /// Whether the caller relies on a record in the log.
    recorded: bool,
}

struct Target {
    shard: String,
    dir: Arc<File>,
    name: String,
    /// Held so that its blocks are freed outside the lock of names.
    _old: Option<OwnedFd>,
}

impl FlatFs {
    /// Removes the objects and syncs each directory once. One result for each key, in order.
    pub(super) async fn delete_keys(&self, keys: Vec<Key>) -> Result<Vec<(Key, Result<()>)>> {
        let only = if let [key] = &keys[..] {
            Some(key)
        } else {
            None
        };
        let lock = self.lock(Operation::Delete, only)?;
        let writer = Arc::clone(self.writer());
        off_thread(Operation::Delete, move || {
            let deleted = writer.delete_group(keys);
            drop((writer, lock));
            Ok(deleted)
        })
        .await
    }
}

impl Writer {
    fn delete_group(&self, keys: Vec<Key>) -> Vec<(Key, Result<()>)> {
        let file_system = self.file_system();
        let mut dirs = DirtyDirs::new(&self.directory, &self.unsynced_shards);
        let mut deletes: Vec<Delete> = keys.into_iter().map(Delete::new).collect();
        while deletes.iter().any(|delete| delete.result.is_none()) {
            self.delete_some(&mut deletes, &mut dirs);
        }
        let sys = &*self.directory.sys;
        let failures = dirs.sync(|files| sync_all(sys, file_system.as_ref(), files));
        let results = deletes.into_iter().map(|delete| {
            let shard = self.directory.shard.shard(delete.key.as_str());
            let result = delete.result.unwrap_or(Ok(()));
            let result = result.and_then(|()| self.is_synced(&delete.key, &shard, &failures));
            (delete.key, result)
        });
        results.collect()
    }

    fn is_synced(
        &self,
        key: &Key,
        shard: &str,
        failures: &HashMap<String, io::Error>,
    ) -> Result<()> {
        match failures.get(shard) {
            Some(e) => {
                let message = self.directory.shard_message(shard, "synced");
                Err(failed(Operation::Delete, Some(key), &message, duplicate(e)))
            }
            None => Ok(()),
        }
    }

    /// Removes those files whose keys no put has reserved.
    fn delete_some(&self, deletes: &mut [Delete], dirs: &mut DirtyDirs<'_>) {
        for delete in deletes.iter_mut().filter(|delete| delete.result.is_none()) {
            self.locate_target(delete, dirs);
        }
        if !deletes.iter().any(|delete| delete.target.is_some()) {
            return;
        }
        let bytes = targets(deletes).map(|(_, target)| RECORD + target.name.len());
        let bytes = bytes.sum();
        let mut names = self
            .wal
            .lock_names(targets(deletes).map(|(key, _)| key), bytes);
        let room = if targets(deletes).any(|(key, _)| names.is_live(key)) {
            names.make_room(bytes)
        } else {
            Ok(())
        };
        for delete in deletes.iter_mut() {
            let Some(target) = delete.target.take() else {
                continue;
            };
            if names.is_reserved(&delete.key) {
                continue;
            }
            let is_live = names.is_live(&delete.key);
            let removed = match &room {
                Err(e) if is_live => Err(duplicate(e)),
                _ => unlink(&target.dir, &target.name).map(|_| {
                    self.directory.reader.handles.invalidate(&delete.key);
                }),
            };
            if is_live && removed.is_ok() {
                names.deleted(&delete.key);
                delete.recorded = true;
            } else if removed.is_ok() {
                // Also if there was no file: another program may have removed it just now and not
                // have synced that yet.
                dirs.mark(&target.shard);
            }
            let removed = removed.map_err(|e| self.cannot_remove(&delete.key, e));
            delete.result = Some(removed);
        }
        let recorded = deletes.iter().any(|delete| delete.recorded);
        let logged = names.append().and_then(|point| match point {
            Some(point) if recorded => self.wal.sync(&point),
            _ => Ok(()),
        });
        for delete in deletes {
            if std::mem::take(&mut delete.recorded)
                && let Err(e) = &logged
            {
                let (message, source) = ("the log cannot be written", duplicate(e));
                let error = failed(Operation::Delete, Some(&delete.key), message, source);
                delete.result = Some(Err(error));
            }
        }
    }

    fn locate_target(&self, delete: &mut Delete, dirs: &mut DirtyDirs<'_>) {
        let shard = self.directory.shard.shard(delete.key.as_str());
        let dir = if shard::flaw(delete.key.as_str()).is_none() {
            dirs.open(&shard)
        } else {
            Ok(None)
        };
        match dir {
            Ok(None) => {
                self.directory.reader.handles.invalidate(&delete.key);
                delete.result = Some(Ok(()));
            }
            Ok(Some(dir)) => {
                let name = file_name(&delete.key);
                let old = hold(&dir, &name);
                delete.target = Some(Target {
                    shard,
                    dir,
                    name,
                    _old: old,
                });
            }
            Err(e) => {
                let message = self.directory.shard_message(&shard, "opened");
                let error = failed(Operation::Delete, Some(&delete.key), &message, e);
                delete.result = Some(Err(error));
            }
        }
    }

    fn cannot_remove(&self, key: &Key, source: io::Error) -> Error {
        let path = self
            .directory
            .path
            .join(self.directory.path_of(key.as_str()));
        let message = format!("the file {} cannot be removed", path.display());
        failed(Operation::Delete, Some(key), &message, source)
    }
}

impl Delete {
    fn new(key: Key) -> Self {
        Self {
            key,
            result: None,
            target: None,
            recorded: false,
        }
    }
}

fn targets(deletes: &[Delete]) -> impl Iterator<Item = (&Key, &Target)> + Clone {
    deletes
        .iter()
        .filter_map(|delete| Some((&delete.key, delete.target.as_ref()?)))
}
