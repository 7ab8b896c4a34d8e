//! List: shard after shard, one of them in memory at a time.

use std::fs::File;
use std::sync::Arc;

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use rustix::fs::{AtFlags, FileType, statat};
use rustix::io::Errno;
use storehouse_engine::files::{BatchWalk, each_name, failed, is_object, metadata, read_ahead};
use storehouse_objectstore::{Entry, Error, Key, ListOptions, Operation, Result};

use super::directory::Directory;
use super::shard::{self, EXTENSION, ShardFunction};

/// Entries read by one blocking task: few at first, so that the first key comes at once.
const FIRST_BATCH: usize = 16;
const LAST_BATCH: usize = 1024;

/// The most shards read by one blocking task, so that it ends soon if few keys match.
const MAX_SHARDS: usize = 64;

pub(super) fn list(
    directory: Arc<Directory>,
    options: ListOptions,
) -> BoxStream<'static, Result<Entry>> {
    let start_after = options.start_after;
    let walk = Walk {
        after: start_after.map(|key| directory.path_of(key.as_str())),
        directory,
        prefix: options.prefix,
        left: options.limit.unwrap_or(usize::MAX),
        batch: FIRST_BATCH,
        shards: None,
        shard: None,
    };
    read_ahead(walk).boxed()
}

/// A listing's position.
struct Walk {
    directory: Arc<Directory>,
    prefix: String,
    /// Only entries after this path (exclusive).
    after: Option<String>,
    left: usize,
    batch: usize,
    /// The remaining shards, in order; `None` before the first batch.
    shards: Option<std::vec::IntoIter<String>>,
    shard: Option<OpenShard>,
}

/// The shard that is being listed, and its remaining names.
struct OpenShard {
    dir: File,
    names: std::vec::IntoIter<Box<str>>,
}

impl BatchWalk for Walk {
    type Item = Entry;

    fn has_ended(&self) -> bool {
        self.left == 0
            || (self.shard.is_none()
                && self.shards.as_ref().is_some_and(|shards| shards.len() == 0))
    }

    fn next_batch(&mut self) -> Result<Vec<Entry>> {
        let mut batch = Vec::new();
        let want = self.batch.min(self.left);
        let mut budget = MAX_SHARDS;
        while batch.len() < want {
            if self.shard.is_none() {
                self.shard = self.next_shard(&mut budget)?;
            }
            let Some(shard) = &mut self.shard else { break };
            match shard.names.next() {
                Some(name) => batch.extend(entry(&shard.dir, &name)?),
                None => self.shard = None,
            }
        }
        // Saves a task that would find no further name.
        self.shard = self.shard.take().filter(|shard| shard.names.len() > 0);
        self.left -= batch.len();
        self.batch = (self.batch * 4).min(LAST_BATCH);
        Ok(batch)
    }
}

impl Walk {
    /// The next shard with the names wanted from it. `None` at the end, or once the budget of
    /// shards is used up.
    fn next_shard(&mut self, budget: &mut usize) -> Result<Option<OpenShard>> {
        if self.shards.is_none() {
            self.shards = Some(self.read_shards()?.into_iter());
        }
        while *budget > 0 {
            *budget -= 1;
            let Some(name) = self.shards.as_mut().and_then(Iterator::next) else {
                return Ok(None);
            };
            let dir = match self.directory.open_shard(&name) {
                Ok(Some(dir)) => dir,
                Ok(None) => continue,
                // A file, which is no shard.
                Err(e) if e.raw_os_error() == Some(Errno::NOTDIR.raw_os_error()) => continue,
                Err(e) => {
                    let message = self.directory.shard_message(&name, "opened");
                    return Err(list_failed(&message, e));
                }
            };
            let names = self.read_names(&name, &dir)?.into_iter();
            return Ok(Some(OpenShard { dir, names }));
        }
        Ok(None)
    }

    /// The names of all shards that may hold wanted objects, in order.
    fn read_shards(&self) -> Result<Vec<String>> {
        let dir = self
            .directory
            .reopen()
            .map_err(|e| list_failed("the store's directory cannot be opened", e))?;
        let mut shards = Vec::new();
        each_name(&dir, |name, kind| {
            let kinds = [FileType::Directory, FileType::Symlink, FileType::Unknown];
            if kinds.contains(&kind)
                && name.len() == self.directory.shard.len()
                && shard::flaw(name).is_none()
                && self.may_hold_some(name)
            {
                shards.push(name.to_owned());
            }
        })
        .map_err(unreadable)?;
        shards.sort_unstable();
        Ok(shards)
    }

    fn may_hold_some(&self, shard: &str) -> bool {
        // Every path in the shard starts with this.
        let start = format!("{shard}/");
        let late_enough = self
            .after
            .as_ref()
            .is_none_or(|after| after.starts_with(&start) || start > *after);
        let matches = match self.directory.shard {
            ShardFunction::Prefix(_) => {
                let common = self.prefix.len().min(shard.len());
                self.prefix.as_bytes()[..common] == shard.as_bytes()[..common]
            }
            _ => true,
        };
        late_enough && matches
    }

    /// The file names of the objects wanted from a shard, in order.
    fn read_names(&self, shard: &str, dir: &File) -> Result<Vec<Box<str>>> {
        let after = self
            .after
            .as_ref()
            .and_then(|after| after.strip_prefix(shard)?.strip_prefix('/'));
        let mut names: Vec<Box<str>> = Vec::new();
        each_name(dir, |name, kind| {
            let Some(key) = name.strip_suffix(EXTENSION) else {
                return;
            };
            let wanted = key.starts_with(&self.prefix) && after.is_none_or(|after| name > after);
            // What is in another key's shard cannot be read either.
            let ours = matches!(kind, FileType::RegularFile | FileType::Unknown)
                && shard::flaw(key).is_none();
            if wanted && ours && self.directory.shard.is_shard_of(shard, key) {
                names.push(name.into());
            }
        })
        .map_err(unreadable)?;
        names.sort_unstable();
        // Some file systems show a name twice if it is replaced during the listing.
        names.dedup();
        Ok(names)
    }
}

/// The entry of an object's file; `None` if it is gone or no object.
fn entry(dir: &File, name: &str) -> Result<Option<Entry>> {
    let stat = match statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(list_failed("a file cannot be described", e.into())),
    };
    if !is_object(&stat) {
        return Ok(None);
    }
    let key = Key::new(name.strip_suffix(EXTENSION).unwrap_or(name))?;
    Ok(Some(Entry {
        key,
        metadata: metadata(&stat),
        value: None,
    }))
}

fn unreadable(source: std::io::Error) -> Error {
    list_failed("a directory cannot be read", source)
}

fn list_failed(message: &str, source: std::io::Error) -> Error {
    failed(Operation::List, None, message, source)
}
