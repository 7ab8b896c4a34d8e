//! Tags, unique to each version of an object.

// The fields of `stat` have other types on other systems.
#![allow(clippy::unnecessary_cast)]

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FileType, Stat, Timespec, Timestamps, futimens};

use storehouse_objectstore::{ETag, Metadata};

/// Gives each file that is put a modification time of its own.
///
/// A tag is made of inode, modification time and size. On their own these are not unique: the
/// kernel's file clock ticks every few milliseconds, and a freed inode is reused at once, so two
/// versions of one size written within a tick could share all three. So times are set from here, in
/// nanoseconds, each later than the one before. Go ignores them.
///
/// ```
/// use storehouse_engine::files::Clock;
///
/// let (clock, file) = (Clock::default(), tempfile::tempfile()?);
/// let first = clock.stamp(&file)?;
/// assert!(clock.stamp(&file)? > first, "no two versions have one time");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Clock {
    last: AtomicU64,
}

impl Clock {
    /// Sets the time of a file that is written but not visible yet; returns it, in ns since 1970.
    ///
    /// # Errors
    /// The system's.
    pub fn stamp(&self, file: &File) -> io::Result<u64> {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
        let next = |last: u64| now.max(last.saturating_add(1));
        // The closure never gives up, so both arms hold the old value. (`update` is not stable at
        // the minimum Rust version.)
        let (Ok(last) | Err(last)) =
            self.last
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                    Some(next(last))
                });
        let nanos = next(last);
        let time = Timespec {
            tv_sec: (nanos / 1_000_000_000) as _,
            tv_nsec: (nanos % 1_000_000_000) as _,
        };
        futimens(
            file,
            &Timestamps {
                last_access: time,
                last_modification: time,
            },
        )?;
        Ok(nanos)
    }
}

/// Whether this is a regular file, as every object is.
///
/// ```
/// use storehouse_engine::files::{describe, is_object};
/// use storehouse_objectstore::{Key, Operation};
///
/// let stat = describe(Operation::Get, &Key::new("a")?, &tempfile::tempfile()?)?;
/// assert!(is_object(&stat));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_object(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// An object's metadata.
///
/// ```
/// use storehouse_engine::files::{describe, etag, metadata, write_at};
/// use storehouse_objectstore::{Key, Operation};
///
/// let file = tempfile::tempfile()?;
/// write_at(&file, &["hello".into()], 0)?;
/// let stat = describe(Operation::Head, &Key::new("a")?, &file)?;
/// assert_eq!((metadata(&stat).size, metadata(&stat).etag), (5, etag(&stat)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn metadata(stat: &Stat) -> Metadata {
    Metadata::new(stat.st_size as u64, etag(stat)).last_modified(modified(stat))
}

/// `<inode>-<modification time in ns>-<size>`, in hexadecimal.
///
/// ```
/// use storehouse_engine::files::{Clock, describe, etag};
/// use storehouse_objectstore::{Key, Operation};
///
/// let (key, file, clock) = (Key::new("a")?, tempfile::tempfile()?, Clock::default());
/// let tag = || Ok::<_, Box<dyn std::error::Error>>(etag(&describe(Operation::Get, &key, &file)?));
/// clock.stamp(&file)?;
/// let first = tag()?;
/// clock.stamp(&file)?;
/// assert_ne!(tag()?, first);
/// assert_eq!(first.as_str().split('-').count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn etag(stat: &Stat) -> ETag {
    // Formatted by hand: every read does this, and `format!` would take a tenth of its time.
    let nanos = (stat.st_mtime as i64 as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(stat.st_mtime_nsec as u64);
    let mut text = [0; 50];
    let mut at = text.len();
    for (i, mut value) in [stat.st_size as u64, nanos, stat.st_ino as u64]
        .into_iter()
        .enumerate()
    {
        if i > 0 {
            at -= 1;
            text[at] = b'-';
        }
        loop {
            at -= 1;
            text[at] = b"0123456789abcdef"[(value & 15) as usize];
            value >>= 4;
            if value == 0 {
                break;
            }
        }
    }
    ETag::new(std::str::from_utf8(&text[at..]).unwrap_or_default())
}

fn modified(stat: &Stat) -> Option<SystemTime> {
    let nanos = Duration::from_nanos(stat.st_mtime_nsec as u64);
    match u64::try_from(stat.st_mtime as i64) {
        Ok(seconds) => UNIX_EPOCH
            .checked_add(Duration::from_secs(seconds))?
            .checked_add(nanos),
        Err(_) => UNIX_EPOCH
            .checked_sub(Duration::from_secs((stat.st_mtime as i64).unsigned_abs()))?
            .checked_add(nanos),
    }
}
