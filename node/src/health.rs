//! `GET /health`: how each store is.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use serde_json::json;
use storehouse::local::journal::Recovery;
use storehouse::objectstore::ObjectStore;

use crate::answer::{Answer, json as response};
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
    let all = [
        ("blobs", blobs.is_some()),
        ("allocations", allocations.is_some()),
        ("acceptances", acceptances.is_some()),
        ("claims", claims.is_some()),
        ("receipts", receipts.is_some()),
        ("consolidations", consolidations.is_some()),
        ("keystore", keys.is_some()),
        ("journal", journal.is_some()),
    ];
    let well = all.iter().all(|(_, well)| *well);
    let state = |well: bool| if well { "ok" } else { "down" };
    let stores: serde_json::Map<_, _> = all
        .iter()
        .map(|(name, well)| ((*name).to_owned(), json!(state(*well))))
        .collect();
    let status = if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut health = json!({ "status": state(well), "stores": stores });
    if let Some(recovery) = recovery.filter(|recovery| !recovery.is_clean()) {
        health["journal_recovery"] = recovered(&recovery);
    }
    Ok(response(status, format!("{health}\n")))
}

/// What opening did about a journal that was not whole. No paths: a file's name says enough.
fn recovered(recovery: &Recovery) -> serde_json::Value {
    let mut shown = json!({ "torn_bytes": recovery.torn });
    if let Some(aside) = &recovery.set_aside {
        let file = aside.path.file_name().map(|name| name.to_string_lossy());
        shown["set_aside"] = json!({
            "file": file,
            "kept_frames": aside.frames,
            "lost_bytes": aside.lost,
            "offset": aside.offset,
            "reason": aside.reason,
            "complete": aside.complete,
        });
    }
    shown
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
