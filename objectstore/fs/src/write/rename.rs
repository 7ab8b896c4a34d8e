//! Renames: one step for readers, and on a journaling file system one after a crash, too.

use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{Stat, renameat};
use storehouse_engine::files::{
    Blocking, Cancellation, duplicate, etag, failed, is_object, sync_all, unlink,
};
use storehouse_objectstore::{
    CopyOptions, Durability, Error, ErrorClass, Key, Operation, PutMode, PutResult, Result,
    fallback,
};

use super::super::directory::{is_dir, split, stat};
use super::super::escape;
use super::dirty_dirs::DirtyDirs;
use super::places::Place;
use super::teller::Change;
use super::writer::Writer;

/// How often a rename begins anew when the source is replaced just then.
const ATTEMPTS: usize = 8;

impl Writer {
    /// Renames an object. Blocks.
    pub(crate) fn rename(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
        cancellation: &Cancellation,
    ) -> Result<PutResult> {
        for _ in 0..ATTEMPTS {
            if let Some(renamed) = self.try_rename(from, to, options, cancellation)? {
                return Ok(renamed);
            }
        }
        Err(Error::Backend {
            operation: Operation::Copy,
            key: Some(from.clone()),
            class: ErrorClass::Transient,
            message: "the object was replaced again and again while it was renamed".to_owned(),
            source: None,
        })
    }

    /// `None` if the source is another file by now.
    fn try_rename(
        &self,
        from: &Key,
        to: &Key,
        options: &CopyOptions,
        cancellation: &Cancellation,
    ) -> Result<Option<PutResult>> {
        let error = |e| failed(Operation::Copy, Some(from), "the file cannot be renamed", e);
        let durable = options.durability == Durability::Durable;
        let open = |key: &Key| {
            self.directory
                .open_object(Operation::Copy, key, Blocking::Allowed)
        };
        let not_found = || Error::not_found(Operation::Copy, from);
        let file = open(from).ok_or_else(not_found)??;
        let (opened, metadata) = self
            .directory
            .reader
            .metadata(Operation::Copy, from, &file)?;
        options.check_source(from, &metadata.etag)?;
        if options
            .attributes
            .as_ref()
            .is_some_and(|wanted| *wanted != metadata.attributes)
        {
            let feature = "a rename that changes attributes";
            return Err(fallback::unsupported(Operation::Copy, from, feature));
        }
        if durable {
            self.directory.sys.sync(&file).map_err(error)?;
        }
        // Held so that its blocks are freed once the names are not locked any more.
        let _old = open(to).and_then(Result::ok);
        let file_system = self.file_system();
        let mut dirs = DirtyDirs::default();
        let names = self.directory.lock_names();
        let renamed = self.rename_locked((from, to), &opened, options, cancellation, &mut dirs);
        let due =
            matches!(renamed, Ok(true)).then(|| [from, to].map(|key| self.teller.changed(key)));
        let (source, target) = (escape::path(from.as_str()), escape::path(to.as_str()));
        let left = [&source, &target].map(|path| self.prune(split(path).0, &mut dirs).to_owned());
        if matches!(renamed, Ok(true)) {
            for left in &left {
                match self.directory.open_dir(left) {
                    Ok(Some(dir)) => dirs.mark(left, &dir),
                    _ => dirs.mark("", &self.directory.file),
                }
            }
        }
        drop(names);
        if !renamed? {
            return Ok(None);
        }
        let mut failure = None;
        if durable {
            let sync =
                |files: &[&File]| sync_all(&*self.directory.sys, file_system.as_ref(), files);
            let failures = dirs.sync(&self.directory, &self.durable, sync);
            failure = left
                .iter()
                .find_map(|left| failures.find(left))
                .map(duplicate);
        }
        let etag = metadata.etag;
        if let Some([source, target]) = due {
            self.teller.tell(from, source, Change::Deleted);
            let change = match &failure {
                None => Change::Put(&etag),
                Some(_) => Change::Unknown,
            };
            self.teller.tell(to, target, change);
        }
        match failure {
            None => Ok(Some(PutResult { etag })),
            Some(e) => {
                let message = "the directory cannot be synced";
                Err(failed(Operation::Copy, Some(to), message, e))
            }
        }
    }

    /// With the names locked. `false` if the source is another file than `opened`.
    fn rename_locked(
        &self,
        (from, to): (&Key, &Key),
        opened: &Stat,
        options: &CopyOptions,
        cancellation: &Cancellation,
        dirs: &mut DirtyDirs,
    ) -> Result<bool> {
        let error = |e| failed(Operation::Copy, Some(from), "the file cannot be renamed", e);
        // First: the source itself may have to make way for the directory.
        let target = match options.mode {
            PutMode::Replace(_) => self.find_place(&escape::path(to.as_str()), dirs),
            _ => self.make_place(&escape::path(to.as_str()), dirs).map(Some),
        };
        let target = target.map_err(error)?;
        let source = self
            .find_place(&escape::path(from.as_str()), dirs)
            .map_err(error)?;
        let Some(source) = source.filter(|source| is_same(source, opened)) else {
            return Ok(false);
        };
        let there = target.as_ref().and_then(|target| target.there.as_ref());
        let tag = there
            .filter(|there| is_object(there) || options.mode == PutMode::Create)
            .map(etag);
        let judged = options.mode.check(to, tag.as_ref());
        judged.map_err(|e| e.map_operation(Operation::Copy))?;
        let Some(target) = target else {
            return Ok(false);
        };
        if !cancellation.begin() {
            return Err(error(io::ErrorKind::Interrupted.into()));
        }
        self.move_file(&source, &target, split(&escape::path(from.as_str())).1)
            .map_err(error)?;
        for key in [from, to] {
            self.directory.reader.handles.invalidate(key);
        }
        Ok(true)
    }

    fn move_file(&self, source: &Place, target: &Place, plain: &str) -> io::Result<()> {
        // Of two files the plain one was the object: the other must not take its place.
        let beside = escape::beside(plain);
        if source.name == plain && stat(&source.dir, &beside)?.is_some_and(|there| !is_dir(&there))
        {
            unlink(&source.dir, &beside)?;
        }
        renameat(&source.dir, &source.name, &target.dir, &target.name)?;
        // Two names of one file are left as they are by a rename.
        if is_there(&source.dir, &source.name)? {
            unlink(&source.dir, &source.name)?;
        }
        Ok(())
    }
}

fn is_there(dir: &Arc<File>, name: &str) -> io::Result<bool> {
    Ok(stat(dir, name)?.is_some())
}

/// Whether the file that was opened is the one in place.
fn is_same(place: &Place, opened: &Stat) -> bool {
    let there = place.there.as_ref();
    there.is_some_and(|there| is_object(there) && etag(there) == etag(opened))
}
