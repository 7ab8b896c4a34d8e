//! Publishing: files get their names.

use std::fs::File;
use std::io;

use rustix::fs::Stat;
use storehouse_engine::files::{Blocking, etag, is_object};
use storehouse_objectstore::{Durability, Operation, PutMode};

use super::super::directory::{Directory, split};
use super::super::escape;
use super::dirty_dirs::DirtyDirs;
use super::places::Place;
use super::put::{Put, PutState};
use super::writer::Writer;

impl Writer {
    /// Gives the files of written puts their names, in order.
    pub(super) fn publish(&self, puts: &mut [Put], dirs: &mut DirtyDirs) {
        // What must be read from disk for this is in memory once the names are locked; and what is
        // replaced is held open, so that its blocks are freed after that.
        let _old: Vec<Option<File>> = puts
            .iter()
            .map(|put| match &put.state {
                PutState::Written(_) => hold(&self.directory, put),
                _ => None,
            })
            .collect();
        let names = self.directory.lock_names();
        for put in puts {
            if matches!(put.state, PutState::Written(_)) {
                self.publish_one(put, dirs);
            }
        }
        drop(names);
    }

    fn publish_one(&self, put: &mut Put, dirs: &mut DirtyDirs) {
        if put.cancellation.is_cancelled() {
            put.state = PutState::Cancelled;
            return;
        }
        let path = escape::path(put.key.as_str());
        // A directory that is made for a put that fails is removed again.
        let place = match put.mode {
            PutMode::Replace(_) => self.find_place(&path, dirs),
            PutMode::Overwrite | PutMode::Create => self.make_place(&path, dirs).map(Some),
        };
        match place {
            Ok(place) => self.name(put, place, dirs),
            Err(e) => {
                let dir = self.directory.path.join(split(&path).0);
                put.fail(
                    &format!("the directory {} cannot be used", dir.display()),
                    e,
                );
            }
        }
        if !matches!(put.state, PutState::Named(..)) {
            self.prune(split(&path).0, dirs);
        }
    }

    /// Judges a put against what is in its place, and gives it its name.
    fn name(&self, put: &mut Put, place: Option<Place>, dirs: &mut DirtyDirs) {
        let there = place.as_ref().and_then(|place| place.there.as_ref());
        if put.mode == PutMode::Create && there.is_some() && put.is_durable() {
            if let Some(place) = place {
                dirs.mark(&place.path, &place.dir);
                put.state = PutState::Occupied(place.path);
            }
            return;
        }
        let tag = there
            .filter(|there| can_replace(there, &put.mode))
            .map(etag);
        if let Err(e) = put.mode.check(&put.key, tag.as_ref()) {
            return put.finish(Err(e));
        }
        let Some(place) = place else { return };
        if !put.cancellation.begin() {
            put.state = PutState::Cancelled;
            return;
        }
        let PutState::Written(file) = &mut put.state else {
            return;
        };
        let (creates, durable) = (
            put.mode == PutMode::Create,
            put.durability == Durability::Durable,
        );
        let named = if creates {
            file.temp.rename_new(&place.dir, &place.name)
        } else {
            file.temp.rename(&place.dir, &place.name)
        };
        match named {
            Ok(()) => {
                self.directory.reader.handles.invalidate(&put.key);
                if durable {
                    dirs.mark(&place.path, &place.dir);
                }
                put.due = Some(self.teller.changed(&put.key));
                put.state = PutState::Named(file.etag.clone(), place.path);
            }
            // By another program, just now.
            Err(e) if creates && e.kind() == io::ErrorKind::AlreadyExists => {
                dirs.mark(&place.path, &place.dir);
                put.state = PutState::Occupied(place.path);
            }
            Err(e) => put.fail("the file cannot be renamed into place", e),
        }
    }

    /// A caller that hears that an object exists relies on it: it must be as durable as its own
    /// would have been.
    pub(super) fn sync_occupied(&self, puts: &mut [Put]) {
        let directory = &self.directory;
        for put in puts {
            if !matches!(put.state, PutState::Occupied(_)) || !put.is_durable() {
                continue;
            }
            let opened = directory.open_object(Operation::Put, &put.key, Blocking::Allowed);
            match opened {
                Some(Ok(file)) => {
                    if let Err(e) = directory.sys.sync(&file) {
                        put.fail("the object in its place cannot be synced", e);
                    }
                }
                // Deleted since.
                None => {}
                Some(Err(e)) if e.is_not_found() => {}
                Some(Err(e)) => put.finish(Err(e)),
            }
        }
    }
}

/// Whether what is there counts for this mode: nothing but an object has a tag to be replaced by.
fn can_replace(there: &Stat, mode: &PutMode) -> bool {
    is_object(there) || !matches!(mode, PutMode::Replace(_))
}

fn hold(directory: &Directory, put: &Put) -> Option<File> {
    let found = directory.open_object(Operation::Put, &put.key, Blocking::Allowed)?;
    found.ok()
}
