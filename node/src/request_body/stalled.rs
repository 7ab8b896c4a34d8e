//! Bodies that stop coming.

use std::fmt;
use std::time::Duration;

/// The bytes of a body that must come within [`Limits::body_timeout`](crate::Limits::body_timeout),
/// or its rest. A client that sends less only holds a connection open.
pub(crate) const FLOW: u64 = 16 * 1024;

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// For the next [`FLOW`] bytes.
    pub(crate) timeout: Duration,
    /// Bytes per second over all of it; 0 for no minimum.
    pub(crate) rate: u64,
}

impl Pace {
    /// How long the client may have been waited for in all, once `came` bytes have come.
    pub(super) fn allowance(&self, came: u64) -> Duration {
        match came.checked_div(self.rate) {
            Some(seconds) => self.timeout.saturating_add(Duration::from_secs(seconds)),
            None => Duration::MAX,
        }
    }
}

/// Too little of a body came for too long.
#[derive(Debug)]
pub(crate) enum Stalled {
    /// Fewer than [`FLOW`] bytes.
    Stopped(Duration),
    /// Fewer bytes per second than this, over all of it.
    Slow(u64),
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped(time) => write!(
                f,
                "fewer than {FLOW} bytes of the body came in {} seconds",
                time.as_secs()
            ),
            Self::Slow(rate) => write!(
                f,
                "the body came at fewer than {rate} bytes per second over all of it"
            ),
        }
    }
}

impl std::error::Error for Stalled {}
