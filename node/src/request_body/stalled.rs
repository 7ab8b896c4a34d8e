//! Bodies that stop coming.

use std::fmt;
use std::time::Duration;

/// The bytes of a body that must come within [`Limits::body_timeout`](crate::Limits::body_timeout),
/// or its rest. A client that sends less only holds a connection open.
pub(crate) const FLOW: u64 = 16 * 1024;

/// Too little of a body came for too long.
#[derive(Debug)]
pub(crate) struct Stalled(pub(super) Duration);

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fewer than {FLOW} bytes of the body came in {} seconds",
            self.0.as_secs()
        )
    }
}

impl std::error::Error for Stalled {}
