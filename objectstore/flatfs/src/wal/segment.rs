//! One file of the log.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use storehouse_objectstore::Key;

use super::super::directory::Directory;
use super::frame::{self, Header, Record, distrusted};

/// The files of the log. Go ignores names that begin with a dot.
pub(crate) const NAMES: [&str; 2] = [".log-0", ".log-1"];

/// How far zeros are written ahead, in bytes (both inclusive): as far again as the file is long.
/// Syncing a group then leaves the file's metadata alone.
const AHEAD: (u64, u64) = (128 * 1024, 4 * 1024 * 1024);

/// A file of the log, from which frames are read and to which they are written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: &'static str,
    file: File,
    directory: Arc<Directory>,
    generation: AtomicU64,
    /// Where the last frame ends.
    written: AtomicU64,
    /// How far of that was synced; `None` once a sync failed, after which nothing more can be made
    /// durable.
    synced: Mutex<Option<u64>>,
    durable: AtomicU64,
    /// The file's length.
    len: AtomicU64,
}

impl Segment {
    /// Makes the file, empty, and durable as such.
    pub(super) fn create(
        directory: &Arc<Directory>,
        name: &'static str,
        generation: u64,
    ) -> io::Result<Self> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::RUSR | Mode::WUSR;
        let segment = Self {
            name,
            file: File::from(openat(&directory.file, name, flags, mode)?),
            directory: Arc::clone(directory),
            generation: AtomicU64::new(generation),
            written: AtomicU64::new(0),
            synced: Mutex::new(None),
            durable: AtomicU64::new(frame::START),
            len: AtomicU64::new(0),
        };
        segment.reach(frame::START)?;
        segment.reset(generation)?;
        directory.sys.sync(&directory.file)?;
        Ok(segment)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets, durably, all that it holds.
    pub(super) fn reset(&self, generation: u64) -> io::Result<()> {
        let directory = &self.directory;
        let instance = directory.sys.instance(&directory.file).unwrap_or_default();
        self.write_header(generation, instance)?;
        self.generation.store(generation, Ordering::Release);
        self.written.store(frame::START, Ordering::Release);
        self.durable.store(frame::START, Ordering::Release);
        *self.synced.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame::START);
        Ok(())
    }

    /// Marks it so that the next opening in this run writes anew what it holds.
    pub(super) fn distrust(&self) -> io::Result<()> {
        let directory = &self.directory;
        let instance = directory.sys.instance(&directory.file).unwrap_or_default();
        self.write_header(self.generation(), distrusted(&instance))
    }

    fn write_header(&self, generation: u64, instance: String) -> io::Result<()> {
        write_header(&self.directory, &self.file, generation, instance)
    }

    /// Extends the file to `needed` at least. On an error nothing has changed.
    pub(super) fn reach(&self, needed: u64) -> io::Result<()> {
        let mut len = self.len.load(Ordering::Acquire);
        while len < needed {
            let zeros = len.clamp(AHEAD.0, AHEAD.1);
            self.file.write_all_at(&vec![0; zeros as usize], len)?;
            len += zeros;
            self.len.store(len, Ordering::Release);
        }
        Ok(())
    }

    /// Writes a frame at `at`; returns where it ends.
    pub(super) fn write(&self, mut frame: Vec<u8>, at: u64) -> io::Result<u64> {
        let durable = self.durable.load(Ordering::Acquire);
        frame::seal(&mut frame, self.generation(), at, durable);
        self.file.write_all_at(&frame, at)?;
        let end = at + frame.len() as u64;
        self.written.store(end, Ordering::Release);
        Ok(end)
    }

    /// Makes it durable up to `until` at least. Callers that come during another's sync share the
    /// next one.
    pub(super) fn sync(&self, until: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        match *synced {
            None => return Err(io::Error::other("an earlier sync of the log failed")),
            Some(synced) if synced >= until => return Ok(()),
            Some(_) => {}
        }
        let written = self.written.load(Ordering::Acquire);
        let done = self.directory.sys.sync_data(&self.file);
        *synced = done.as_ref().ok().map(|()| written);
        if done.is_ok() {
            self.durable.store(written, Ordering::Release);
        }
        done
    }

    /// All that was written to it.
    pub(super) fn records(&self) -> io::Result<Vec<Record>> {
        let bytes = read(&self.directory, self.name)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(frame::scan(&bytes, self.generation()).records)
    }
}

fn write_header(
    directory: &Directory,
    file: &File,
    generation: u64,
    instance: String,
) -> io::Result<()> {
    let mut header = Header {
        generation,
        instance,
    }
    .encode();
    if header.len() > frame::START as usize {
        return Err(io::Error::other("the header does not fit"));
    }
    header.resize(frame::START as usize, 0);
    file.write_all_at(&header, 0)?;
    directory.sys.sync_data(file)
}

/// A log that an earlier store left; `None` if there is none.
pub(super) fn read(directory: &Directory, name: &str) -> io::Result<Option<Bytes>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut bytes = Vec::new();
    match openat(&directory.file, name, flags, Mode::empty()) {
        Ok(file) => File::from(file).read_to_end(&mut bytes)?,
        Err(Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    Ok(Some(bytes.into()))
}

/// Gives a log that an earlier store left another instance.
pub(super) fn remark(
    directory: &Directory,
    name: &str,
    generation: u64,
    instance: String,
) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&directory.file, name, flags, Mode::empty())?);
    write_header(directory, &file, generation, instance)
}

/// A segment that is in use.
#[derive(Debug)]
pub(super) struct ActiveSegment {
    pub(super) segment: Arc<Segment>,
    /// Where the next frame goes.
    pub(super) at: u64,
    /// Keys that have records in it.
    pub(super) live: Arc<HashSet<Key>>,
    /// Groups whose records are in it and whose files have no names yet.
    pub(super) unnamed_groups: usize,
    /// The checkpoint thread works on it.
    pub(super) checkpointing: bool,
    /// The store's directory, opened before the first file was written that this segment covers:
    /// the kernel reports a failed write once per open directory.
    pub(super) file_system: Arc<File>,
    /// When the first record was written to it.
    pub(super) first: Option<Instant>,
    /// When the last one was, or when it was taken into use.
    pub(super) last: Instant,
}

impl ActiveSegment {
    pub(super) fn new(segment: Arc<Segment>, directory: &Directory) -> io::Result<Self> {
        Ok(Self {
            segment,
            at: frame::START,
            live: Arc::default(),
            unnamed_groups: 0,
            checkpointing: false,
            file_system: Arc::new(directory.reopen()?),
            first: None,
            last: Instant::now(),
        })
    }

    pub(super) fn generation(&self) -> u64 {
        self.segment.generation()
    }
}
