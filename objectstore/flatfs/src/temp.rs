//! Files on their way in, not visible yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, openat, renameat};
use rustix::io::Errno;

use super::files::{Files, unlink};
use super::layout::{Lock, TEMP};

/// Numbers temporary files. Their directory was empty when the store was opened, and is this
/// store's alone.
#[derive(Debug, Default)]
pub(super) struct Names(AtomicU64);

impl Names {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn numbered(number: u64) -> String {
    format!("{TEMP}/put-{number:x}")
}

/// A file in `.temp`, or one without a name, gone when this is dropped unless it was moved into
/// place before.
#[derive(Debug)]
pub(super) struct Temp {
    files: Arc<Files>,
    /// Below the store's directory; `None` before it has a name, and once it is gone from there.
    name: Option<String>,
    unnamed: bool,
    /// In `.temp`, and not used yet.
    spare: u64,
    file: Arc<File>,
    _lock: Arc<Lock>,
}

impl Temp {
    /// Blocks.
    pub(super) fn create(files: &Arc<Files>, names: &Names, lock: &Arc<Lock>) -> io::Result<Self> {
        loop {
            let name = numbered(names.next());
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // The mode that Go's temporary files have, and so its objects.
            match openat(&files.dir, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    let (files, file) = (Arc::clone(files), Arc::new(File::from(file)));
                    return Ok(Self {
                        files,
                        name: Some(name),
                        unnamed: false,
                        spare: 0,
                        file,
                        _lock: Arc::clone(lock),
                    });
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// One without a name, near the objects in `dir`, if that can be done: nothing has to be
    /// renamed or removed, and the files of many shards do not crowd one place.
    ///
    /// Not for what is synced before it has its name: giving it that changes the file once more.
    /// See [`settle`](Self::settle).
    pub(super) fn unnamed(
        files: &Arc<Files>,
        names: &Names,
        lock: &Arc<Lock>,
        dir: &File,
    ) -> Option<Self> {
        let file = Arc::new(files.sys.create_unnamed(dir)?);
        Some(Self {
            files: Arc::clone(files),
            name: None,
            unnamed: true,
            spare: names.next(),
            file,
            _lock: Arc::clone(lock),
        })
    }

    /// Sees to it that it has a name, in `.temp`.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if self.unnamed {
            let name = numbered(self.spare);
            self.files.sys.name(&self.file, &self.files.dir, &name)?;
            (self.name, self.unnamed) = (Some(name), false);
        }
        Ok(())
    }

    pub(super) fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Moves the file to `name` in `dir`, over whatever is there.
    pub(super) fn rename(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            match self.rename_new(dir, name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.settle()?,
                done => return done,
            }
        }
        if let Some(temp) = &self.name {
            renameat(&self.files.dir, temp, dir, name)?;
            self.name = None;
        }
        Ok(())
    }

    /// Moves the file to `name` in `dir`, unless that exists.
    pub(super) fn rename_new(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            self.files.sys.name(&self.file, dir, name)?;
            self.unnamed = false;
        }
        if let Some(temp) = &self.name {
            self.files
                .sys
                .rename_new(&self.files.dir, temp, dir, name)?;
            self.name = None;
        }
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now is removed when the store is opened next. The name goes
            // here and now, whatever thread this is; the bytes go with the last handle, which may
            // take long for a long file.
            let _ = unlink(&self.files.dir, name);
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let file = Arc::clone(&self.file);
                drop(runtime.spawn_blocking(move || drop(file)));
            }
        }
    }
}

/// Writes `pieces` one after the other from `offset` on. Blocks.
pub(super) fn write(file: &File, pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
    for piece in pieces {
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
