//! The admin listener, for operators.

use std::{net::Ipv4Addr, sync::Arc};

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{
    head::{address_in_brackets, target_host},
    refusal::{Refusal, method_not_allowed},
};
use crate::{
    evaluator::{Condition, Evaluator},
    telemetry,
};

/// The routes. `/livez`: the process runs. `/readyz`: the process takes requests, which ends when it drains. Neither
/// depends on the store: without it values are evaluated, and `/readyz` says so. `/metrics`: the metrics, for
/// Prometheus.
///
/// A listener on a loopback address rejects requests for hosts that are not [local](is_local_host).
pub(super) fn router(leaving: CancellationToken, evaluator: Arc<Evaluator>, is_local: bool) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(async move || readiness(leaving.is_cancelled(), evaluator.condition())))
        .route("/metrics", get(metrics))
        .fallback(async || {
            Refusal::new(StatusCode::NOT_FOUND, "there are /livez, /readyz and /metrics here, and nothing else")
        })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn_with_state(is_local, admit))
}

/// Rejects a request to a listener on a loopback address whose host is not local.
async fn admit(State(is_local): State<bool>, request: Request, next: Next) -> Result<Response, Refusal> {
    // A probe of HTTP/1.0 may send no host; every browser sends one.
    if is_local && !target_host(&request).is_none_or(is_local_host) {
        let message = "this listener is for this machine: ask it as localhost, or by its address";
        return Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, message));
    }
    Ok(next.run(request).await)
}

/// Whether a host is an address, or a name that is never looked up beyond this machine (RFC 6761, section 6.3).
///
/// The name of a page in a browser of this machine may resolve to 127.0.0.1 by now (DNS rebinding), so that the page
/// may read this listener as its own origin. Only the name in `Host` tells it from an operator.
fn is_local_host(host: &str) -> bool {
    let is_localhost = host.rsplit('.').next().is_some_and(|last| last.eq_ignore_ascii_case("localhost"));
    is_localhost || host.parse::<Ipv4Addr>().is_ok() || address_in_brackets(host).is_some()
}

fn readiness(is_draining: bool, condition: Condition) -> (StatusCode, Json<Value>) {
    let (status, word) =
        if is_draining { (StatusCode::SERVICE_UNAVAILABLE, "draining") } else { (StatusCode::OK, "ready") };
    (status, Json(json!({"status": word, "store": store(condition)})))
}

/// The status of the store, as JSON.
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

async fn metrics() -> Result<impl IntoResponse, Refusal> {
    let text = telemetry::exposition().map_err(|_| Refusal::internal())?;
    Ok(([(CONTENT_TYPE, telemetry::EXPOSITION_TYPE)], text))
}
