//! Files on their way in, not visible yet.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, mkdirat, openat, renameat};
use rustix::io::Errno;

use super::names::unlink;
use super::sys::Sys;

/// Where files are written before they get their names: the directory `name` below `root`.
///
/// It was empty when the store was opened, and only this store uses it.
///
/// ```
/// use std::fs::File;
/// use std::sync::Arc;
/// use storehouse_engine::files::{SystemCalls, Temp, TempDir, pick};
///
/// # let dir = tempfile::tempdir()?;
/// let root = Arc::new(File::open(dir.path())?);
/// let home = Arc::new(TempDir::new(root, "temp", pick(SystemCalls::Native)));
/// let temp = Temp::create(&home, Arc::new(()))?;
/// assert_eq!(std::fs::read_dir(dir.path().join("temp"))?.count(), 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct TempDir {
    root: Arc<File>,
    name: &'static str,
    sys: Arc<dyn Sys>,
    next: AtomicU64,
}

impl TempDir {
    /// The directory `name`, which may have several parts, below `root`.
    #[must_use]
    pub fn new(root: Arc<File>, name: &'static str, sys: Arc<dyn Sys>) -> Self {
        Self {
            root,
            name,
            sys,
            next: AtomicU64::new(0),
        }
    }

    fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    fn numbered(&self, number: u64) -> String {
        format!("{}/put-{number:x}", self.name)
    }
}

/// What a temporary file keeps alive: the lock of its store's directory.
pub type Keep = Arc<dyn Any + Send + Sync>;

/// A temporary file, with or without a name. Removed when this is dropped, unless it was moved into
/// place.
///
/// ```
/// use std::fs::File;
/// use std::sync::Arc;
/// use storehouse_engine::files::{SystemCalls, Temp, TempDir, pick, write_at};
///
/// # let dir = tempfile::tempdir()?;
/// let root = Arc::new(File::open(dir.path())?);
/// let home = Arc::new(TempDir::new(Arc::clone(&root), "temp", pick(SystemCalls::Native)));
///
/// // Without a name, if the system has such files.
/// let mut temp = match Temp::unnamed(&home, Arc::new(()), &root) {
///     Some(temp) => temp,
///     None => Temp::create(&home, Arc::new(()))?,
/// };
/// write_at(temp.file(), &["hel".into(), "lo".into()], 0)?;
/// # std::fs::create_dir_all(dir.path().join("temp"))?;
/// temp.give_name()?;
/// temp.sync()?;
/// temp.rename_new(&root, "greeting")?;
/// assert_eq!(std::fs::read(dir.path().join("greeting"))?, b"hello");
///
/// let mut other = Temp::create(&home, Arc::new(()))?;
/// assert!(other.rename_new(&root, "greeting").is_err(), "it is there");
/// other.rename(&root, "greeting")?;
/// assert_eq!(std::fs::read(dir.path().join("greeting"))?, b"");
///
/// drop(Temp::create(&home, Arc::new(()))?); // removed
/// assert_eq!(std::fs::read_dir(dir.path().join("temp"))?.count(), 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Temp {
    home: Arc<TempDir>,
    /// Its name below the root; `None` while it has none, and once it has moved.
    name: Option<String>,
    unnamed: bool,
    /// The number for a name, while it has none.
    number: u64,
    file: Arc<File>,
    _keep: Keep,
}

impl fmt::Debug for Temp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Temp")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Temp {
    /// A file with a name. Makes the directory if a full disk kept it from being made. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn create(home: &Arc<TempDir>, keep: Keep) -> io::Result<Self> {
        let mut made = false;
        loop {
            let name = home.numbered(home.next());
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            // The mode that Go's temporary files have, and so its objects.
            match openat(&home.root, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    return Ok(Self {
                        home: Arc::clone(home),
                        name: Some(name),
                        unnamed: false,
                        number: 0,
                        file: Arc::new(File::from(file)),
                        _keep: keep,
                    });
                }
                Err(Errno::EXIST) => {}
                // The disk was full when the store was opened.
                Err(Errno::NOENT) if !made => {
                    made = true;
                    match mkdirat(&home.root, home.name, Mode::from_raw_mode(0o755)) {
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
    pub fn unnamed(home: &Arc<TempDir>, keep: Keep, dir: &File) -> Option<Self> {
        let file = Arc::new(home.sys.create_unnamed(dir)?);
        Some(Self {
            home: Arc::clone(home),
            name: None,
            unnamed: true,
            number: home.next(),
            file,
            _keep: keep,
        })
    }

    /// Gives it a name of its own, unless it has one.
    ///
    /// # Errors
    /// The system's.
    pub fn give_name(&mut self) -> io::Result<()> {
        if self.unnamed {
            let (home, name) = (&self.home, self.home.numbered(self.number));
            home.sys.name(&self.file, &home.root, &name)?;
            (self.name, self.unnamed) = (Some(name), false);
        }
        Ok(())
    }

    /// The open file.
    #[must_use]
    pub fn file(&self) -> &Arc<File> {
        &self.file
    }

    /// Makes its content durable. Blocks.
    ///
    /// # Errors
    /// The system's.
    pub fn sync(&self) -> io::Result<()> {
        self.home.sys.sync(&self.file)
    }

    /// Moves the file to `name` in `dir`, replacing what is there.
    ///
    /// # Errors
    /// The system's.
    pub fn rename(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            match self.rename_new(dir, name) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => self.give_name()?,
                done => return done,
            }
        }
        if let Some(temp) = &self.name {
            renameat(&self.home.root, temp, dir, name)?;
            self.name = None;
        }
        Ok(())
    }

    /// Moves the file to `name` in `dir`, unless that exists.
    ///
    /// # Errors
    /// The system's, [`AlreadyExists`](io::ErrorKind::AlreadyExists) among them.
    pub fn rename_new(&mut self, dir: &File, name: &str) -> io::Result<()> {
        if self.unnamed {
            self.home.sys.name(&self.file, dir, name)?;
            self.unnamed = false;
        }
        if let Some(temp) = &self.name {
            let home = &self.home;
            home.sys.rename_new(&home.root, temp, dir, name)?;
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
            let _ = unlink(&self.home.root, name);
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let file = Arc::clone(&self.file);
                drop(runtime.spawn_blocking(move || drop(file)));
            }
        }
    }
}

/// Writes `pieces` one after the other, starting at `offset`. Blocks.
///
/// ```
/// use storehouse_engine::files::write_at;
///
/// let file = tempfile::NamedTempFile::new()?;
/// write_at(file.as_file(), &["lo".into(), "!".into()], 3)?;
/// write_at(file.as_file(), &["hel".into()], 0)?;
/// assert_eq!(std::fs::read(file.path())?, b"hello!");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// The system's.
pub fn write_at(file: &File, pieces: &[Bytes], mut offset: u64) -> io::Result<()> {
    for piece in pieces {
        file.write_all_at(piece, offset)?;
        offset += piece.len() as u64;
    }
    Ok(())
}
