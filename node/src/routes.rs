//! Routers, to be mounted into an axum application.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(async {
//! use axum::body::Body;
//! use axum::http::{Request, StatusCode};
//! use axum::{Router, routing::get};
//! use storehouse::{Config, Stores};
//! use storehouse_node::{Node, routes};
//! use tower_service::Service;
//!
//! let stores = Stores::open(&Config::default()).await?;
//! let node = Node::builder(stores).build().await?;
//! let mut app: Router = Router::new()
//!     .route("/", get(async || "mine"))
//!     .merge(routes::blobs(&node))
//!     .nest("/admin", routes::admin(&node));
//! let get = Request::get("/admin/health").body(Body::empty())?;
//! assert_eq!(app.call(get).await?.status(), StatusCode::OK);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # }).unwrap();
//! ```

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::blobs::{listing, transfer};
use crate::fair_share::Client;
use crate::health::endpoint::health;
use crate::metrics::endpoint::metrics;
use crate::node::Node;
use crate::records::{archives, placed};
use crate::request_body::busy;

/// `/blobs`: blobs in and out, and their list.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use storehouse::{Config, Stores};
/// use storehouse_node::{Node, routes};
/// use tower_service::Service;
///
/// let stores = Stores::open(&Config::default()).await?;
/// let digest = stores.blobs().add("hello").await?.digest;
/// let node = Node::builder(stores).build().await?;
/// let get = Request::get(format!("/blobs/{digest}")).body(Body::empty())?;
/// let response = routes::blobs(&node).call(get).await?;
/// assert_eq!(response.status(), StatusCode::OK);
/// assert_eq!(axum::body::to_bytes(response.into_body(), 1024).await?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn blobs(node: &Node) -> Router {
    Router::new()
        .route("/blobs", get(listing::list))
        .route(
            "/blobs/{digest}",
            get(transfer::get)
                .put(transfer::put)
                .delete(transfer::delete),
        )
        .with_state(node.state())
}

/// `/allocations`, `/acceptances`, `/claims` and `/receipts`: records in and out.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use storehouse::{Config, Stores};
/// use storehouse_node::{Node, routes};
/// use tower_service::Service;
///
/// let node = Node::builder(Stores::open(&Config::default()).await?).build().await?;
/// let cid = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua";
/// let get = Request::get(format!("/claims/{cid}")).body(Body::empty())?;
/// assert_eq!(routes::records(&node).call(get).await?.status(), StatusCode::NOT_FOUND);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn records(node: &Node) -> Router {
    Router::new()
        .route("/allocations", post(placed::post_allocation))
        .route("/allocations/{digest}", get(placed::get_allocation))
        .route("/acceptances", post(placed::post_acceptance))
        .route("/acceptances/{digest}", get(placed::get_acceptance))
        .route(
            "/claims/{cid}",
            get(archives::get_claim).put(archives::put_claim),
        )
        .route("/receipts", get(archives::find_receipt))
        .route(
            "/receipts/{cid}",
            get(archives::get_receipt).put(archives::put_receipt),
        )
        .route_layer(from_fn_with_state(node.state(), in_turn))
        .with_state(node.state())
}

/// `/health` and `/metrics`.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use storehouse::{Config, Stores};
/// use storehouse_node::{Node, routes};
/// use tower_service::Service;
///
/// let node = Node::builder(Stores::open(&Config::default()).await?).build().await?;
/// let get = Request::get("/health").body(Body::empty())?;
/// assert_eq!(routes::admin(&node).call(get).await?.status(), StatusCode::OK);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn admin(node: &Node) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(node.state())
}

/// All of them, with errors as JSON for unknown paths and methods.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use storehouse::{Config, Stores};
/// use storehouse_node::{Node, routes};
/// use tower_service::Service;
///
/// let node = Node::builder(Stores::open(&Config::default()).await?).build().await?;
/// let get = Request::get("/nothing").body(Body::empty())?;
/// let response = routes::all(&node).call(get).await?;
/// assert_eq!(response.status(), StatusCode::NOT_FOUND);
/// let body = axum::body::to_bytes(response.into_body(), 1024).await?;
/// assert!(body.starts_with(b"{"), "errors are JSON");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub fn all(node: &Node) -> Router {
    blobs(node)
        .merge(records(node))
        .merge(admin(node))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
}

/// Holds a request up while too many others are under way, of all clients or of its own.
async fn in_turn(
    State(node): State<Arc<AppState>>,
    Client(client): Client,
    request: Request,
    next: Next,
) -> Response {
    let turn = node.record_requests.acquire(client, 1);
    match tokio::time::timeout(node.limits.queue_timeout, turn).await {
        Ok(_turn) => next.run(request).await,
        Err(_) => busy().into_response(),
    }
}

async fn unknown_path(uri: Uri) -> ApiError {
    let path: String = uri.path().chars().take(100).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "no_such_route",
        format!("there is nothing at {path}"),
    )
}

async fn unknown_method(method: Method) -> ApiError {
    let method: String = method.as_str().chars().take(20).collect();
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} does not go with this path"),
    )
}
