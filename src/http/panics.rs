//! Catches panics of handlers, so that each ends one request and nothing else.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{extract::Request, response::Response};
use futures_util::FutureExt;

use super::{answers::Answers, gate::Client, refusal::Refusal};

/// Answers a request with a 500 if its handler panics. The panic is logged where it happens. It leaves no inconsistent
/// state behind, since shared state is changed in whole steps.
pub(super) async fn caught(site: &impl Answers, request: Request, client: &Arc<Client>) -> Response {
    let speaks_graphql = request.uri().path() == "/graphql";
    let answer = AssertUnwindSafe(site.answer(request, client)).catch_unwind().await;
    answer.unwrap_or_else(|_| Refusal::internal().respond_to(speaks_graphql))
}
