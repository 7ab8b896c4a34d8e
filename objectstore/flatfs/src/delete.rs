//! Delete: removed and synced, one or many.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use super::changed::Changed;
use super::files::{again, failed, off_thread, unlink};
use super::layout::Lock;
use super::publish::{RECORD, hold};
use super::shard::EXTENSION;
use super::store::Store;
use super::sync::sync_all;
use storehouse_objectstore::{Error, Key, Operation, Result};

impl Store {
    /// Removes the objects and syncs each directory once. One result for each key, in order.
    pub(super) async fn delete(
        self: &Arc<Self>,
        lock: &Arc<Lock>,
        keys: Vec<Key>,
    ) -> Result<Vec<(Key, Result<()>)>> {
        let (store, lock) = (Arc::clone(self), Arc::clone(lock));
        let only = if let [key] = &keys[..] {
            Some(key.clone())
        } else {
            None
        };
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
        let mut results: Vec<Option<Result<()>>> = keys.iter().map(|_| None).collect();
        while results.iter().any(Option::is_none) {
            self.delete_some(&keys, &mut results, &mut changed);
        }
        let failures: HashMap<String, String> = changed.sync(self, |files| {
            sync_all(&*self.files.sys, file_system.as_ref(), files)
        });
        let synced = |key: &Key| match failures.get(&self.options.shard.shard(key.as_str())) {
            None => Ok(()),
            Some(message) => Err(delete_failed(
                key,
                "the directory cannot be synced",
                io::Error::other(message.clone()),
            )),
        };
        keys.into_iter()
            .zip(results)
            .map(|(key, result)| {
                (
                    key.clone(),
                    result.unwrap_or(Ok(())).and_then(|()| synced(&key)),
                )
            })
            .collect()
    }

    /// Takes a turn with those of the keys that have no result yet, and that no put has in its
    /// hands.
    fn delete_some(&self, keys: &[Key], results: &mut [Option<Result<()>>], changed: &mut Changed) {
        let mut found = Vec::new();
        for (i, key) in keys
            .iter()
            .enumerate()
            .filter(|(i, _)| results[*i].is_none())
            .collect::<Vec<_>>()
        {
            let shard = self.options.shard.shard(key.as_str());
            match if self.capabilities.accepts_key(key) {
                changed.existing_shard(self, &shard)
            } else {
                Ok(None)
            } {
                Ok(None) => {
                    self.files.kept.forget(key);
                    results[i] = Some(Ok(()));
                }
                Ok(Some(dir)) => {
                    let name = format!("{key}{EXTENSION}");
                    // Freeing a long file's bytes takes its time, which is nobody's turn.
                    let old = hold(&dir, &name);
                    found.push((i, shard, dir, name, old));
                }
                Err(e) => {
                    results[i] = Some(Err(delete_failed(key, "the file cannot be removed", e)))
                }
            }
        }
        if found.is_empty() {
            return;
        }
        let bytes = found.iter().map(|(.., name, _)| RECORD + name.len()).sum();
        let mut turn = self.log.turn(found.iter().map(|(i, ..)| &keys[*i]), bytes);
        let room = if found.iter().any(|(i, ..)| turn.is_live(&keys[*i])) {
            turn.make_room(bytes)
        } else {
            Ok(())
        };
        let mut logged = Vec::new();
        for (i, shard, dir, name, _old) in &found {
            let key = &keys[*i];
            if turn.is_reserved(key) {
                continue;
            }
            let live = turn.is_live(key);
            let removed = match &room {
                Err(e) if live => Err(again(e)),
                _ => unlink(dir, name).map(|_| {
                    self.files.kept.forget(key);
                }),
            };
            results[*i] =
                Some(removed.map_err(|e| delete_failed(key, "the file cannot be removed", e)));
            if live {
                turn.deleted(key);
                logged.push(*i);
            } else {
                // Also if there was nothing: somebody else may have removed it just now, and not
                // have synced that yet.
                changed.note(shard);
            }
        }
        let recorded = turn.append().and_then(|ticket| match ticket {
            Some(ticket) if !logged.is_empty() => self.log.sync(&ticket),
            _ => Ok(()),
        });
        if let Err(e) = recorded {
            for i in logged {
                results[i] = Some(Err(delete_failed(
                    &keys[i],
                    "the log cannot be written",
                    again(&e),
                )));
            }
        }
    }
}

fn delete_failed(key: &Key, message: &str, source: io::Error) -> Error {
    failed(Operation::Delete, Some(key), message, source)
}
