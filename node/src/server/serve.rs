//! Accepting connections, until it is told to stop.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection::{self, Addresses};
use super::files::connections_within_limit;
use super::listen::listen;
use super::options::ServerOptions;
use super::turn_away::{self, TurnAway};
use super::workers::Workers;
use crate::error::{Error, Result};
use crate::fair_share::PerClient;
use crate::metrics::Requests;

/// The pause after accepting failed, for want of file descriptors for example.
const REST: Duration = Duration::from_millis(50);

/// Accepts connections and serves a router on them.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::{Router, routing::get};
/// use storehouse_node::{Server, ServerOptions};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
///
/// let server = Server::bind("127.0.0.1:0", ServerOptions::default()).await?;
/// let address = server.local_addr();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(async move {
///     let router = Router::new().route("/", get(async || "hello"));
///     server.serve(router, async { drop(stopped.await) }).await;
/// });
///
/// let mut client = tokio::net::TcpStream::connect(address).await?;
/// client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"));
/// stop.send(()).unwrap();
/// serving.await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    workers: Workers,
    options: ServerOptions,
}

impl Server {
    /// Listens on `address`, `HOST:PORT`; port 0 picks a free one. Connections wait until
    /// [`serve`](Self::serve).
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// use storehouse_node::{Server, ServerOptions};
    ///
    /// let server = Server::bind("127.0.0.1:0", ServerOptions::default()).await?;
    /// assert_ne!(server.local_addr().port(), 0);
    /// # Ok::<(), storehouse_node::Error>(())
    /// # }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`Error::Listen`]; [`Error::Workers`] if the system has no threads left.
    pub async fn bind(address: &str, options: ServerOptions) -> Result<Self> {
        let failed = |source| Error::Listen {
            address: address.to_owned(),
            source,
        };
        let listener = listen(address, options.backlog).await.map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            workers: Workers::start().map_err(Error::Workers)?,
            options,
        })
    }

    /// The address that is listened on, with its actual port.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves `router` until `stop` ends. Then no connection is accepted any more, and the requests
    /// in flight are finished, for at most
    /// [`shutdown_timeout`](ServerOptions::shutdown_timeout); after that they are cut off.
    pub async fn serve(mut self, router: Router, stop: impl Future<Output = ()>) {
        let connections = TaskTracker::new();
        let (stopping, cut) = (CancellationToken::new(), CancellationToken::new());
        tokio::select! {
            () = stop => {}
            () = self.accept(router, &connections, &stopping, &cut) => {}
        }
        stopping.cancel();
        drop(self.listener);
        connections.close();
        tracing::info!("stopping: {} connections are open", connections.len());
        if tokio::time::timeout(self.options.shutdown_timeout, connections.wait())
            .await
            .is_err()
        {
            tracing::warn!("{} connections are cut off", connections.len());
            cut.cancel();
            connections.wait().await;
        }
    }

    async fn accept(
        &mut self,
        router: Router,
        connections: &TaskTracker,
        stopping: &CancellationToken,
        cut: &CancellationToken,
    ) {
        let options = &self.options;
        let most = connections_within_limit(options.connections, options.reserved_files);
        let room = Arc::new(Semaphore::new(most));
        let shares = PerClient::new(options.connections_per_client.unwrap_or(most / 8));
        let turned_away = TurnAway::new();
        let requests = Arc::new(Requests::new());
        let listened_on = self.address;
        loop {
            let Ok(place) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            // From here to its worker the socket belongs to no runtime.
            let accepted = self.listener.accept().await;
            let (stream, peer) =
                match accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer))) {
                    Ok(accepted) => accepted,
                    Err(e) => {
                        tracing::warn!("a connection cannot be accepted: {e}");
                        tokio::time::sleep(REST).await;
                        continue;
                    }
                };
            let Some(share) = shares.try_acquire(peer.ip().into()) else {
                drop(place);
                if let Some(telling) = turned_away.try_start() {
                    connections.spawn_on(
                        async move {
                            if let Ok(stream) = TcpStream::from_std(stream) {
                                turn_away::answer(stream).await;
                            }
                            drop(telling);
                        },
                        self.workers.next(),
                    );
                }
                continue;
            };
            let (router, options) = (router.clone(), self.options.clone());
            let (requests, stopping, cut) = (Arc::clone(&requests), stopping.clone(), cut.clone());
            let connection = async move {
                match TcpStream::from_std(stream) {
                    Ok(stream) => {
                        let addresses = Addresses {
                            local: stream.local_addr().unwrap_or(listened_on),
                            peer,
                        };
                        connection::serve(stream, addresses, router, &options, &requests, stopping)
                            .await;
                    }
                    Err(e) => tracing::warn!("a connection cannot be served: {e}"),
                }
            };
            let connection = async move {
                tokio::select! {
                    () = connection => {}
                    () = cut.cancelled() => {}
                }
                // In this order: the next connection is accepted with the place, and needs a share.
                drop(share);
                drop(place);
            };
            connections.spawn_on(connection, self.workers.next());
        }
    }
}
