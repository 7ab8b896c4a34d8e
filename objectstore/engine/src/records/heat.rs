//! Which thread a read runs on.
//!
//! A read of what lies in memory, the engine's or the system's, takes microseconds, less than the
//! way to another thread. A read that waits for the disk would hold up every task of its thread.
//! No engine says beforehand which of the two it will be, so the time of the reads before it
//! decides: after a slow one, reads run on the blocking pool until a number of them in a row were
//! fast.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// A read that takes longer has waited for the disk: several times what a read from memory takes,
/// and less than the fastest disks do.
const SLOW: Duration = Duration::from_micros(60);

/// How many fast reads in a row show that the data lies in memory.
const FAST_READS: u32 = 32;

/// Whether reads are fast, lately. Starts as not.
#[derive(Debug)]
pub(super) struct Heat(AtomicU32);

impl Default for Heat {
    fn default() -> Self {
        Self(AtomicU32::new(FAST_READS))
    }
}

impl Heat {
    pub(super) fn is_hot(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Times `read`.
    pub(super) fn observe<T>(&self, read: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = read();
        let left = self.0.load(Ordering::Relaxed);
        if started.elapsed() > SLOW {
            self.0.store(FAST_READS, Ordering::Relaxed);
        } else if left > 0 {
            // Lost counts of other threads do not matter.
            self.0.store(left - 1, Ordering::Relaxed);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_read_makes_it_cold_and_many_fast_ones_hot() {
        let heat = Heat::default();
        let fast = || heat.observe(|| ());
        while !heat.is_hot() {
            fast();
        }
        heat.observe(|| std::thread::sleep(2 * SLOW));
        for _ in 1..FAST_READS {
            fast();
            assert!(!heat.is_hot());
        }
    }
}
