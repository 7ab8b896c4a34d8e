//! A rate, and turns in the order of arrival.
//!
//! The generic cell rate algorithm (ITU-T I.371): one instant says up to when the rate is spoken
//! for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

#[derive(Debug)]
pub(super) struct Bucket {
    /// Units a second.
    rate: u64,
    burst: Duration,
    /// Everything up to here was given away. `None` before the first turn.
    spoken_for: Mutex<Option<Instant>>,
}

/// A turn that was not waited for to its end gives back what it took.
struct Turn<'a> {
    bucket: &'a Bucket,
    cost: Duration,
    waited: bool,
}

impl Bucket {
    /// The bucket of a rate, if there is one.
    pub(super) fn new(rate: Option<u64>, burst: Duration) -> Option<Arc<Self>> {
        let rate = rate?.max(1);
        Some(Arc::new(Self {
            rate,
            burst,
            spoken_for: Mutex::new(None),
        }))
    }

    fn cost(&self, units: u64) -> Duration {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Waits for the turn of these units.
    pub(super) async fn take(&self, units: u64) {
        let cost = self.cost(units);
        let now = Instant::now();
        let end = {
            let mut spoken_for = self.lock();
            let saved = now.checked_sub(self.burst).unwrap_or(now);
            let start = spoken_for.map_or(saved, |until| until.max(saved));
            let end = start.checked_add(cost).unwrap_or(start);
            *spoken_for = Some(end);
            end
        };
        if end <= now {
            return;
        }
        let mut turn = Turn {
            bucket: self,
            cost,
            waited: false,
        };
        tokio::time::sleep_until(end).await;
        turn.waited = true;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.spoken_for
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.waited {
            let mut spoken_for = self.bucket.lock();
            *spoken_for = spoken_for.and_then(|until| until.checked_sub(self.cost));
        }
    }
}

/// Waits for a turn, if there is a rate.
pub(super) async fn take(bucket: Option<&Arc<Bucket>>, units: u64) {
    if let Some(bucket) = bucket
        && units > 0
    {
        bucket.take(units).await;
    }
}
