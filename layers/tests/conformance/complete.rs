//! `CompleteStore`, of records that name no objects.

use storehouse_conformance::Fixture;
use storehouse_layers::{CompleteOptions, CompleteStore};
use storehouse_objectstore::{Memory, ObjectStore};

use crate::fixtures::memory;

fn complete(records: impl ObjectStore) -> impl ObjectStore {
    let options = CompleteOptions::default().max_record(64 << 20);
    CompleteStore::with_options(records, Memory::new(), |_| Ok(Vec::new()), options)
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(complete)
}

storehouse_conformance::tests!(of_memory, over_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(complete)
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
}
