//! What time it is, by clocks that may be wrong.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use storehouse_objectstore::Attributes;

/// By how much the difference of two clocks may change and be steady all the same, in milliseconds:
/// clocks drift.
const DRIFT: i128 = 1000;

/// The clocks that an [`ExpiringStore`](super::ExpiringStore) goes by.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::{Duration, SystemTime};
/// use storehouse_layers::{ExpiringOptions, ExpiringStore, ExpiryClock};
/// use storehouse_objectstore::{Key, Memory, ObjectStoreExt};
///
/// /// A test's clock: the seconds since 1970, set by hand.
/// #[derive(Clone, Debug, Default)]
/// struct Manual(Arc<AtomicU64>);
///
/// impl ExpiryClock for Manual {
///     fn wall(&self) -> SystemTime {
///         SystemTime::UNIX_EPOCH + self.monotonic()
///     }
///
///     fn monotonic(&self) -> Duration {
///         Duration::from_secs(self.0.load(Ordering::Relaxed))
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let (clock, key) = (Manual::default(), Key::new("a")?);
/// let options = ExpiringOptions::default().default_ttl(Duration::from_secs(60));
/// let store = ExpiringStore::with_clock(Memory::new(), options, clock.clone())?;
/// store.put(&key, "content").await?;
/// clock.0.store(59, Ordering::Relaxed);
/// assert!(store.exists(&key).await?);
/// clock.0.store(60, Ordering::Relaxed);
/// assert!(!store.exists(&key).await?);
/// assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + clock.monotonic());
/// # Ok::<(), storehouse_objectstore::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait ExpiryClock: Debug + Send + Sync + 'static {
    /// The time of day. It may jump.
    fn wall(&self) -> SystemTime;

    /// The time since some moment. It never goes back.
    fn monotonic(&self) -> Duration;
}

/// The clocks of the system.
///
/// ```
/// use storehouse_layers::{ExpiryClock, SystemExpiryClock};
///
/// let clock = SystemExpiryClock::default();
/// assert!(clock.monotonic() <= clock.monotonic());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct SystemExpiryClock {
    begun: Instant,
}

impl Default for SystemExpiryClock {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
        }
    }
}

impl ExpiryClock for SystemExpiryClock {
    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        self.begun.elapsed()
    }
}

/// Times in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Now {
    /// The later of the known time and the wall clock's: what readers go by.
    pub(super) latest: i128,
    /// The earlier one: what a sweep goes by.
    pub(super) earliest: i128,
}

impl Now {
    /// Whether readers may not see an object with these attributes any more.
    pub(super) fn hides(&self, attributes: &Attributes) -> bool {
        attributes
            .expires()
            .is_some_and(|at| millis(at) <= self.latest)
    }

    /// Whether an object with these attributes may be removed.
    pub(super) fn sweeps(&self, attributes: &Attributes) -> bool {
        attributes
            .expires()
            .is_some_and(|at| millis(at) <= self.earliest)
    }

    /// The time this much later; `None` if that is out of bounds.
    pub(super) fn after(&self, ttl: Duration) -> Option<SystemTime> {
        let now = u64::try_from(self.latest.max(0)).ok()?;
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_millis(now))?
            .checked_add(ttl)
    }
}

/// Reads the clocks, and remembers by how much they differ.
#[derive(Debug)]
pub(super) struct Times {
    clock: Arc<dyn ExpiryClock>,
    settles: i128,
    offsets: Mutex<Offsets>,
}

/// The wall clock less the monotonic one, in milliseconds.
#[derive(Debug)]
struct Offsets {
    known: i128,
    /// Another one, and the monotonic time since which it is steady.
    other: Option<(i128, i128)>,
}

impl Times {
    pub(super) fn new(clock: Arc<dyn ExpiryClock>, settles: Duration) -> Self {
        let known = millis(clock.wall()) - whole(clock.monotonic());
        Self {
            clock,
            settles: whole(settles),
            offsets: Mutex::new(Offsets { known, other: None }),
        }
    }

    pub(super) fn now(&self) -> Now {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that one reading is not judged by a later one's offsets.
        let (wall, monotonic) = (millis(self.clock.wall()), whole(self.clock.monotonic()));
        let offset = wall - monotonic;
        if offset == offsets.known {
            offsets.other = None;
        } else {
            let (other, since) = match offsets.other {
                Some((other, since)) if (other - offset).abs() <= DRIFT => (other, since),
                _ => (offset, monotonic),
            };
            if monotonic - since >= self.settles {
                offsets.known = offset;
                offsets.other = None;
            } else {
                offsets.other = Some((other, since));
            }
        }
        let known = offsets.known + monotonic;
        Now {
            latest: known.max(wall),
            earliest: known.min(wall),
        }
    }
}

fn whole(duration: Duration) -> i128 {
    // Less than 2^95.
    duration.as_millis() as i128
}

fn millis(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => whole(since),
        Err(before) => -whole(before.duration()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What each clock says, in milliseconds.
    #[derive(Clone, Debug, Default)]
    struct Scripted(Arc<Mutex<(u64, u64)>>);

    impl Scripted {
        /// Time passes, for both.
        fn pass(&self, by: u64) {
            let mut clocks = self.0.lock().unwrap();
            clocks.0 += by;
            clocks.1 += by;
        }

        /// The wall clock is set.
        fn set(&self, wall: u64) {
            self.0.lock().unwrap().0 = wall;
        }
    }

    impl ExpiryClock for Scripted {
        fn wall(&self) -> SystemTime {
            SystemTime::UNIX_EPOCH + Duration::from_millis(self.0.lock().unwrap().0)
        }

        fn monotonic(&self) -> Duration {
            Duration::from_millis(self.0.lock().unwrap().1)
        }
    }

    fn times(clock: &Scripted, settles: u64) -> Times {
        Times::new(Arc::new(clock.clone()), Duration::from_millis(settles))
    }

    #[test]
    fn another_time_is_believed_once_it_is_steady() {
        let clock = Scripted::default();
        clock.set(1_000_000);
        let times = times(&clock, 10_000);
        let both = |latest, earliest| Now { latest, earliest };
        clock.pass(500);
        assert_eq!(times.now(), both(1_000_500, 1_000_500));
        clock.set(9_000_000);
        assert_eq!(times.now(), both(9_000_000, 1_000_500));
        clock.pass(9_999);
        assert_eq!(times.now(), both(9_009_999, 1_010_499));
        clock.pass(1);
        assert_eq!(times.now(), both(9_010_000, 9_010_000));
        // Back, for less than it takes, and for as long.
        clock.set(2_000_000);
        assert_eq!(times.now(), both(9_010_000, 2_000_000));
        clock.pass(6_000);
        assert_eq!(times.now(), both(9_016_000, 2_006_000));
        clock.set(2_100_000);
        assert_eq!(times.now(), both(9_016_000, 2_100_000));
        clock.pass(9_999);
        assert_eq!(times.now(), both(9_025_999, 2_109_999));
        clock.pass(1);
        assert_eq!(times.now(), both(2_110_000, 2_110_000));
    }

    #[test]
    fn a_wall_clock_that_drifts_is_followed() {
        let clock = Scripted::default();
        let times = times(&clock, 3_600_000);
        for _ in 0..1000 {
            clock.pass(600_000);
            let wall = clock.0.lock().unwrap().0 + 20;
            clock.set(wall);
            let now = times.now();
            assert_eq!(now.latest, wall.into());
            assert!(now.latest - now.earliest < 200, "{now:?}");
        }
    }

    proptest! {
        /// However the wall clock jumps, if no jump lasts: no sweep is early by the right time, and
        /// no reader sees what has expired by it.
        #[test]
        fn jumps_that_do_not_last_do_no_harm(
            jumps in proptest::collection::vec((0..5_000_u64, 0..20_000_000_u64, 0..9_000_u64), 1..40),
        ) {
            let clock = Scripted::default();
            clock.set(10_000_000);
            let times = times(&clock, 10_000);
            let mut right = 10_000_000;
            let mut check = |passed: u64| {
                right += passed;
                let now = times.now();
                prop_assert!(now.earliest <= i128::from(right), "{now:?}, {right}");
                prop_assert!(now.latest >= i128::from(right), "{now:?}, {right}");
                Ok(right)
            };
            for (before, wrong, lasts) in jumps {
                clock.pass(before);
                check(before)?;
                clock.set(wrong);
                check(0)?;
                clock.pass(lasts);
                let right = check(lasts)?;
                clock.set(right);
                check(0)?;
            }
        }
    }
}
