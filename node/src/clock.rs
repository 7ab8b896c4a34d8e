//! The time of day.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since the start of 1970, UTC.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}
