//! One connection.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::options::ServerOptions;
use crate::access::LocalAddress;
use crate::error_chain::chain;
use crate::metrics::Requests;

/// What a connection buffers of a request's head, and of an answer, in bytes: the longest head,
/// more or less.
const BUFFER: usize = 64 * 1024;

/// How long a closing connection is listened to, and how long at once.
const LINGER: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(2));

/// Both ends of a connection.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

/// Serves one connection to its end. Requests have its [`Addresses`] as extensions.
pub(super) async fn serve(
    stream: TcpStream,
    addresses: Addresses,
    service: Router,
    options: &ServerOptions,
    requests: &Requests,
    stop: CancellationToken,
) {
    // Answers are written whole: waiting for more to send with them would only delay them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(options.write_timeout));
    let mut stream = Box::pin(stream);
    let served = {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(options.header_timeout)
            .max_buf_size(BUFFER);
        let service = TowerToHyperService::new(service);
        let counted = service_fn(|mut request: Request<Incoming>| {
            let extensions = request.extensions_mut();
            extensions.insert(ConnectInfo(addresses.peer));
            extensions.insert(LocalAddress(addresses.local));
            let method = Requests::method(request.method());
            let span = tracing::debug_span!("request", method = %request.method(), path = request.uri().path());
            let answering = service.call(request);
            let counted = async move {
                let answer = answering.await?;
                requests.count(method, answer.status());
                tracing::debug!(status = answer.status().as_u16(), "answered");
                Ok::<_, Infallible>(answer)
            };
            counted.instrument(span)
        });
        let mut connection = pin!(http.serve_connection(TokioIo::new(&mut stream), counted));
        tokio::select! {
            served = connection.as_mut() => served,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    match served {
        Ok(()) => linger(stream.as_mut().get_pin_mut().get_mut()).await,
        Err(e) => tracing::debug!("a connection broke off: {}", chain(&e)),
    }
}

/// Reads what still comes, and drops it. Closing a socket with bytes unread resets the connection,
/// and a client that is still sending would lose the answer that tells it to stop.
async fn linger(stream: &mut TcpStream) {
    let mut bytes = vec![0; 16 * 1024];
    let drained = async {
        while let Ok(Ok(1..)) = tokio::time::timeout(LINGER.1, stream.read(&mut bytes)).await {}
    };
    let _ = tokio::time::timeout(LINGER.0, drained).await;
}
