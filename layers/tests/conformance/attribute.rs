//! `AttributeStore`.

use storehouse_conformance::Fixture;
use storehouse_layers::AttributeStore;

use crate::fixtures::memory;

async fn over_memory() -> Fixture {
    memory().await.wrapped(AttributeStore::new)
}

storehouse_conformance::tests!(of_memory, over_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(AttributeStore::new)
    }

    storehouse_conformance::tests!(of_flatfs, over_flatfs);
}
