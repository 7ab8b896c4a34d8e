//! Choosing the system calls.

use std::sync::Arc;

use super::super::system_calls::SystemCalls;
use super::calls::Sys;
#[cfg(target_os = "linux")]
use super::linux::Linux;
use super::portable::Portable;

/// The system calls that these options ask for.
///
/// ```
/// use storehouse_engine::files::{SystemCalls, pick};
///
/// let sys = pick(SystemCalls::Portable);
/// assert_eq!(format!("{sys:?}"), "Portable");
/// ```
pub fn pick(calls: SystemCalls) -> Arc<dyn Sys> {
    match calls {
        #[cfg(target_os = "linux")]
        SystemCalls::Native => Arc::new(Linux::default()),
        #[cfg(not(target_os = "linux"))]
        SystemCalls::Native => Arc::new(Portable),
        SystemCalls::Portable => Arc::new(Portable),
    }
}
