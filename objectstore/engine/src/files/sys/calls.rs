//! The system calls.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The system calls of a file store. Paths are relative to the open directory `dir`, and no part of
/// them may be a symbolic link. Offsets and lengths are in bytes. Errors are the system's.
///
/// ```
/// use std::fs::File;
/// use storehouse_engine::files::{SystemCalls, pick};
///
/// # let temp = tempfile::tempdir()?;
/// let (sys, dir) = (pick(SystemCalls::Portable), File::open(temp.path())?);
/// sys.create_whole(&dir, "a", b"hello", 0o644)?;
/// sys.rename_new(&dir, "a", &dir, "b")?;
/// assert!(sys.open(&dir, "a").is_err());
///
/// let (file, mut buffer) = (sys.open(&dir, "b")?, [0; 8]);
/// assert_eq!(sys.read(&file, &mut buffer, 1)?, 4);
/// assert_eq!(&buffer[..4], b"ello");
/// sys.start_write_back(&file, 0, 5);
/// sys.sync_data(&file)?;
/// sys.sync(&dir)?;
///
/// // Not every system has these, and POSIX has none of them.
/// assert!(sys.open_cached(&dir, "b").is_none());
/// assert!(sys.read_cached(&file, &mut buffer, 0).is_none());
/// assert!(sys.create_unnamed(&dir).is_none() && sys.name(&file, &dir, "c").is_err());
/// assert!(!sys.can_sync_file_system(&dir) && sys.sync_file_system(&dir, 100).is_none());
/// assert!(sys.sync_whole_file_system(&dir).is_err());
/// assert!(!sys.shows_changes(&dir) && sys.instance(&dir).is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
pub trait Sys: Debug + Send + Sync + 'static {
    /// Opens a file for reading without waiting for a disk; `None` if that would wait.
    fn open_cached(&self, dir: &File, path: &str) -> Option<io::Result<File>>;

    /// Opens a file for reading. What is no regular file is opened all the same, without waiting
    /// for its other end.
    fn open(&self, dir: &File, path: &str) -> io::Result<File>;

    /// Reads what is in memory already, at least one byte of it unless the file has ended; `None`
    /// if that would wait for a disk.
    fn read_cached(&self, file: &File, buffer: &mut [u8], offset: u64)
    -> Option<io::Result<usize>>;

    /// Reads at least one byte unless the file has ended.
    fn read(&self, file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        file.read_at(buffer, offset)
    }

    /// Makes a file or directory durable.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Makes a file's bytes durable, and what is needed to read them.
    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    /// Starts writing these bytes of the file to the disk, without waiting for them: advice, so
    /// that a later sync has less to do.
    fn start_write_back(&self, file: &File, offset: u64, len: u64);

    /// Renames the file `from` below `dir` to the name `to` in `to_dir`, atomically, unless that
    /// exists. Leaves no `from` behind when it succeeds.
    fn rename_new(&self, dir: &File, from: &str, to_dir: &File, to: &str) -> io::Result<()>;

    /// Makes a file that has no name yet, as if in `dir`; `None` if that cannot be done here.
    fn create_unnamed(&self, dir: &File) -> Option<File>;

    /// Gives a file of [`create_unnamed`](Self::create_unnamed) its name, unless that exists.
    fn name(&self, file: &File, dir: &File, name: &str) -> io::Result<()>;

    /// Makes everything on the file system of `dir` durable that was written since `dir` was
    /// opened, if that is sound here and likely to cost less than syncing the files one by one;
    /// `None` if not. After an error any of the files may be damaged: sync each to know.
    fn sync_file_system(&self, dir: &File, files: u32) -> Option<io::Result<()>>;

    /// Whether [`sync_whole_file_system`](Self::sync_whole_file_system) is sound here.
    fn can_sync_file_system(&self, dir: &File) -> bool;

    /// Makes everything on the file system of `dir` durable that was written since `dir` was
    /// opened, however long that takes.
    fn sync_whole_file_system(&self, dir: &File) -> io::Result<()>;

    /// Whether, on the file system of `dir`, an open file's link count and change time show at once
    /// that it lost its name, by any removal or renaming.
    fn shows_changes(&self, dir: &File) -> bool;

    /// Names this run of the machine together with this mount of the file system of `dir`. While it
    /// stays the same, what was written is there, synced or not. `None` if that cannot be told.
    fn instance(&self, dir: &File) -> Option<String>;

    /// Creates the file `name` with this content: all of it at once where that can be done.
    fn create_whole(&self, dir: &File, name: &str, content: &[u8], mode: u32) -> io::Result<()>;
}
