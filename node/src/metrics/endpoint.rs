//! `GET /metrics`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};

use crate::answer::Answer;
use crate::api_error::ApiError;
use crate::app_state::AppState;

pub(crate) async fn metrics(State(node): State<Arc<AppState>>) -> Answer {
    let Some(metrics) = &node.metrics else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_such_route",
            "no metrics are gathered here",
        ));
    };
    node.free_space().await;
    let mut response = Response::new(Body::from(metrics.render()));
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
    );
    Ok(response)
}
