//! The layers that pass on what they are asked, alone and over each other.

use std::sync::Arc;

use storehouse_conformance::Fixture;
use storehouse_layers::{FaultStore, LimitStore, ObservedStore, PrefixStore};
use storehouse_objectstore::ObjectStore;

use crate::fixtures::memory;

fn prefixed(store: Arc<dyn ObjectStore>, prefix: &str) -> PrefixStore<Arc<dyn ObjectStore>> {
    PrefixStore::new(store, prefix).unwrap()
}

async fn prefix() -> Fixture {
    memory().await.wrapped(|store| prefixed(store, "tenant-7/"))
}

/// A prefix that ends within a segment: there are inner keys under it that are none here.
async fn prefix_within_a_segment() -> Fixture {
    memory().await.wrapped(|store| prefixed(store, "a/b"))
}

async fn limit() -> Fixture {
    memory().await.wrapped(|store| LimitStore::new(store, 3))
}

async fn limit_of_one() -> Fixture {
    memory().await.wrapped(|store| LimitStore::new(store, 1))
}

async fn observed() -> Fixture {
    memory()
        .await
        .wrapped(|store| ObservedStore::new(store, "objects", "memory"))
}

/// With an empty script.
async fn fault() -> Fixture {
    memory().await.wrapped(FaultStore::new)
}

async fn each_over_the_other() -> Fixture {
    memory()
        .await
        .wrapped(|store| {
            prefixed(
                Arc::new(LimitStore::new(prefixed(store, "outer/"), 2)),
                "inner-",
            )
        })
        .wrapped(|store| ObservedStore::new(store, "objects", "memory"))
}

storehouse_conformance::tests!(over_prefix, prefix);
storehouse_conformance::tests!(over_prefix_within_a_segment, prefix_within_a_segment);
storehouse_conformance::tests!(over_limit, limit);
storehouse_conformance::tests!(over_limit_of_one, limit_of_one);
storehouse_conformance::tests!(over_observed, observed);
storehouse_conformance::tests!(over_fault, fault);
storehouse_conformance::tests!(over_each_other, each_over_the_other);

/// Over a store whose bodies and listings are streams that wait for something.
#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn both() -> Fixture {
        flatfs()
            .await
            .wrapped(|store| LimitStore::new(prefixed(store, "tenant-7-"), 2))
    }

    async fn observed_alone() -> Fixture {
        flatfs()
            .await
            .wrapped(|store| ObservedStore::new(store, "objects", "flatfs"))
    }

    async fn fault_alone() -> Fixture {
        flatfs().await.wrapped(FaultStore::new)
    }

    storehouse_conformance::tests!(over_fault_over_flatfs, fault_alone);
    storehouse_conformance::tests!(over_both_over_flatfs, both);
    storehouse_conformance::tests!(over_observed_over_flatfs, observed_alone);
}
