//! What Linux alone has.

use std::fs::File;
use std::io::{self, IoSliceMut, Write};
use std::num::NonZeroU64;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{
    Advice, AtFlags, CWD, Mode, OFlags, RenameFlags, ResolveFlags, StatxFlags, fadvise, fstatfs,
    linkat, openat, openat2, renameat_with, statx, syncfs,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

use super::calls::Sys;
use super::portable::Portable;

/// With more unwritten data than this in the whole machine, in KiB, `syncfs` might take seconds: it
/// writes everybody's.
const MAX_DIRTY_KIB: u64 = 512 * 1024;

/// What syncing one file costs where many are synced at the same time, roughly. A `syncfs` that
/// took longer than its files would have was no bargain: somebody else is writing much.
const ONE_FILE: Duration = Duration::from_micros(250);

/// After a slow one, files are synced one by one for this multiple of its time.
const PAUSE: u32 = 16;

/// File systems whose `syncfs` is known to sync data, metadata and the disk's cache: ext2 to ext4,
/// XFS, Btrfs, F2FS. (That of FUSE, for one, reaches no further than the kernel.)
const TRUSTED_SYNCFS: [u64; 4] = [0xef53, 0x5846_5342, 0x9123_683e, 0xf2f5_2010];

const TMPFS: u64 = 0x0102_1994;

/// `STATX_MNT_ID_UNIQUE`, since Linux 6.8: a mount's number that no other one gets while the
/// machine runs.
const UNIQUE_MOUNT: StatxFlags = StatxFlags::from_bits_retain(0x4000);

/// Where open files have names.
const OPEN_FILES: &str = "/proc/self/fd";

/// What was refused once for good (an old kernel, a file system, a sandbox) is not tried again.
#[derive(Debug, Default)]
pub(super) struct Linux {
    no_cached_open: AtomicBool,
    no_cached_read: AtomicBool,
    no_rename_new: AtomicBool,
    no_unnamed: AtomicBool,
    no_link_of_handle: AtomicBool,
    has_proc: OnceLock<bool>,
    /// Until when `syncfs` is not worth it.
    pause: Mutex<Option<Instant>>,
}

/// Whether the system does not know the call, or its flags, or forbids it.
fn refused(error: Errno) -> bool {
    matches!(
        error,
        Errno::NOSYS | Errno::INVAL | Errno::OPNOTSUPP | Errno::PERM
    )
}

impl Sys for Linux {
    fn open_cached(&self, dir: &File, path: &str) -> Option<io::Result<File>> {
        if self.no_cached_open.load(Ordering::Relaxed) {
            return None;
        }
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::CACHED | ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Ok(file) => Some(Ok(File::from(file))),
            Err(Errno::AGAIN) => None,
            Err(e) if refused(e) => {
                self.no_cached_open.store(true, Ordering::Relaxed);
                None
            }
            Err(e) => Some(Err(e.into())),
        }
    }

    fn open(&self, dir: &File, path: &str) -> io::Result<File> {
        Portable.open(dir, path)
    }

    fn read_cached(
        &self,
        file: &File,
        buffer: &mut [u8],
        offset: u64,
    ) -> Option<io::Result<usize>> {
        if self.no_cached_read.load(Ordering::Relaxed) {
            return None;
        }
        match preadv2(
            file,
            &mut [IoSliceMut::new(buffer)],
            offset,
            ReadWriteFlags::NOWAIT,
        ) {
            Ok(n) => Some(Ok(n)),
            Err(Errno::AGAIN | Errno::INTR) => None,
            Err(e) if refused(e) => {
                self.no_cached_read.store(true, Ordering::Relaxed);
                None
            }
            Err(e) => Some(Err(e.into())),
        }
    }

    fn start_write_back(&self, file: &File, offset: u64, len: u64) {
        // "Not needed" makes the kernel start writing what is dirty and drop what is clean. The
        // bytes were written just now, so they are dirty, and stay.
        let _ = fadvise(file, offset, NonZeroU64::new(len), Advice::DontNeed);
    }

    fn rename_new(&self, dir: &File, from: &str, to_dir: &File, to: &str) -> io::Result<()> {
        if !self.no_rename_new.load(Ordering::Relaxed) {
            match renameat_with(dir, from, to_dir, to, RenameFlags::NOREPLACE) {
                Err(e) if refused(e) => self.no_rename_new.store(true, Ordering::Relaxed),
                done => return Ok(done?),
            }
        }
        Portable.rename_new(dir, from, to_dir, to)
    }

    fn create_unnamed(&self, dir: &File) -> Option<File> {
        // Naming it may take /proc.
        if self.no_unnamed.load(Ordering::Relaxed)
            || !*self
                .has_proc
                .get_or_init(|| std::path::Path::new(OPEN_FILES).exists())
        {
            return None;
        }
        match openat(
            dir,
            ".",
            OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        ) {
            Ok(file) => Some(File::from(file)),
            Err(e) => {
                if refused(e) || e == Errno::ISDIR {
                    self.no_unnamed.store(true, Ordering::Relaxed);
                }
                None
            }
        }
    }

    fn name(&self, file: &File, dir: &File, name: &str) -> io::Result<()> {
        // Finding the file by way of /proc takes a third of the whole. Without it needs a
        // privilege, or Linux 6.10; refused, the kernel says that there is no such file.
        if !self.no_link_of_handle.load(Ordering::Relaxed) {
            match linkat(file, "", dir, name, AtFlags::EMPTY_PATH) {
                Err(Errno::NOENT) => {}
                Err(e) if refused(e) => self.no_link_of_handle.store(true, Ordering::Relaxed),
                done => return Ok(done?),
            }
        }
        linkat(
            CWD,
            format!("{OPEN_FILES}/{}", file.as_raw_fd()),
            dir,
            name,
            AtFlags::SYMLINK_FOLLOW,
        )?;
        self.no_link_of_handle.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn sync_file_system(&self, dir: &File, files: u32) -> Option<io::Result<()>> {
        let now = Instant::now();
        if self
            .pause
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_some_and(|until| now < until)
        {
            return None;
        }
        if !self.can_sync_file_system(dir) || dirty_kib()? > MAX_DIRTY_KIB {
            return None;
        }
        // The kernel reports a failed write once per open directory, counted from its opening:
        // hence the caller opens one for each group.
        let result = syncfs(dir).map_err(io::Error::from);
        let took = now.elapsed();
        if took > ONE_FILE * files {
            *self.pause.lock().unwrap_or_else(PoisonError::into_inner) =
                now.checked_add(took * PAUSE);
        }
        Some(result)
    }

    fn can_sync_file_system(&self, dir: &File) -> bool {
        fstatfs(dir).is_ok_and(|fs| TRUSTED_SYNCFS.contains(&(fs.f_type as u64)))
    }

    fn sync_whole_file_system(&self, dir: &File) -> io::Result<()> {
        Ok(syncfs(dir)?)
    }

    fn shows_changes(&self, dir: &File) -> bool {
        fstatfs(dir).is_ok_and(|fs| {
            let kind = fs.f_type as u64;
            kind == TMPFS || TRUSTED_SYNCFS.contains(&kind)
        })
    }

    fn instance(&self, dir: &File) -> Option<String> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        // The mount too: a file system that was lost and mounted again has what its disk had.
        let mount = statx(dir, "", AtFlags::EMPTY_PATH, UNIQUE_MOUNT)
            .ok()
            .filter(|found| found.stx_mask & UNIQUE_MOUNT.bits() != 0)?;
        Some(format!("{} {:x}", boot.trim(), mount.stx_mnt_id))
    }

    fn create_whole(&self, dir: &File, name: &str, content: &[u8], mode: u32) -> io::Result<()> {
        match openat(
            dir,
            ".",
            OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC,
            Mode::from_raw_mode(mode),
        ) {
            Ok(file) => {
                let mut file = File::from(file);
                file.write_all(content)?;
                file.sync_all()?;
                match self.name(&file, dir, name) {
                    // Without /proc.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {
                        Portable.create_whole(dir, name, content, mode)
                    }
                    done => done,
                }
            }
            Err(e) if refused(e) || e == Errno::ISDIR => {
                Portable.create_whole(dir, name, content, mode)
            }
            Err(e) => Err(e.into()),
        }
    }
}

/// The machine's unwritten data, in KiB.
fn dirty_kib() -> Option<u64> {
    let meminfo = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("Dirty:"))?;
    line.split_whitespace().next()?.parse().ok()
}
