//! The two listeners: the public one for clients, and the operator's.
//!
//! Neither the ports nor the signals belong to this module: it serves on listeners that it is given until it is told
//! to stop.

mod admin;
mod compression;
mod graphql;
mod kept;
mod negotiation;
mod pages;
mod refusal;
mod reply;
mod rest;

use std::{pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderValue, Method},
    routing::get,
    serve::ListenerExt,
};
use futures_util::future::{Either, select};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use self::kept::Kept;
use crate::{evaluator::Evaluator, graphql::Api, telemetry, workers::Workers};

/// How long open requests may take once the process was asked to stop.
const DRAIN: Duration = Duration::from_secs(10);

/// The longest request: far more than a document with a hundred aliases.
const BODY_BYTES: usize = 1024 * 1024;

/// How long a body may take to come.
const BODY_TIME: Duration = Duration::from_secs(20);

/// How long a request may take, from its head to its answer.
const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long a browser may remember what a preflight allowed; browsers cap it at less.
const PREFLIGHT_AGE: Duration = Duration::from_hours(24);

/// What the handlers answer from.
struct Service {
    api: Api,
    evaluator: Arc<Evaluator>,
    workers: Arc<Workers>,
    kept: Kept,
}

/// The addresses that browsers may call from.
#[derive(Clone, Debug)]
pub enum Origins {
    /// All: the API is public and read-only.
    Any,
    /// These alone.
    These(Vec<HeaderValue>),
}

/// Serves until `shutdown`, then answers what is open and returns; what takes longer than ten seconds is cut.
///
/// # Errors
/// When a listener fails for good.
pub async fn serve(
    public: TcpListener,
    admin: TcpListener,
    evaluator: Arc<Evaluator>,
    workers: Arc<Workers>,
    origins: Origins,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let draining = CancellationToken::new();
    let api = Api::new(Arc::clone(&evaluator));
    let service = Arc::new(Service { api, evaluator: Arc::clone(&evaluator), workers, kept: Kept::new() });
    // Answers are small and whole: nothing is gained by holding them back.
    let public = public.tap_io(|stream| drop(stream.set_nodelay(true)));
    let clients =
        axum::serve(public, router(service, origins)).with_graceful_shutdown(draining.clone().cancelled_owned());
    // The operator's listener outlives the public one, to tell that it is draining.
    let operators =
        tokio::spawn(axum::serve(admin, admin::router(draining.clone(), Arc::clone(&evaluator))).into_future());

    let deadline = async {
        shutdown.await;
        telemetry::draining();
        draining.cancel();
        sleep(DRAIN).await;
    };
    let drained = async {
        clients.await?;
        evaluator.drain().await;
        Ok(())
    };
    let outcome = match select(pin!(drained), pin!(deadline)).await {
        Either::Left((outcome, _)) => outcome,
        Either::Right(((), _)) => {
            telemetry::drain_cut();
            Ok(())
        }
    };
    operators.abort();
    outcome
}

fn router(service: Arc<Service>, origins: Origins) -> Router {
    let origins = match origins {
        Origins::Any => AllowOrigin::any(),
        Origins::These(origins) => AllowOrigin::list(origins),
    };
    let cors = CorsLayer::new()
        .allow_origin(origins)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(Any)
        .max_age(PREFLIGHT_AGE);
    Router::new()
        .route("/", get(pages::root))
        .route("/graphql", get(graphql::get).post(graphql::post).fallback(graphql::method_not_allowed))
        .route("/schema.graphql", get(pages::schema))
        .route("/fib/{n}", get(rest::fib))
        .route("/pi/{terms}", get(rest::pi))
        .fallback(refusal::not_found)
        .method_not_allowed_fallback(refusal::method_not_allowed)
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(cors)
        .with_state(service)
}
