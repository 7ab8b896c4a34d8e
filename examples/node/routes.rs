//! Which path is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{get, post};

use crate::failure::Failure;
use crate::state::Node;
use crate::{archives, blobs, health, listing, metrics, records};

/// Every route of the node.
pub(crate) fn routes(node: Arc<Node>) -> Router {
    Router::new()
        .route("/blobs", get(listing::list))
        .route(
            "/blobs/{digest}",
            get(blobs::get).put(blobs::put).delete(blobs::delete),
        )
        .route("/allocations", post(records::post_allocation))
        .route("/allocations/{digest}", get(records::get_allocation))
        .route("/acceptances", post(records::post_acceptance))
        .route("/acceptances/{digest}", get(records::get_acceptance))
        .route(
            "/claims/{cid}",
            get(archives::get_claim).put(archives::put_claim),
        )
        .route("/receipts", get(archives::find_receipt))
        .route(
            "/receipts/{cid}",
            get(archives::get_receipt).put(archives::put_receipt),
        )
        .route("/health", get(health::health))
        .route("/metrics", get(metrics::metrics))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .with_state(node)
}

async fn unknown_path(uri: Uri) -> Failure {
    let path: String = uri.path().chars().take(100).collect();
    Failure::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        format!("there is nothing at {path}"),
    )
}

async fn unknown_method(method: Method) -> Failure {
    let method: String = method.as_str().chars().take(20).collect();
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} does not go with this path"),
    )
}
