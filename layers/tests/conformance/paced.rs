//! `TimeoutStore` and `ThrottleStore`.

use std::sync::Arc;
use std::time::Duration;

use storehouse_conformance::Fixture;
use storehouse_layers::{ThrottleOptions, ThrottleStore, TimeoutOptions, TimeoutStore};
use storehouse_objectstore::ObjectStore;

use crate::fixtures::memory;

fn throttled(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let options = ThrottleOptions::default()
        .read_bytes(1 << 30)
        .write_bytes(1 << 30)
        .read_operations(200_000)
        .write_operations(200_000)
        .burst(Duration::from_millis(1));
    ThrottleStore::new(store, options)
}

/// The suite's disk is slow when the machine is busy.
fn timed(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let options = TimeoutOptions::default()
        .operation(Duration::from_secs(20))
        .stall(Duration::from_secs(20));
    TimeoutStore::with_options(store, options)
}

async fn throttle() -> Fixture {
    memory().await.wrapped(throttled)
}

async fn timeout() -> Fixture {
    memory().await.wrapped(timed)
}

storehouse_conformance::tests!(over_throttle, throttle);
storehouse_conformance::tests!(over_timeout, timeout);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn throttle() -> Fixture {
        flatfs().await.wrapped(throttled)
    }

    async fn timeout() -> Fixture {
        flatfs().await.wrapped(timed)
    }

    storehouse_conformance::tests!(over_throttle, throttle);
    storehouse_conformance::tests!(over_timeout, timeout);
}
