//! The directory that a store lives in, as few operations as it takes. The tests put another one in
//! its place, which loses what was not synced.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A directory of files.
pub(super) trait Disk: Debug + Send + Sync {
    /// Opens a file that is there.
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a file, empty whatever was there.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&self, name: &str) -> io::Result<()>;
    fn names(&self) -> io::Result<Vec<String>>;
    /// Makes all that was created, renamed and removed so far survive a crash.
    fn sync_names(&self) -> io::Result<()>;
}

/// An open file.
pub(super) trait DiskFile: Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    /// Fills `out`, waiting for the disk if need be. Too few bytes there is `UnexpectedEof`.
    fn read(&self, out: &mut [u8], at: u64) -> io::Result<()>;
    /// The same without waiting; `None` if it would have to.
    fn read_cached(&self, out: &mut [u8], at: u64) -> Option<io::Result<()>>;
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Makes all that was written so far survive a crash.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug)]
pub(super) struct Directory(PathBuf);

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }
}

impl Disk for Directory {
    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(self.0.join(name))?,
        ))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(Arc::new(
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(true)
                .open(self.0.join(name))?,
        ))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.0.join(name))
    }

    fn names(&self) -> io::Result<Vec<String>> {
        fs::read_dir(&self.0)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect()
    }

    fn sync_names(&self) -> io::Result<()> {
        // Elsewhere a directory cannot be opened as a file.
        if cfg!(unix) {
            File::open(&self.0)?.sync_all()
        } else {
            Ok(())
        }
    }
}

impl DiskFile for File {
    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(unix)]
    fn read(&self, out: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, out, at)
    }

    #[cfg(unix)]
    fn write(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(self, bytes, at)
    }

    #[cfg(windows)]
    fn read(&self, mut out: &mut [u8], mut at: u64) -> io::Result<()> {
        while !out.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(self, out, at) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => (out, at) = (&mut out[n..], at + n as u64),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    #[cfg(windows)]
    fn write(&self, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
        while !bytes.is_empty() {
            match std::os::windows::fs::FileExt::seek_write(self, bytes, at) {
                Ok(n) => (bytes, at) = (&bytes[n..], at + n as u64),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    #[cfg(target_os = "linux")]
    fn read_cached(&self, out: &mut [u8], at: u64) -> Option<io::Result<()>> {
        use rustix::io::{Errno, ReadWriteFlags, preadv2};
        match preadv2(
            self,
            &mut [io::IoSliceMut::new(out)],
            at,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(n) if n == out.len() => Some(Ok(())),
            // Partly there, not there, or a file system that cannot tell: the read that may wait
            // finds out.
            Ok(_) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => None,
            Err(e) => Some(Err(e.into())),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn read_cached(&self, _: &mut [u8], _: u64) -> Option<io::Result<()>> {
        None
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}
