//! The operator's listener.

use std::sync::Arc;

use axum::{
    Json, Router,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    evaluator::{Condition, Evaluator},
    telemetry,
};

/// `/livez`: the process runs. `/readyz`: it takes requests, which it no longer does while it drains. Neither depends
/// on the store: without it answers are computed, and `/readyz` says so. `/metrics`: the figures, for Prometheus.
pub(super) fn router(draining: CancellationToken, evaluator: Arc<Evaluator>) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(async move || readiness(draining.is_cancelled(), evaluator.condition())))
        .route("/metrics", get(metrics))
}

fn readiness(is_draining: bool, condition: Condition) -> (StatusCode, Json<Value>) {
    let (status, word) =
        if is_draining { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ready") };
    (status, Json(json!({"status": word, "store": store(condition)})))
}

/// What there is to say of the store.
fn store(Condition { location, reads, writes }: Condition) -> Value {
    let is_well = reads.is_none() && writes.is_none();
    let word = |trouble: Option<String>| trouble.unwrap_or_else(|| "ok".into());
    json!({
        "location": location,
        "status": if is_well { "ok" } else { "degraded" },
        "reads": word(reads),
        "writes": word(writes),
    })
}

async fn metrics() -> Result<impl IntoResponse, StatusCode> {
    let text = telemetry::exposition().map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(CONTENT_TYPE, telemetry::EXPOSITION_TYPE)], text))
}
