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
    use storehouse_conformance::Pace;
    use storehouse_flatfs::{FlatFs, FlatFsOptions};

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

    /// A slow tier in memory, which gets later what a directory has.
    async fn written_back_to_memory() -> Fixture {
        let (dir, slow) = (tempfile::tempdir().unwrap(), Memory::new());
        let (path, temp) = (dir.path().join("fast"), dir.path().join("fast/.temp"));
        let open = move || {
            let (path, slow) = (path.clone(), slow.reopen());
            let options = TieredOptions::default().write_back(true);
            async move {
                let fast = FlatFs::open(path, FlatFsOptions::default()).await?;
                Ok(TieredStore::with_options(fast, slow, options))
            }
        };
        Fixture::new(open().await.unwrap())
            .opens(open)
            .leftovers(move || {
                let left = std::fs::read_dir(&temp)
                    .unwrap()
                    .map(|entry| entry.unwrap().path().display().to_string())
                    .collect();
                async { left }
            })
            .profile(Profile {
                pace: Pace::DISK,
                exclusive: true,
                ..Profile::default()
            })
            .keeps(dir)
    }

    /// Hardly anything may be due, and much is too large for it.
    async fn written_back_to_flatfs() -> Fixture {
        two_directories(|fast, slow| {
            let options = TieredOptions::default().max_due(2).max_due_bytes(2000);
            TieredStore::with_options(fast, slow, options.write_back(true))
        })
        .await
    }

    storehouse_conformance::tests!(written_back, written_back_to_memory);
    storehouse_conformance::tests!(written_back_with_little_due, written_back_to_flatfs);
    storehouse_conformance::tests!(memory_before_disk, memory_over_flatfs);
    storehouse_conformance::tests!(disk_before_disk, flatfs_over_flatfs);
}
