//! The directories in the order of keys.
//!
//! A directory's names are read at once and sorted by what they say: an object by its segment, a
//! directory by its segment and `/`, since all that is in it begins so. That is the order of keys:
//! `a`, then `a-b`, then `a/b`, then `a0`. Directories with the rest of long segments are read when
//! their turn comes, and their names sorted among those that are left.

use std::io;
use std::sync::Arc;

use storehouse_engine::files::{BatchWalk, failed, is_object, metadata};
use storehouse_objectstore::{Entry, Error, Key, ListOptions, Listed, Operation, Result};

use super::directory::{Directory, stat};
use super::escape;
use super::folder::{Folder, Item, Kind, Wanted};

/// Entries read by one blocking task: few at first, so that the first key comes at once.
const FIRST_BATCH: usize = 16;
const LAST_BATCH: usize = 1024;

/// The most directories read by one blocking task, so that it ends soon if few keys match.
const MAX_READS: usize = 64;

/// The fewest names that are held: enough for each part that a long segment can begin with.
const FEWEST: usize = 64;

/// A listing's position.
pub(super) struct Walk {
    directory: Arc<Directory>,
    wanted: Wanted,
    left: usize,
    batch: usize,
    /// The most names to hold.
    names: usize,
    /// Whether what lies in directories behind the prefix is rolled up.
    rolled_up: bool,
    /// The folders from the first one to that of the current key; `None` before the first batch.
    folders: Option<Vec<Folder>>,
}

impl Walk {
    pub(super) fn new(
        directory: Arc<Directory>,
        options: ListOptions,
        names: usize,
        rolled_up: bool,
    ) -> Self {
        Self {
            directory,
            rolled_up,
            left: options.limit.unwrap_or(usize::MAX),
            wanted: Wanted {
                prefix: options.prefix,
                after: options.start_after,
            },
            batch: FIRST_BATCH,
            names: names.max(FEWEST),
            folders: None,
        }
    }
}

impl BatchWalk for Walk {
    type Item = Listed;

    fn has_ended(&self) -> bool {
        self.left == 0 || self.folders.as_ref().is_some_and(Vec::is_empty)
    }

    fn next_batch(&mut self) -> Result<Vec<Listed>> {
        let mut batch = Vec::new();
        let want = self.batch.min(self.left);
        let mut reads = MAX_READS;
        let mut folders = match self.folders.take() {
            Some(folders) => folders,
            None => self.first_folder()?.into_iter().collect(),
        };
        while batch.len() < want && reads > 0 {
            let Some(folder) = folders.last_mut() else {
                break;
            };
            let Some(item) = folder.next() else {
                if folder.is_complete() {
                    folders.pop();
                } else {
                    reads -= 1;
                    self.read(folder, None)?;
                }
                continue;
            };
            match item.kind {
                Kind::Directory if self.rolled_up => {
                    reads -= 1;
                    let below = folder.below(&item);
                    let prefix = below.base().to_owned();
                    if self.has_objects(below)? {
                        batch.push(Listed::Prefix(prefix));
                    }
                }
                Kind::Directory => {
                    reads -= 1;
                    let mut below = folder.below(&item);
                    self.read(&mut below, None)?;
                    folders.push(below);
                    self.forget(&mut folders);
                }
                Kind::More => {
                    reads -= 1;
                    self.read(folder, Some(&item))?;
                }
                Kind::Plain | Kind::Beside => {
                    batch.extend(self.entry(folder, &item)?.map(Listed::Object));
                }
            }
        }
        self.folders = Some(folders);
        self.left -= batch.len();
        self.batch = (self.batch * 4).min(LAST_BATCH);
        Ok(batch)
    }
}

impl Walk {
    /// The folder that holds all keys with the prefix, if there can be any.
    fn first_folder(&self) -> Result<Option<Folder>> {
        let prefix = &self.wanted.prefix;
        let base = &prefix[..prefix.rfind('/').map_or(0, |at| at + 1)];
        let empty_segment = base.starts_with('/') || base.contains("//");
        if prefix.len() > Key::MAX_LEN || empty_segment {
            return Ok(None);
        }
        let path = base.strip_suffix('/').map_or(String::new(), escape::path);
        let mut folder = Folder::new(base.to_owned(), path);
        self.read(&mut folder, None)?;
        Ok(Some(folder))
    }

    /// Whether some of the keys in a folder are wanted. Most often the first names tell.
    fn has_objects(&self, mut folder: Folder) -> Result<bool> {
        let after = self.wanted.after.as_ref();
        let inside = after.filter(|after| after.as_str().starts_with(folder.base()));
        match inside {
            // All of them come before.
            Some(after) if Key::last_under(folder.base()).as_ref() == Some(after) => {
                return Ok(false);
            }
            None if self.at_a_glance(&mut folder)? => return Ok(true),
            _ => {}
        }
        let options = ListOptions::default()
            .prefix(folder.base())
            .start_after(inside.cloned())
            .limit(1);
        let mut walk = Self::new(Arc::clone(&self.directory), options, self.names, false);
        while !walk.has_ended() {
            if !walk.next_batch()?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn at_a_glance(&self, folder: &mut Folder) -> Result<bool> {
        folder
            .shows_an_object(&self.directory)
            .map_err(|e| self.unreadable(folder, e))
    }

    fn unreadable(&self, folder: &Folder, source: io::Error) -> Error {
        let path = self.directory.path.join(folder.path());
        let message = format!("the directory {} cannot be read", path.display());
        list_failed(&message, source)
    }

    /// Reads the names of a folder's directory, or of one with the rest of long segments in it.
    fn read(&self, folder: &mut Folder, more: Option<&Item>) -> Result<()> {
        folder
            .read(&self.directory, &self.wanted, self.names, more)
            .map_err(|e| self.unreadable(folder, e))
    }

    /// Forgets names of the outer folders, which are read again later, until few enough are held.
    fn forget(&self, folders: &mut [Folder]) {
        let mut held: usize = folders.iter().map(Folder::held).sum();
        let Some((_, outer)) = folders.split_last_mut() else {
            return;
        };
        for folder in outer {
            folder.close();
            if held > self.names {
                held -= folder.held();
                folder.forget();
            }
        }
    }

    /// The entry of an object's file; `None` if it is gone or no object.
    fn entry(&self, folder: &mut Folder, item: &Item) -> Result<Option<Entry>> {
        let undescribed = |e| list_failed("a file cannot be described", e);
        let Ok(key) = Key::new(format!("{}{}", folder.base(), item.text)) else {
            return Ok(None);
        };
        let Some(dir) = folder.dir(&self.directory).map_err(undescribed)? else {
            return Ok(None);
        };
        let mut found = stat(&dir, item.name()).map_err(undescribed)?;
        if item.kind == Kind::Plain && !found.as_ref().is_some_and(is_object) {
            // It may have made way for a directory just now.
            found = stat(&dir, &escape::beside(item.name())).map_err(undescribed)?;
        }
        Ok(found.filter(is_object).map(|stat| Entry {
            key,
            metadata: metadata(&stat),
            value: None,
        }))
    }
}

fn list_failed(message: &str, source: io::Error) -> Error {
    failed(Operation::List, None, message, source)
}
