//! The operator's listener.

use axum::{Json, Router, http::StatusCode, routing::get};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// `/livez`: the process runs. `/readyz`: it takes requests, which it no longer does while it drains. Neither depends
/// on the store: without it answers are computed.
pub(super) fn router(draining: CancellationToken) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(async move || readiness(draining.is_cancelled())))
}

fn readiness(is_draining: bool) -> (StatusCode, Json<Value>) {
    if is_draining {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "draining"})))
    } else {
        (StatusCode::OK, Json(json!({"status": "ready"})))
    }
}
