//! Listings of replicas, some of which may fail.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use storehouse_objectstore::{Entry, Error, ObjectStore, Operation, Result};

use super::failures::{Failures, too_few};
use super::shared::Shared;

/// The listings of one listing of the mirror.
#[derive(Debug)]
pub(super) struct Sources {
    /// How many must not fail.
    needed: usize,
    of: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// How many of those that count have not failed.
    counted: usize,
    failures: Failures,
}

impl Sources {
    pub(super) fn new(needed: usize, of: usize, counted: usize) -> Arc<Self> {
        Arc::new(Self {
            needed,
            of,
            state: Mutex::new(State {
                counted,
                failures: Vec::new(),
            }),
        })
    }

    /// Notes a failure; an error if there are now too many.
    fn failed(&self, replica: usize, counts: bool, error: Error) -> Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.counted -= usize::from(counts);
        state.failures.push((replica, error));
        if state.counted >= self.needed {
            return Ok(());
        }
        let failures = std::mem::take(&mut state.failures);
        let counts = (self.needed, self.of);
        Err(too_few(Operation::List, None, counts, failures))
    }

    /// The failures so far.
    pub(super) fn take_failures(&self) -> Failures {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.failures)
    }

    /// The listing of one replica: if it fails, or is silent for longer than its patience, it ends
    /// there as long as enough others go on.
    pub(super) fn source<S: ObjectStore>(
        self: &Arc<Self>,
        shared: &Arc<Shared<S>>,
        (replica, counts, patience): (usize, bool, Duration),
        listing: BoxStream<'static, Result<Entry>>,
    ) -> BoxStream<'static, Result<Entry>> {
        let (sources, shared) = (Arc::clone(self), Arc::clone(shared));
        stream::unfold(Some(listing), move |listing| {
            let (sources, shared) = (Arc::clone(&sources), Arc::clone(&shared));
            async move {
                let mut listing = listing?;
                let next = async { listing.next().await.transpose() };
                let of = (Operation::List, None, replica);
                match shared.within(patience, of, next).await {
                    Ok(entry) => Some((Ok(entry?), Some(listing))),
                    Err(error) => {
                        let failed = sources.failed(replica, counts, error);
                        failed.err().map(|error| (Err(error), None))
                    }
                }
            }
        })
        .boxed()
    }
}
