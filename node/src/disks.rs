//! The room on the disks that stores lie on.

use std::io;
use std::path::PathBuf;

use rustix::fs::statvfs;
use storehouse::{Backend, StoreName, Stores};

/// The default of what must stay free: the smaller of 1 GiB and a hundredth of the disk.
const MIN_FREE: u64 = 1 << 30;

/// Where stores lie on disks.
#[derive(Debug)]
pub(crate) struct Disks {
    places: Vec<(&'static str, PathBuf)>,
    min_free: Option<u64>,
}

/// The disk that a store lies on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) store: &'static str,
    /// Bytes that this process may still write.
    pub(crate) free: u64,
    /// Whether these are fewer than must stay free.
    pub(crate) low: bool,
}

impl Disks {
    pub(crate) fn of(stores: &Stores, min_free: Option<u64>) -> Self {
        let mut places: Vec<_> = StoreName::ALL
            .into_iter()
            .filter_map(|store| match stores.backend_of(store) {
                Backend::Flatfs { path } | Backend::Redb { path } => {
                    Some((store.as_str(), path.clone()))
                }
                _ => None,
            })
            .collect();
        if let Some(data_dir) = stores.local().data_dir() {
            places.push(("local", data_dir.to_owned()));
        }
        Self { places, min_free }
    }

    /// How each is now. Blocks. One that cannot be asked is left out: the health of its store says
    /// so.
    pub(crate) fn look(&self) -> Vec<Disk> {
        let disks = self.places.iter().filter_map(|(store, path)| {
            let (free, size) = space(path).ok()?;
            let min_free = self.min_free.unwrap_or(MIN_FREE.min(size / 100));
            Some(Disk {
                store,
                free,
                low: free < min_free,
            })
        });
        disks.collect()
    }
}

/// Free bytes, and all bytes.
fn space(path: &std::path::Path) -> io::Result<(u64, u64)> {
    let disk = statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Ok((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}
