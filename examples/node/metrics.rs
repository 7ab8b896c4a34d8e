//! `GET /metrics`: what the library counts, and what the node does, as Prometheus reads it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Method, Response, StatusCode};
use metrics::Counter;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::state::Node;

/// From a range in the kernel's cache to an upload to S3, in seconds.
const BUCKETS: [f64; 19] = [
    5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0,
    30.0, 60.0,
];

/// Where the metrics are gathered. Before any store is opened: stores take their counters when they
/// first need them.
pub(crate) fn install() -> Result<PrometheusHandle, Box<dyn std::error::Error + Send + Sync>> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &BUCKETS)?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder)?;
    metrics::describe_counter!(REQUESTS, "Requests answered, by method and status.");
    metrics::describe_counter!(
        "node_receipts_total",
        "Receipts of retrievals that were written."
    );
    metrics::describe_counter!(
        "node_receipt_failures_total",
        "Times that a receipt could not be written, and is to be tried again."
    );
    let sorting = handle.clone();
    tokio::spawn(async move {
        // What was measured lies unsorted in memory until then.
        loop {
            tokio::time::sleep(UPKEEP).await;
            sorting.run_upkeep();
        }
    });
    Ok(handle)
}

const UPKEEP: Duration = Duration::from_secs(2);

const REQUESTS: &str = "node_http_requests_total";

pub(crate) async fn metrics(State(node): State<Arc<Node>>) -> Response<Body> {
    let mut response = Response::new(Body::from(node.metrics.render()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    response
}

const METHODS: [&str; 6] = ["GET", "HEAD", "PUT", "POST", "DELETE", "other"];

/// Counters of requests. Each is looked up once: looking it up takes longer than counting.
#[derive(Debug)]
pub(crate) struct Requests(Vec<OnceLock<Counter>>);

impl Requests {
    pub(crate) fn new() -> Self {
        Self(
            std::iter::repeat_with(OnceLock::new)
                .take(METHODS.len() * 500)
                .collect(),
        )
    }

    /// The number by which [`count`](Self::count) knows a method: all that are not served here are
    /// one.
    pub(crate) fn method(method: &Method) -> usize {
        METHODS
            .iter()
            .position(|name| *name == method.as_str())
            .unwrap_or(METHODS.len() - 1)
    }

    pub(crate) fn count(&self, method: usize, status: StatusCode) {
        let status = usize::from(status.as_u16().clamp(100, 599));
        if let Some(counter) = self.0.get(method * 500 + status - 100) {
            counter.get_or_init(|| metrics::counter!(REQUESTS, "method" => METHODS[method], "status" => status.to_string())).increment(1);
        }
    }
}
