//! Where a file belongs, and the directories on the way there. All of this is done with the names
//! locked.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{AtFlags, Mode, Stat, mkdirat, renameat, unlinkat};
use storehouse_engine::files::{is_object, open_dir, unlink};

use super::super::directory::{is_dir, split, stat};
use super::super::escape;
use super::dirty_dirs::DirtyDirs;
use super::writer::Writer;

/// Where an object's file belongs.
pub(crate) struct Place {
    /// Its directory, below the root.
    pub(crate) path: String,
    pub(crate) dir: Arc<File>,
    pub(crate) name: String,
    /// What is there.
    pub(crate) there: Option<Stat>,
}

impl Writer {
    /// The place of the object whose plain path this is; `None` if its directory does not exist.
    pub(super) fn find_place(&self, path: &str, dirs: &DirtyDirs) -> io::Result<Option<Place>> {
        let (path, name) = split(path);
        let dir = match dirs.held(path) {
            Some(dir) => Some(dir),
            None => self.directory.open_dir(path)?,
        };
        dir.map(|dir| place_in(path, dir, name)).transpose()
    }

    /// The same; makes its directory, and takes the plain name from an empty directory that has it.
    pub(super) fn make_place(&self, path: &str, dirs: &mut DirtyDirs) -> io::Result<Place> {
        let place = match self.find_place(path, dirs)? {
            Some(place) => place,
            None => {
                let (path, name) = split(path);
                let dir = match self.make_dir(path, dirs) {
                    Ok(dir) => dir,
                    Err(e) => {
                        self.prune(path, dirs);
                        return Err(e);
                    }
                };
                place_in(path, dir, name)?
            }
        };
        let plain = split(path).1;
        if place.name == plain || place.there.is_some() || !self.remove_dir(&place.dir, path, dirs)
        {
            return Ok(place);
        }
        Ok(Place {
            name: plain.to_owned(),
            ..place
        })
    }

    /// Opens a directory, and makes what is missing of it. A file that has the name of a part moves
    /// to the name beside it.
    fn make_dir(&self, path: &str, dirs: &mut DirtyDirs) -> io::Result<Arc<File>> {
        let mut dir = Arc::clone(&self.directory.file);
        let mut end = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let parent = &path[..end];
            end += name.len() + usize::from(end > 0);
            let there = stat(&dir, name)?;
            let is_there = match &there {
                Some(there) if is_dir(there) => true,
                Some(there) if is_object(there) => {
                    move_beside(&dir, name)?;
                    self.directory.moved();
                    false
                }
                Some(_) => {
                    self.directory.refuse_link(&path[..end])?;
                    let path = self.directory.path.join(&path[..end]);
                    let message = format!("{} is no directory and no object", path.display());
                    return Err(io::Error::other(message));
                }
                None => false,
            };
            if !is_there {
                mkdirat(&dir, name, Mode::from_raw_mode(0o755))?;
                // Its name, and that of a file that moved.
                dirs.mark(parent, &dir);
            }
            dir = Arc::new(open_dir(&dir, name)?);
        }
        Ok(dir)
    }

    /// Removes a directory, and those above it, as far as they are empty. Gives the path of the
    /// first that is left.
    pub(crate) fn prune<'p>(&self, mut path: &'p str, dirs: &mut DirtyDirs) -> &'p str {
        while !path.is_empty() {
            let (parent, _) = split(path);
            match self.directory.open_dir(parent) {
                Ok(Some(dir)) if self.remove_dir(&dir, path, dirs) => {}
                // Not there, or not made: look at the one above it.
                Ok(None) => {}
                Ok(Some(dir)) if matches!(stat(&dir, split(path).1), Ok(None)) => {}
                _ => break,
            }
            path = parent;
        }
        path
    }

    /// Removes the directory at `path`, whose last name is in `parent`, if it is empty.
    fn remove_dir(&self, parent: &File, path: &str, dirs: &mut DirtyDirs) -> bool {
        let removed = unlinkat(parent, split(path).1, AtFlags::REMOVEDIR).is_ok();
        if removed {
            self.durable.removed(path);
            dirs.removed(path);
        }
        removed
    }
}

/// The place of an object by what is in its directory.
pub(crate) fn place_in(path: &str, dir: Arc<File>, name: &str) -> io::Result<Place> {
    let plain = stat(&dir, name)?;
    let place = |name: String, there| Place {
        path: path.to_owned(),
        dir: Arc::clone(&dir),
        name,
        there,
    };
    if plain.as_ref().is_some_and(|plain| !is_dir(plain)) {
        return Ok(place(name.to_owned(), plain));
    }
    let beside = escape::beside(name);
    let there = stat(&dir, &beside)?.filter(|there| !is_dir(there));
    let name = if plain.is_some() || there.is_some() {
        beside
    } else {
        name.to_owned()
    };
    Ok(place(name, there))
}

/// Makes way for a directory: one rename, so that a reader finds the object under one name or the
/// other.
fn move_beside(dir: &File, name: &str) -> io::Result<()> {
    renameat(dir, name, dir, escape::beside(name))?;
    // Two names of one file are left as they are by a rename.
    match stat(dir, name)? {
        Some(_) => unlink(dir, name).map(drop),
        None => Ok(()),
    }
}
