//! Delete: removed and synced, one or many.

use std::collections::HashMap;
use std::sync::Arc;

use super::Store;
use super::changed::Changed;
use super::files::{failed, off_thread, unlink};
use super::layout::Lock;
use super::shard::EXTENSION;
use super::sync::sync_all;
use crate::{Key, Operation, Result};

impl Store {
    /// Removes the objects and syncs each directory once. One result for each key, in order.
    pub(super) async fn delete(self: &Arc<Self>, lock: &Arc<Lock>, keys: Vec<Key>) -> Result<Vec<(Key, Result<()>)>> {
        let (store, lock) = (Arc::clone(self), Arc::clone(lock));
        let only = if let [key] = &keys[..] { Some(key.clone()) } else { None };
        off_thread(Operation::Delete, only.as_ref(), move || {
            let removed = store.delete_group(keys);
            drop(lock);
            Ok(removed)
        })
        .await
    }

    fn delete_group(&self, keys: Vec<Key>) -> Vec<(Key, Result<()>)> {
        let file_system = self.files.reopen().ok();
        let mut changed = Changed::default();
        let removed: Vec<(Key, Result<()>)> = keys
            .into_iter()
            .map(|key| {
                let result = self.remove(&key, &mut changed);
                (key, result)
            })
            .collect();
        let failures: HashMap<String, String> = changed.sync(self, |files| sync_all(&*self.files.sys, file_system.as_ref(), files));
        let synced = |key: &Key| match failures.get(&self.options.shard.shard(key.as_str())) {
            None => Ok(()),
            Some(message) => {
                Err(failed(Operation::Delete, Some(key), "the directory cannot be synced", std::io::Error::other(message.clone())))
            }
        };
        removed.into_iter().map(|(key, result)| (key.clone(), result.and_then(|()| synced(&key)))).collect()
    }

    fn remove(&self, key: &Key, changed: &mut Changed) -> Result<()> {
        if !self.capabilities.accepts_key(key) {
            return Ok(());
        }
        let shard = self.options.shard.shard(key.as_str());
        let removed = match changed.existing_shard(self, &shard) {
            Ok(None) => return Ok(()),
            Ok(Some(dir)) => {
                let _lock = self.locks.lock(key);
                unlink(&dir, &format!("{key}{EXTENSION}"))
            }
            Err(e) => Err(e),
        };
        // Also if there was nothing: somebody else may have removed it just now, and not have synced that yet.
        removed.map(|_| changed.note(&shard)).map_err(|e| failed(Operation::Delete, Some(key), "the file cannot be removed", e))
    }
}
