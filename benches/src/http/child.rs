//! A bare handler: the node's HTTP library, answering from memory.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Response, StatusCode, header};
use axum::routing::get;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::harness::runtime;

/// `LENGTH`: serves a blob of that length, in bytes, until it is killed; its first line is the
/// address.
pub(crate) fn run(args: &[String]) {
    let [len] = args else {
        panic!("http-child LENGTH")
    };
    let bytes = Bytes::from(vec![7; len.parse().expect("a number of bytes")]);
    let router = Router::new()
        .route("/blobs/{digest}", get(bare))
        .with_state(bytes);
    runtime().block_on(async { tokio::spawn(serve(router)).await.expect("a server") });
}

async fn bare(State(bytes): State<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    response
}

async fn serve(router: Router) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!(
        "listening on http://{}",
        listener.local_addr().expect("its address")
    );
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        stream.set_nodelay(true).expect("a socket option");
        let router = router.clone();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            // As the node has it: no server is without.
            http.timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(30));
            let _ = http
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
                .await;
        });
    }
}
