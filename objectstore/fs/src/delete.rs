//! Delete: removed and synced, one or many, with the directories that it leaves empty.

use std::fs::File;
use std::io;
use std::sync::Arc;

use storehouse_engine::files::{Blocking, duplicate, failed, sync_all, unlink};
use storehouse_engine::off_thread;
use storehouse_objectstore::{Key, Operation, Result};

use super::directory::{is_dir, split, stat};
use super::escape;
use super::store::Fs;
use super::write::{Change, DirtyDirs, Due, Writer};

impl Fs {
    /// Removes the objects and syncs each directory once. One result for each key, in order.
    pub(super) async fn delete_keys(&self, keys: Vec<Key>) -> Result<Vec<(Key, Result<()>)>> {
        let only = if let [key] = &keys[..] {
            Some(key)
        } else {
            None
        };
        let running = self.enter(Operation::Delete, only)?;
        let writer = Arc::clone(self.writer());
        off_thread(Operation::Delete, move || {
            let deleted = writer.delete_group(keys);
            drop((writer, running));
            Ok(deleted)
        })
        .await
    }
}

impl Writer {
    fn delete_group(&self, keys: Vec<Key>) -> Vec<(Key, Result<()>)> {
        let file_system = self.file_system();
        // Held so that their blocks are freed once the names are not locked any more.
        let _old: Vec<Option<File>> = keys
            .iter()
            .map(|key| {
                let found =
                    self.directory
                        .open_object(Operation::Delete, key, Blocking::Allowed)?;
                found.ok()
            })
            .collect();
        let mut dirs = DirtyDirs::default();
        let names = self.directory.lock_names();
        let removed: Vec<(io::Result<String>, Due)> = keys
            .iter()
            .map(|key| (self.remove(key, &mut dirs), self.teller.changed(key)))
            .collect();
        drop(names);
        let sync = |files: &[&File]| sync_all(&*self.directory.sys, file_system.as_ref(), files);
        let failures = dirs.sync(&self.directory, &self.durable, sync);
        let results = keys.into_iter().zip(removed).map(|(key, (removed, due))| {
            // Also if the sync failed: the object is gone for now.
            let change = match &removed {
                Ok(_) => Change::Deleted,
                Err(_) => Change::Unknown,
            };
            self.teller.tell(&key, due, change);
            let error = |message: &str, e| failed(Operation::Delete, Some(&key), message, e);
            let result = match removed {
                Err(e) => Err(error("the file cannot be removed", e)),
                Ok(dir) => match failures.find(&dir) {
                    Some(e) => Err(error("the directory cannot be synced", duplicate(e))),
                    None => Ok(()),
                },
            };
            (key, result)
        });
        results.collect()
    }

    /// Removes an object's file, and the directories that are empty then. Gives the directory whose
    /// sync makes that durable. With the names locked.
    fn remove(&self, key: &Key, dirs: &mut DirtyDirs) -> io::Result<String> {
        let path = escape::path(key.as_str());
        let (parent, name) = split(&path);
        if let Some(dir) = self.directory.open_dir(parent)? {
            // In this order: of two, the plain one is the object.
            for name in [escape::beside(name), name.to_owned()] {
                if stat(&dir, &name)?.is_some_and(|there| !is_dir(&there)) {
                    unlink(&dir, &name)?;
                }
            }
        }
        self.directory.reader.handles.invalidate(key);
        let left = self.prune(parent, dirs);
        // Also if there was no file: another program may have removed it just now and not have
        // synced that yet.
        match self.directory.open_dir(left)? {
            Some(dir) => dirs.mark(left, &dir),
            None => dirs.mark("", &self.directory.file),
        }
        Ok(left.to_owned())
    }
}
