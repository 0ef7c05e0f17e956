//! A panic of a handler costs its request, and nothing else.

use std::panic::AssertUnwindSafe;

use axum::{Router, extract::Request, response::Response};
use futures_util::FutureExt;
use tower_service::Service;

use super::{negotiation::Media, refusal::Refusal};

/// The router's answer. A panic, which was logged where it happened, is answered with a 500; that a handler may have
/// left something half done is no danger: what handlers share is changed in whole steps.
pub(super) async fn caught(mut router: Router, request: Request) -> Response {
    let speaks_graphql = request.uri().path() == "/graphql";
    match AssertUnwindSafe(async move { router.call(request).await }).catch_unwind().await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(_) if speaks_graphql => Refusal::internal().into_errors(Media::Json),
        Err(_) => Refusal::internal().into_problem(),
    }
}
