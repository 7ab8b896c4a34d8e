//! Work that would hold an async thread up.

use std::io;

use futures_util::future::{self, Either};
use futures_util::{FutureExt, TryFutureExt};
use tokio::runtime::Handle;

/// Begins `work` on the blocking pool at once, whether or not the future is polled; outside of a
/// Tokio runtime, does it in place.
pub(crate) fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> impl Future<Output = io::Result<T>> + Send {
    match Handle::try_current() {
        Ok(runtime) => {
            let working = runtime.spawn_blocking(work).map_err(io::Error::other);
            Either::Left(working.map(|done| done?))
        }
        Err(_) => Either::Right(future::ready(work())),
    }
}
