//! One file of the log.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, openat};

use super::super::files::Files;
use super::frame::{self, Header, Record};
use super::recover;
use storehouse_objectstore::Key;

/// How far zeros are written ahead, in bytes (both inclusive): as far again as the file is long.
/// Syncing a group then need not touch the file's metadata.
const AHEAD: (u64, u64) = (128 * 1024, 4 * 1024 * 1024);

/// A file of the log, from which frames are read and to which they are written.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) name: &'static str,
    file: File,
    dir: File,
    generation: AtomicU64,
    /// How far it was written, and how far of that was synced; nothing more can be made durable
    /// once a sync failed.
    written: AtomicU64,
    synced: Mutex<Option<u64>>,
    durable: AtomicU64,
    /// How far the file reaches.
    end: AtomicU64,
}

impl Segment {
    /// Makes the file, empty, and durable as such.
    pub(super) fn create(files: &Files, name: &'static str, generation: u64) -> io::Result<Self> {
        let flags =
            OFlags::RDWR | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(openat(&files.dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        let start = AtomicU64::new(0);
        let segment = Self {
            name,
            file,
            dir: files.reopen()?,
            generation: AtomicU64::new(generation),
            written: start,
            synced: Mutex::new(None),
            durable: AtomicU64::new(frame::START),
            end: AtomicU64::new(0),
        };
        segment.reach(frame::START)?;
        segment.reset(
            generation,
            files.sys.instance(&files.dir).unwrap_or_default(),
        )?;
        files.dir.sync_all()?;
        Ok(segment)
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Forgets, durably, all that it holds.
    pub(super) fn reset(&self, generation: u64, instance: String) -> io::Result<()> {
        self.mark(generation, instance)?;
        self.generation.store(generation, Ordering::Release);
        self.written.store(frame::START, Ordering::Release);
        self.durable.store(frame::START, Ordering::Release);
        *self.synced.lock().unwrap_or_else(PoisonError::into_inner) = Some(frame::START);
        Ok(())
    }

    /// Writes the header.
    pub(super) fn mark(&self, generation: u64, instance: String) -> io::Result<()> {
        let mut header = Header {
            generation,
            instance,
        }
        .encode();
        if header.len() > frame::START as usize {
            return Err(io::Error::other("the header does not fit"));
        }
        header.resize(frame::START as usize, 0);
        self.file.write_all_at(&header, 0)?;
        self.file.sync_data()
    }

    /// Sees to it that the file reaches to `needed`. If it cannot, nothing has changed.
    pub(super) fn reach(&self, needed: u64) -> io::Result<()> {
        let mut end = self.end.load(Ordering::Acquire);
        while end < needed {
            let zeros = end.clamp(AHEAD.0, AHEAD.1);
            self.file.write_all_at(&vec![0; zeros as usize], end)?;
            end += zeros;
            self.end.store(end, Ordering::Release);
        }
        Ok(())
    }

    /// Writes a frame at `at`; gives back where it ends.
    pub(super) fn write(&self, mut frame: Vec<u8>, at: u64) -> io::Result<u64> {
        frame::seal(
            &mut frame,
            self.generation(),
            at,
            self.durable.load(Ordering::Acquire),
        );
        self.file.write_all_at(&frame, at)?;
        let end = at + frame.len() as u64;
        self.written.store(end, Ordering::Release);
        Ok(end)
    }

    /// Makes it durable up to `until` at least. Whoever comes while another's sync is under way
    /// shares the next one.
    pub(super) fn sync(&self, until: u64) -> io::Result<()> {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        match *synced {
            None => return Err(io::Error::other("an earlier sync of the log failed")),
            Some(synced) if synced >= until => return Ok(()),
            Some(_) => {}
        }
        let written = self.written.load(Ordering::Acquire);
        let done = self.file.sync_data();
        *synced = done.as_ref().ok().map(|()| written);
        if done.is_ok() {
            self.durable.store(written, Ordering::Release);
        }
        done
    }

    /// All that was written to it.
    pub(super) fn records(&self) -> io::Result<Vec<Record>> {
        let bytes = recover::read(&self.dir, self.name)?.ok_or(io::ErrorKind::NotFound)?;
        Ok(frame::scan(&bytes, self.generation()).records)
    }
}

/// A segment that is in use.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) segment: Arc<Segment>,
    /// Where the next frame goes.
    pub(super) at: u64,
    /// Keys that have records in it.
    pub(super) live: Arc<HashSet<Key>>,
    /// Groups whose records are in it and whose files have no names yet.
    pub(super) under_way: usize,
    /// The keeper is at it.
    pub(super) busy: bool,
    /// The store's directory, opened before the first file was written that this segment answers
    /// for: the kernel reports a failed write once per open directory.
    pub(super) file_system: Arc<File>,
    /// When the first record was written to it.
    pub(super) first: Option<Instant>,
    /// When the last one was, or when it was taken into use.
    pub(super) last: Instant,
}

impl Writing {
    pub(super) fn new(segment: Arc<Segment>, files: &Files) -> io::Result<Self> {
        let file_system = Arc::new(files.reopen()?);
        Ok(Self {
            segment,
            at: frame::START,
            live: Arc::default(),
            under_way: 0,
            busy: false,
            file_system,
            first: None,
            last: Instant::now(),
        })
    }

    pub(super) fn generation(&self) -> u64 {
        self.segment.generation()
    }
}
