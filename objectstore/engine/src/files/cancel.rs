//! Cancelling a put.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

const OPEN: u8 = 0;
const BEGUN: u8 = 1;
const CANCELLED: u8 = 2;

/// The caller's side. Once it is dropped, its put does not become visible any more, unless it has
/// or does so right now.
pub struct CancelGuard(Arc<AtomicU8>);

/// The committer's side.
///
/// ```
/// use storehouse_engine::files::CancelGuard;
///
/// let (caller, committer) = CancelGuard::new();
/// assert!(committer.begin());
/// drop(caller); // too late
/// assert!(!committer.is_cancelled());
/// ```
pub struct Cancellation(Arc<AtomicU8>);

impl CancelGuard {
    /// Both sides.
    ///
    /// ```
    /// use storehouse_engine::files::CancelGuard;
    ///
    /// let (caller, committer) = CancelGuard::new();
    /// drop(caller);
    /// assert!(committer.is_cancelled() && !committer.begin());
    /// ```
    #[must_use]
    pub fn new() -> (Self, Cancellation) {
        let state = Arc::new(AtomicU8::new(OPEN));
        (Self(Arc::clone(&state)), Cancellation(state))
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        let _ = self
            .0
            .compare_exchange(OPEN, CANCELLED, Ordering::AcqRel, Ordering::Acquire);
    }
}

impl Cancellation {
    /// Whether the caller is gone, and the put did not begin before.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELLED
    }

    /// Begins what cannot be cancelled any more; `false` if the put is cancelled.
    pub fn begin(&self) -> bool {
        self.0
            .compare_exchange(OPEN, BEGUN, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}
