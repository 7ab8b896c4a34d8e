//! `GET /health`.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use storehouse::objectstore::ObjectStore;

use super::report::Report;
use crate::answer::{Answer, json};
use crate::api_error::ApiError;
use crate::app_state::AppState;
use crate::error_chain::chain;

/// A store that takes longer to say that it is well is not.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn health(State(node): State<Arc<AppState>>) -> Answer {
    let records = node.records();
    let (blobs, allocations, acceptances, claims, receipts, consolidations, keys, journal) = tokio::join!(
        well("blobs", node.blobs().store().health()),
        well(
            "allocations",
            records.allocations.records().object_store().health()
        ),
        well(
            "acceptances",
            records.acceptances.records().object_store().health()
        ),
        well(
            "claims",
            records.delegations.records().object_store().health()
        ),
        well(
            "receipts",
            records.receipts.records().object_store().health()
        ),
        well(
            "consolidations",
            records.consolidations.records().object_store().health()
        ),
        well("keystore", node.keys().list()),
        well("journal", node.journal().status()),
    );
    let recovery = journal.as_ref().map(|status| Arc::clone(&status.recovery));
    let stores = [
        ("blobs", blobs.is_some()),
        ("allocations", allocations.is_some()),
        ("acceptances", acceptances.is_some()),
        ("claims", claims.is_some()),
        ("receipts", receipts.is_some()),
        ("consolidations", consolidations.is_some()),
        ("keystore", keys.is_some()),
        ("journal", journal.is_some()),
    ];
    let spaces = node.free_space().await;
    let report = Report::new(stores, &spaces, &recovery.unwrap_or_default());
    let status = match report.status {
        "down" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let text = serde_json::to_string(&report)
        .map_err(|e| ApiError::internal(&e, storehouse::objectstore::ErrorClass::Fatal, false))?;
    Ok(json(status, text + "\n"))
}

async fn well<T, E: std::error::Error + 'static>(
    name: &'static str,
    state: impl Future<Output = Result<T, E>>,
) -> Option<T> {
    let why = match tokio::time::timeout(PATIENCE, state).await {
        Ok(Ok(state)) => return Some(state),
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("it did not answer in {} seconds", PATIENCE.as_secs()),
    };
    tracing::error!(store = name, "a store is down: {why}");
    None
}
