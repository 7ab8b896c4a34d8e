//! The rules, and the layer that applies them.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::cors::CorsLayer;

use super::LocalAddress;
use super::cross_site::foreign_write;
use super::host::{is_own, normalised, requested};
use crate::api_error::ApiError;
use crate::error::{Error, Result};

/// Which requests are let in. They keep pages of other sites from using a node that their visitors
/// can reach.
///
/// - A request has one `Host`, else it is answered with 400. It names the address listened on, a
///   loopback name or address, or a host of [`host`](Self::host), else the answer is 421.
/// - A write (any method but `GET`, `HEAD`, `OPTIONS`, `TRACE`) whose `Origin` is another site, or
///   whose `Sec-Fetch-Site` is neither `same-origin` nor `none`, and a `POST` with a body and no
///   content type, is answered with 403, unless its `Origin` is one of [`origin`](Self::origin).
///   Pages of these origins may also read answers (CORS).
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use axum::{Router, routing::get};
/// use storehouse_node::AccessRules;
/// use tower_service::Service;
///
/// let app: Router = Router::new().route("/", get(async || "hello"));
/// let mut app = AccessRules::default()
///     .host("node.example.com")
///     .origin("https://app.example.com")?
///     .protect(app);
/// let to = |host: &str| Request::get("/").header("host", host).body(Body::empty());
/// assert_eq!(app.call(to("node.example.com")?).await?.status(), StatusCode::OK);
/// let other = app.call(to("evil.example.org")?).await?;
/// assert_eq!(other.status(), StatusCode::MISDIRECTED_REQUEST);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl AccessRules {
    /// Lets in requests to this host, a name or an address without port. `*` is every host.
    #[must_use]
    pub fn host(mut self, name: &str) -> Self {
        self.hosts.push(normalised(name));
        self
    }

    /// Lets pages of this origin, `scheme://host` or `scheme://host:port`, write and read.
    ///
    /// # Errors
    /// [`Error::Origin`] if it is none.
    pub fn origin(mut self, origin: &str) -> Result<Self> {
        let parsed: Option<axum::http::Uri> = origin.parse().ok();
        let is_origin = parsed.is_some_and(|uri| {
            let authority = uri.authority().map_or("", |authority| authority.as_str());
            let scheme = uri.scheme_str().unwrap_or_default();
            origin == format!("{scheme}://{authority}") && !authority.contains('@')
        });
        if !is_origin || HeaderValue::from_str(origin).is_err() {
            return Err(Error::Origin {
                origin: origin.to_owned(),
            });
        }
        self.origins.push(origin.to_ascii_lowercase());
        Ok(self)
    }

    /// The router with these rules before it.
    pub fn protect(self, router: Router) -> Router {
        let router = if self.origins.is_empty() {
            router
        } else {
            router.layer(self.cors())
        };
        router.layer(from_fn_with_state(Arc::new(self), check))
    }

    fn cors(&self) -> CorsLayer {
        let origins = self.origins.iter();
        let exposed = [
            header::ACCEPT_RANGES,
            header::CONTENT_RANGE,
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
        ];
        let asked: [HeaderName; 8] = [
            header::ACCEPT,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_MODIFIED_SINCE,
            header::IF_NONE_MATCH,
            header::IF_RANGE,
            header::IF_UNMODIFIED_SINCE,
            header::RANGE,
        ];
        CorsLayer::new()
            .allow_origin(
                origins
                    .filter_map(|origin| HeaderValue::from_str(origin).ok())
                    .collect::<Vec<_>>(),
            )
            .allow_methods([
                Method::GET,
                Method::HEAD,
                Method::PUT,
                Method::POST,
                Method::DELETE,
            ])
            .allow_headers(asked)
            .expose_headers(exposed)
    }
}

async fn check(State(rules): State<Arc<AccessRules>>, request: Request, next: Next) -> Response {
    let Some(host) = requested(request.uri(), request.headers()) else {
        let message = "a request needs one Host";
        return ApiError::bad_request("invalid_host", message)
            .closing()
            .into_response();
    };
    let local = request.extensions().get::<LocalAddress>();
    if !is_own(&host, local.map(|local| local.0.ip()), &rules.hosts) {
        return ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "misdirected",
            "Host is no name of this node",
        )
        .closing()
        .into_response();
    }
    let foreign = foreign_write(request.method(), request.headers(), &host, &rules.origins);
    if let Some(reason) = foreign {
        return ApiError::new(StatusCode::FORBIDDEN, "cross_site", reason)
            .closing()
            .into_response();
    }
    next.run(request).await
}
