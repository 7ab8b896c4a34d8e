//! The free space of the disks that stores lie on, and puts that would take too much of it.

mod disk;
mod store;

pub(crate) use disk::Disk;
pub use disk::FreeSpace;
pub(crate) use store::MinFreeStore;
