//! Requests, counted.

use std::sync::OnceLock;

use axum::http::{Method, StatusCode};
use metrics::Counter;

pub(super) const REQUESTS: &str = "node_http_requests_total";

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
