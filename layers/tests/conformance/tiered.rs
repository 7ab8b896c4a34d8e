//! `TieredStore`, in every direction, over tiers in memory and on disk.

use storehouse_conformance::{Fixture, Profile};
use storehouse_layers::{TierDirection, TieredOptions, TieredStore};
use storehouse_objectstore::Memory;

use crate::fixtures::{memory, memory_profile};

/// A fast tier that outlives the store, as a disk's does.
async fn tiered(options: TieredOptions) -> Fixture {
    let fast = Memory::new();
    memory()
        .await
        .wrapped(move |slow| TieredStore::with_options(fast.reopen(), slow, options.clone()))
        .profile(Profile {
            // A copy holds what its source holds.
            holds_bodies: true,
            ..memory_profile()
        })
}

async fn both() -> Fixture {
    tiered(TieredOptions::default().fill_ranges(true)).await
}

/// Every reader falls behind at once.
async fn without_a_window() -> Fixture {
    let options = TieredOptions::default().window(0).fast(TierDirection::Get);
    tiered(options).await
}

async fn update() -> Fixture {
    tiered(TieredOptions::default().fast(TierDirection::Update)).await
}

async fn small_copies() -> Fixture {
    tiered(TieredOptions::default().max_copy(1000).max_fills(2)).await
}

storehouse_conformance::tests!(in_both_directions, both);
storehouse_conformance::tests!(by_gets_without_a_window, without_a_window);
storehouse_conformance::tests!(by_puts, update);
storehouse_conformance::tests!(of_small_objects, small_copies);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::{flatfs, two_directories};

    async fn memory_over_flatfs() -> Fixture {
        let fast = Memory::new();
        flatfs()
            .await
            .wrapped(move |slow| TieredStore::new(fast.reopen(), slow))
    }

    async fn flatfs_over_flatfs() -> Fixture {
        two_directories(|fast, slow| {
            let options = TieredOptions::default().window(100_000).fill_ranges(true);
            TieredStore::with_options(fast, slow, options)
        })
        .await
    }

    storehouse_conformance::tests!(memory_before_disk, memory_over_flatfs);
    storehouse_conformance::tests!(disk_before_disk, flatfs_over_flatfs);
}
