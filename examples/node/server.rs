//! Accepting connections, until a signal to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::connection;
use crate::lanes::Lanes;
use crate::metrics::Requests;
use crate::routes::routes;
use crate::state::Node;

/// How long accepting rests after it failed: for want of file descriptors, say.
const REST: Duration = Duration::from_millis(50);

/// As many open files as the system allows: each connection is one, and what it reads another.
pub(crate) fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && setrlimit(
            Resource::Nofile,
            Rlimit {
                current: maximum,
                maximum,
            },
        )
        .is_err()
    {
        tracing::warn!("the limit of open files stays at {current:?}");
    }
}

/// Is cancelled by SIGINT and by SIGTERM. A second signal ends the process at once.
pub(crate) fn stop_signal() -> io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        let mut next =
            async || tokio::select! { _ = interrupt.recv() => {} _ = terminate.recv() => {} };
        next().await;
        stopped.cancel();
        next().await;
        tracing::warn!("a second signal: ending at once");
        std::process::exit(1);
    });
    Ok(stop)
}

/// Serves until `stop`, then finishes what is in flight, up to the limit.
pub(crate) async fn serve(
    listener: TcpListener,
    mut lanes: Lanes,
    node: &Arc<Node>,
    stop: CancellationToken,
) {
    let service = routes(Arc::clone(node));
    let (room, connections) = (
        Arc::new(Semaphore::new(node.limits.connections)),
        TaskTracker::new(),
    );
    let (cut, requests) = (CancellationToken::new(), Arc::new(Requests::new()));
    let accepting = async {
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            // From here to the lane it belongs to no runtime.
            match listener
                .accept()
                .await
                .and_then(|(stream, _)| stream.into_std())
            {
                Ok(stream) => {
                    let (service, limits, stop, cut) =
                        (service.clone(), node.limits, stop.clone(), cut.clone());
                    let requests = Arc::clone(&requests);
                    let connection = async move {
                        match TcpStream::from_std(stream) {
                            Ok(stream) => {
                                connection::serve(stream, service, limits, &requests, stop).await
                            }
                            Err(e) => tracing::warn!("a connection cannot be served: {e}"),
                        }
                    };
                    let connection = async move {
                        tokio::select! {
                            () = connection => {}
                            () = cut.cancelled() => {}
                        }
                        drop(place);
                    };
                    connections.spawn_on(connection, lanes.next());
                }
                Err(e) => {
                    tracing::warn!("a connection cannot be accepted: {e}");
                    tokio::time::sleep(REST).await;
                }
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = accepting => {}
    }
    drop(listener);
    connections.close();
    tracing::info!("stopping: {} connections are open", connections.len());
    if tokio::time::timeout(node.limits.shutdown_timeout, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("{} connections are cut off", connections.len());
        cut.cancel();
        connections.wait().await;
    }
}
