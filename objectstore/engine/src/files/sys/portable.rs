//! The portable version: POSIX alone.

use std::fs::File;
use std::io::{self, Write};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, linkat, openat, unlinkat};
use rustix::io::Errno;

use super::calls::Sys;

/// Every call may wait, so all of them go to a blocking thread.
#[derive(Debug)]
pub(super) struct Portable;

impl Sys for Portable {
    fn open_cached(&self, _dir: &File, _path: &str) -> Option<io::Result<File>> {
        None
    }

    fn open(&self, dir: &File, path: &str) -> io::Result<File> {
        let mut parent: Option<OwnedFd> = None;
        let mut names = path.split('/');
        let last = names.next_back().ok_or(Errno::INVAL)?;
        for name in names {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let at = parent.as_ref().map_or(dir.as_fd(), OwnedFd::as_fd);
            parent = Some(openat(at, name, flags, Mode::empty())?);
        }
        // Without NONBLOCK the open of a FIFO would wait for its writer.
        let file = openat(
            parent.as_ref().map_or(dir.as_fd(), OwnedFd::as_fd),
            last,
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        Ok(File::from(file))
    }

    fn read_cached(
        &self,
        _file: &File,
        _buffer: &mut [u8],
        _offset: u64,
    ) -> Option<io::Result<usize>> {
        None
    }

    fn start_write_back(&self, _file: &File, _offset: u64, _len: u64) {}

    fn rename_new(&self, dir: &File, from: &str, to_dir: &File, to: &str) -> io::Result<()> {
        linkat(dir, from, to_dir, to, AtFlags::empty())?;
        // The object is there from here on, whatever comes of this; a name left over goes when the
        // store is opened next.
        let _ = unlinkat(dir, from, AtFlags::empty());
        Ok(())
    }

    fn create_unnamed(&self, _dir: &File) -> Option<File> {
        None
    }

    fn name(&self, _file: &File, _dir: &File, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_file_system(&self, _dir: &File, _files: u32) -> Option<io::Result<()>> {
        None
    }

    fn can_sync_file_system(&self, _dir: &File) -> bool {
        false
    }

    fn sync_whole_file_system(&self, _dir: &File) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn shows_changes(&self, _dir: &File) -> bool {
        false
    }

    fn instance(&self, _dir: &File) -> Option<String> {
        None
    }

    fn create_whole(&self, dir: &File, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(openat(dir, name, flags, Mode::from_raw_mode(mode as _))?);
        file.write_all(content)?;
        file.sync_all()
    }
}
