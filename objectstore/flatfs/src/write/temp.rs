//! Files on their way in, not visible yet.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::super::directory::{Directory, TEMP, unlink};
use super::super::store_lock::StoreLock;

/// Numbers temporary files. Their directory was empty when the store was opened, and only this
/// store uses it.
#[derive(Debug, Default)]
pub(crate) struct TempNames(AtomicU64);

impl TempNames {
    fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

fn numbered(number: u64) -> String {
    format!("{TEMP}/put-{number:x}")
}

/// A file in `.temp`, or one without a name. Removed when this is dropped, unless it was moved into
/// place.
#[derive(Debug)]
pub(crate) struct Temp {
    directory: Arc<Directory>,
    /// Its name below the store's directory; `None` while it has none, and once it has moved.
    name: Option<String>,
    unnamed: bool,
    /// The number for a name in `.temp`, while it has none.
    number: u64,
    file: Arc<File>,
    _lock: Arc<StoreLock>,
}

impl Temp {
    /// A file in `.temp`. Blocks.
    pub(crate) fn create(
        directory: &Arc<Directory>,
        names: &TempNames,
        lock: &Arc<StoreLock>,
    ) -> io::Result<Self> {
        let mut made = false;
        loop {
            let name = numbered(names.next());
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // The mode that Go's temporary files have, and so its objects.
            match openat(&directory.file, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    return Ok(Self {
                        directory: Arc::clone(directory),
                        name: Some(name),
                        unnamed: false,
                        number: 0,
                        file: Arc::new(File::from(file)),
                        _lock: Arc::clone(lock),
                    });
                }
                Err(Errno::EXIST) => {}
                // The disk was full when the store was opened.
                Err(Errno::NOENT) if !made => {
                    made = true;
                    match mkdirat(&directory.file, TEMP, Mode::from_raw_mode(0o755)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e.into()),
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// A file without a name, near the objects in `dir`, if the system has such: nothing has to be
    /// renamed or removed, and the files of many shards do not crowd one place of the disk.
    ///
    /// Getting a name changes the file, so one that is synced before it is published needs one in
    /// `.temp` first: see [`give_name`](Self::give_name).
    pub(super) fn unnamed(
        directory: &Arc<Directory>,
        names: &TempNames,
        lock: &Arc<StoreLock>,
        dir: &File,
    ) -> Option<Self> {
        let file = Arc::new(directory.sys.create_unnamed(dir)?);
        Some(Self {
            directory: Arc::clone(directory),
            name: None,
            unnamed: true,
            number: names.next(),
            file,
            _lock: Arc::clone(lock),
        })
    }

    /// Gives it a name in `.temp`, unless it has one.
    pub(super) fn give_name(&mut self) -> io::Result<()> {
        if self.unnamed {
            let (directory, name) = (&self.directory, numbered(self.number));
            directory.sys.name(&self.file, &directory.file, &name)?;
            (self.name, self.unnamed) = (Some(name), false);
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &Arc<File> {
        &self.file
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.directory.sys.sync(&self.file)
    }

    /// Moves the file to `name` in `dir`, replacing what is there.
    pub(super) fn rename(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            match self.rename_new(dir, name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.give_name()?,
                done => return done,
            }
        }
        if let Some(temp) = &self.name {
            renameat(&self.directory.file, temp, dir, name)?;
            self.name = None;
        }
        Ok(())
    }

    /// Moves the file to `name` in `dir`, unless that exists.
    pub(super) fn rename_new(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            self.directory.sys.name(&self.file, dir, name)?;
            self.unnamed = false;
        }
        if let Some(temp) = &self.name {
            let directory = &self.directory;
            directory.sys.rename_new(&directory.file, temp, dir, name)?;
            self.name = None;
        }
        Ok(())
    }
}

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed now is removed at the next opening. The name goes at once, on
            // whatever thread this is; the last close frees the blocks, which can be slow.
            let _ = unlink(&self.directory.file, name);
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let file = Arc::clone(&self.file);
                drop(runtime.spawn_blocking(move || drop(file)));
            }
        }
    }
}

/// Writes `pieces` one after the other, starting at `offset`. Blocks.
pub(crate) fn write_at(file: &File, pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
    for piece in pieces {
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
