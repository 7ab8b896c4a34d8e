//! `RetryStore`, over stores that fail now and then too.

use std::sync::Arc;
use std::time::Duration;

use storehouse_conformance::Fixture;
use storehouse_layers::{Fault, FaultStore, Faults, RetryOptions, RetryStore};
use storehouse_objectstore::{ErrorClass, ObjectStore, Operation};

use crate::fixtures::memory;

fn quick() -> RetryOptions {
    RetryOptions::default()
        .attempts(12)
        .min_pause(Duration::from_micros(10))
        .max_pause(Duration::from_micros(10))
}

async fn over_memory() -> Fixture {
    memory().await.wrapped(RetryStore::new)
}

/// Bodies break nowhere: one that breaks after its object was replaced cannot go on (rule 7).
fn failing(store: Arc<dyn ObjectStore>) -> impl ObjectStore {
    let faults = Faults::seeded(3);
    for operation in [
        Operation::Get,
        Operation::Head,
        Operation::Delete,
        Operation::List,
    ] {
        let fault = Fault::error(ErrorClass::Transient).on(operation);
        faults.add(fault.one_in(3).always());
    }
    faults.add(Fault::cut(7).on(Operation::List).one_in(3).always());
    faults.add(
        Fault::error(ErrorClass::Transient)
            .on(Operation::Put)
            .one_in(3)
            .always(),
    );
    RetryStore::with_options(FaultStore::with_faults(store, faults), quick())
}

async fn over_failing_memory() -> Fixture {
    memory().await.wrapped(failing)
}

storehouse_conformance::tests!(memory_alone, over_memory);
storehouse_conformance::tests!(failing_memory, over_failing_memory);

#[cfg(unix)]
mod streaming {
    use super::*;
    use crate::fixtures::flatfs;

    async fn over_flatfs() -> Fixture {
        flatfs().await.wrapped(RetryStore::new)
    }

    async fn over_failing_flatfs() -> Fixture {
        flatfs().await.wrapped(failing)
    }

    storehouse_conformance::tests!(over_retry, over_flatfs);
    storehouse_conformance::tests!(over_retry_of_failing, over_failing_flatfs);
}
