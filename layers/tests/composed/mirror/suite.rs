//! The conformance suite.

use std::time::Duration;

use storehouse_conformance::Fixture;
use storehouse_layers::{MirrorOptions, MirrorStore};

use crate::backends::{Inner, over_memories};

fn mirrored(inner: Vec<Inner>) -> MirrorStore<Inner> {
    MirrorStore::new(inner, MirrorOptions::default()).unwrap()
}

/// Reads of one replica alone, in no order that could be relied on, as of remote ones.
fn hedged_at_once(inner: Vec<Inner>) -> MirrorStore<Inner> {
    let options = MirrorOptions::default()
        .hedge_after(Duration::ZERO)
        .eager_gets(true);
    MirrorStore::new(inner, options).unwrap()
}

async fn three_memories() -> Fixture {
    over_memories(3, mirrored)
}

async fn two_memories() -> Fixture {
    over_memories(2, hedged_at_once)
}

storehouse_conformance::tests!(three_over_memory, three_memories);
storehouse_conformance::tests!(two_over_memory, two_memories);

#[cfg(unix)]
storehouse_conformance::tests!(over_flatfs, || crate::backends::over_directories(
    3, mirrored
));
