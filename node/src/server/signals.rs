//! Signals to stop.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// A future that ends at the first SIGINT or SIGTERM. A second signal ends the process at once,
/// with exit status 1.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let stop = storehouse_node::stop_signal()?;
/// // In a program: server.serve(router, stop).await
/// let ended = tokio::time::timeout(Duration::from_millis(10), stop).await;
/// assert!(ended.is_err(), "no signal came");
/// # Ok::<(), std::io::Error>(())
/// # }).unwrap();
/// ```
///
/// # Errors
/// The system's, if a handler cannot be registered.
///
/// # Panics
/// Outside of a tokio runtime.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (first, stopped) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let mut next =
            async || tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} };
        next().await;
        let _ = first.send(());
        next().await;
        tracing::warn!("a second signal: ending at once");
        std::process::exit(1);
    });
    Ok(async move {
        let _ = stopped.await;
    })
}
