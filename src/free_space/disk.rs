//! What a disk has free.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::statvfs;

/// The default of what stays free: the smaller of 1 GiB and a hundredth of the disk.
const MIN_FREE: u64 = 1 << 30;

/// How old the answer of the file system may be when a put is judged by it.
const MAX_AGE: Duration = Duration::from_millis(10);

/// What the disk has free that a store lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeSpace {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes that puts leave free: `repo.min_free`.
    pub min_free: u64,
}

impl FreeSpace {
    /// Whether puts are refused until there is more space.
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// # let dir = tempfile::tempdir().unwrap();
    /// let config = format!("[repo]\ndata_dir = {:?}", dir.path());
    /// let stores = storehouse::Stores::open(&storehouse::Config::from_toml(&config)?).await?;
    /// for (store, space) in stores.free_space() {
    ///     let refused = if space.is_low() { ", puts are refused" } else { "" };
    ///     println!("{store}: {} bytes are free{refused}", space.free);
    ///     assert_eq!(space.is_low(), space.free < space.min_free);
    /// }
    /// # stores.close().await?;
    /// # Ok::<(), storehouse::Error>(())
    /// # }).unwrap();
    /// ```
    #[must_use]
    pub fn is_low(&self) -> bool {
        self.free < self.min_free
    }
}

/// The disk that a directory lies on.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    min_free: Option<u64>,
    last: Mutex<Option<(Instant, FreeSpace)>>,
}

impl Disk {
    pub(crate) fn new(directory: PathBuf, min_free: Option<u64>) -> Self {
        Self {
            directory,
            min_free,
            last: Mutex::default(),
        }
    }

    /// What is free now. Blocks.
    pub(crate) fn look(&self) -> io::Result<FreeSpace> {
        let disk = statvfs(&self.directory)?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        let space = FreeSpace {
            free: bytes(disk.f_bavail),
            // A file system that does not tell its size has none to keep free.
            min_free: self
                .min_free
                .unwrap_or_else(|| MIN_FREE.min(bytes(disk.f_blocks) / 100)),
        };
        *self.lock() = Some((Instant::now(), space));
        Ok(space)
    }

    /// What was free a moment ago. `None` if the file system does not tell.
    pub(crate) async fn recent(self: &Arc<Self>) -> Option<FreeSpace> {
        let last = *self.lock();
        if let Some((at, space)) = last
            && at.elapsed() < MAX_AGE
        {
            return Some(space);
        }
        let this = Arc::clone(self);
        let looked = tokio::task::spawn_blocking(move || this.look()).await;
        looked.ok()?.ok()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(Instant, FreeSpace)>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
