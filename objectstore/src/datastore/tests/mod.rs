//! Tests of the parts, and of the whole on a disk that crashes, fills up and rots.

mod crash;
mod damage;
mod frames;
mod full;
mod noise;
mod sim;
mod walk;

use std::sync::Arc;

use super::disk::Disk;
use super::fault::Fault;
use super::open::open_on;
use super::{Datastore, DatastoreOptions};

/// Buffers so small that tables are written and merged all the time.
const SMALL: DatastoreOptions = DatastoreOptions {
    max_size: 1 << 20,
    cache: 64 << 10,
    write_buffer: 64 << 10,
    salvage: false,
};

fn open(disk: &Arc<sim::SimDisk>, options: DatastoreOptions) -> Result<Datastore, Fault> {
    let disk: Arc<dyn Disk> = Arc::<sim::SimDisk>::clone(disk);
    open_on(disk, options, None)
        .map(|(core, flushing)| Datastore::new(core, "simulated".into(), flushing))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}
