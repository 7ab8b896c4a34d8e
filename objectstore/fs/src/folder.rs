//! One folder of keys: the names in a directory, in the order of keys, a bounded number at a time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, statat};
use storehouse_engine::files::{any_name, each_name};
use storehouse_objectstore::Key;

use super::directory::Directory;
use super::escape::{self, Begun, Mark};

/// Which keys are listed.
pub(super) struct Wanted {
    pub(super) prefix: String,
    /// Only keys after this one (exclusive).
    pub(super) after: Option<Key>,
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A directory with the rest of long segments. All that it says comes after this.
    More,
    Plain,
    Beside,
    Directory,
}

/// A name and what it says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The segment, or its beginning; with `/` at its end if it is a directory's.
    pub(super) text: Box<str>,
    pub(super) kind: Kind,
    /// The path below the folder's directory, if it is another than the text.
    name: Option<Box<str>>,
}

impl Item {
    /// Its path below the folder's directory.
    pub(super) fn name(&self) -> &str {
        self.name
            .as_deref()
            .unwrap_or_else(|| self.text.trim_end_matches('/'))
    }

    /// Whether what comes after `text`, or some of it, can be this or in it.
    fn reaches_past(&self, text: &str) -> bool {
        *self.text > *text || (self.has_parts() && text.starts_with(&*self.text))
    }

    /// Whether this, or some of what is in it, can start with `text`.
    fn can_start_with(&self, text: &str) -> bool {
        self.text.starts_with(text) || (self.has_parts() && text.starts_with(&*self.text))
    }

    fn has_parts(&self) -> bool {
        matches!(self.kind, Kind::More | Kind::Directory)
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.text, self.kind).cmp(&(&other.text, other.kind))
    }
}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A directory whose names are being listed.
pub(super) struct Folder {
    /// What its keys begin with: empty, or ending with `/`.
    base: String,
    /// The directory's path below the root.
    path: String,
    dir: Option<Arc<File>>,
    /// The next names, the first one last.
    items: Vec<Item>,
    /// The text of the last object or directory that was given.
    given: Option<Box<str>>,
    /// Whether `items` are all that come after `given`.
    complete: bool,
}

impl Folder {
    /// A folder whose names are still to be read.
    pub(super) fn new(base: String, path: String) -> Self {
        Self {
            base,
            path,
            dir: None,
            items: Vec::new(),
            given: None,
            complete: false,
        }
    }

    /// The folder of a directory in this one.
    pub(super) fn below(&self, directory: &Item) -> Self {
        let path = match self.path.as_str() {
            "" => directory.name().to_owned(),
            path => format!("{path}/{}", directory.name()),
        };
        Self::new(format!("{}{}", self.base, directory.text), path)
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// How many names are held.
    pub(super) fn held(&self) -> usize {
        self.items.len()
    }

    /// Whether no name comes after those that are held.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Drops the names. They are read again.
    pub(super) fn forget(&mut self) {
        self.complete &= self.items.is_empty();
        self.items = Vec::new();
    }

    /// Closes the directory until it is used next.
    pub(super) fn close(&mut self) {
        self.dir = None;
    }

    /// The open directory; `None` if it is gone.
    pub(super) fn dir(&mut self, directory: &Directory) -> io::Result<Option<Arc<File>>> {
        if self.dir.is_none() {
            self.dir = match directory.open_dir(&self.path) {
                // A symbolic link, which no listing follows.
                Err(e) if e.kind() == io::ErrorKind::NotADirectory => None,
                opened => opened?,
            };
        }
        Ok(self.dir.clone())
    }

    /// Whether the directory itself has an object's file. Reads no further than to the first.
    pub(super) fn shows_an_object(&mut self, directory: &Directory) -> io::Result<bool> {
        let Some(dir) = self.dir(directory)? else {
            return Ok(false);
        };
        any_name(&dir, |name, kind| {
            let item = self.item(&dir, &Begun::default(), name, kind);
            item.is_some_and(|item| {
                matches!(item.kind, Kind::Plain | Kind::Beside)
                    && Key::new(format!("{}{}", self.base, item.text)).is_ok()
            })
        })
    }

    /// The next name that is held.
    pub(super) fn next(&mut self) -> Option<Item> {
        loop {
            let item = self.items.pop()?;
            if item.kind == Kind::More {
                return Some(item);
            }
            // An object can have two names while another program puts one there.
            if self.given.as_ref() != Some(&item.text) {
                self.given = Some(item.text.clone());
                return Some(item);
            }
        }
    }

    /// Reads the next names, at most `most` of them: all, or those with the rest of long segments
    /// in one directory, and adds them to those that are held.
    pub(super) fn read(
        &mut self,
        directory: &Directory,
        wanted: &Wanted,
        most: usize,
        more: Option<&Item>,
    ) -> io::Result<()> {
        let begun = more.map_or_else(Begun::default, |item| Begun {
            text: item.text.to_string(),
            path: format!("{}/", item.name()),
        });
        let dir = match more {
            None => self.dir(directory)?,
            Some(item) if self.path.is_empty() => directory.open_dir(item.name())?,
            Some(item) => directory.open_dir(&format!("{}/{}", self.path, item.name()))?,
        };
        if more.is_none() {
            self.items = Vec::new();
            self.complete = true;
        }
        let Some(dir) = dir else { return Ok(()) };
        let mut nearest = BinaryHeap::from(std::mem::take(&mut self.items));
        let mut complete = self.complete;
        let read = directory.read_names(|| {
            each_name(&dir, |name, kind| {
                let item = self.item(&dir, &begun, name, kind);
                let Some(item) = item.filter(|item| self.wants(item, wanted)) else {
                    return;
                };
                nearest.push(item);
                if nearest.len() > most {
                    nearest.pop();
                    complete = false;
                }
            })
        });
        self.complete = complete;
        self.items = nearest.into_sorted_vec();
        self.items.reverse();
        // Some file systems show a name twice if it is replaced during the listing.
        self.items.dedup();
        read
    }

    fn item(&self, dir: &File, begun: &Begun, name: &str, kind: FileType) -> Option<Item> {
        let kind = match kind {
            FileType::Unknown => {
                let stat = statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
                FileType::from_raw_mode(stat.st_mode)
            }
            kind => kind,
        };
        let (mut text, mark) = escape::read_name(begun, name, self.base.is_empty())?;
        let kind = match (kind, mark) {
            (FileType::RegularFile, Mark::Plain) => Kind::Plain,
            (FileType::RegularFile, Mark::Beside) => Kind::Beside,
            (FileType::Directory, Mark::Plain) => Kind::Directory,
            (FileType::Directory, Mark::More) => Kind::More,
            _ => return None,
        };
        let name = (!begun.path.is_empty() || name != text)
            .then(|| format!("{}{name}", begun.path).into_boxed_str());
        if kind == Kind::Directory {
            text.push('/');
        }
        Some(Item {
            text: text.into_boxed_str(),
            kind,
            name,
        })
    }

    /// Whether some of the keys that a name says or holds are wanted, and come after what was
    /// given.
    fn wants(&self, item: &Item, wanted: &Wanted) -> bool {
        let base = self.base.as_str();
        let after = wanted.after.as_ref().map_or("", Key::as_str);
        let after = match after.strip_prefix(base) {
            Some(rest) => item.reaches_past(rest) || (rest.is_empty() && after.is_empty()),
            None => base > after,
        };
        let starts = match wanted.prefix.strip_prefix(base) {
            Some(rest) => item.can_start_with(rest),
            None => base.starts_with(&*wanted.prefix),
        };
        // A directory that was given is not given again.
        let new = self.given.as_ref().is_none_or(|given| {
            *item.text > **given || (item.kind == Kind::More && given.starts_with(&*item.text))
        });
        after && starts && new
    }
}
