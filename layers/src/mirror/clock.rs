//! The clock that orders writes.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::record::Version;

/// A hybrid logical clock: the machine's time, moved past all that was seen.
#[derive(Debug)]
pub(super) struct Clock {
    writer: u64,
    last: Mutex<u64>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            // Random for each store that is opened.
            writer: RandomState::new().build_hasher().finish(),
            last: Mutex::default(),
        }
    }
}

impl Clock {
    /// A version after `seen` and all that this clock gave; `None` at the end of time.
    pub(super) fn after(&self, seen: Option<Version>) -> Option<Version> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.map_or(0, |version| version.time);
        *last = now().max(last.max(seen).checked_add(1)?);
        Some(Version {
            time: *last,
            writer: self.writer,
        })
    }
}

/// How far the clocks of two writers may be apart, in nanoseconds.
const MOST_AHEAD: u64 = 24 * 60 * 60 * 1_000_000_000;

/// Whether no writer with a clock that is about right can have given this version yet.
pub(super) fn is_far_ahead(version: Version) -> bool {
    version.time > now().saturating_add(MOST_AHEAD)
}

/// Nanoseconds since 1970, by the machine's clock.
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    // Until the year 2554.
    now.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_from_what_was_seen() {
        let clock = Clock::default();
        let first = clock.after(None).unwrap();
        assert!(now() - first.time < 1_000_000_000_000);
        let ahead = Version {
            time: first.time + (1 << 60),
            writer: 7,
        };
        let second = clock.after(Some(ahead)).unwrap();
        assert_eq!(second.time, ahead.time + 1);
        assert!(clock.after(Some(first)).unwrap() > second);
        let last = Version {
            time: u64::MAX,
            writer: 0,
        };
        assert_eq!(clock.after(Some(last)), None);
        assert!(is_far_ahead(last) && is_far_ahead(ahead) && !is_far_ahead(first));
    }
}
