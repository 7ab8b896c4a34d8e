//! Messages of which there may be very many.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Writes that a full disk refused are logged once a second, by the store or by what asked it: it
/// refuses every one, and what is called through several layers fails in each.
///
/// ```
/// use std::time::Instant;
/// use storehouse_objectstore::observe::FULL;
///
/// let mut shown = Vec::new();
/// for _ in 0..3 {
///     if let Some(more) = FULL.pass(Instant::now()) {
///         shown.push(format!("the disk is full ({more} more messages were not shown)"));
///     }
/// }
/// assert_eq!(shown, ["the disk is full (0 more messages were not shown)"]);
/// ```
pub static FULL: LogLimit = LogLimit::new(Duration::from_secs(1));

/// Lets a message through at most once in a period, and counts those between.
///
/// ```
/// use std::time::{Duration, Instant};
/// use storehouse_objectstore::observe::LogLimit;
///
/// static LIMIT: LogLimit = LogLimit::new(Duration::from_secs(60));
/// let logged: Vec<_> = (0..3).map(|_| LIMIT.pass(Instant::now())).collect();
/// assert_eq!(logged, [Some(0), None, None]);
/// ```
#[derive(Debug)]
pub struct LogLimit {
    period: Duration,
    state: Mutex<(Option<Instant>, u64)>,
}

impl LogLimit {
    /// One message in each `period`.
    #[must_use]
    pub const fn new(period: Duration) -> Self {
        Self {
            period,
            state: Mutex::new((None, 0)),
        }
    }

    /// Whether to log now, and how many were not logged since the last time; `None` if not.
    #[must_use]
    pub fn pass(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, skipped) = &mut *state;
        if last.is_some_and(|last| now.saturating_duration_since(last) < self.period) {
            *skipped += 1;
            return None;
        }
        *last = Some(now);
        Some(std::mem::take(skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_in_a_period() {
        let limit = LogLimit::new(Duration::from_secs(1));
        let start = Instant::now();
        let at = |millis| limit.pass(start + Duration::from_millis(millis));
        let passed = [0, 1, 999, 1000, 1500, 2000, 5000].map(at);
        assert_eq!(
            passed,
            [Some(0), None, None, Some(2), None, Some(1), Some(0)]
        );
    }
}
