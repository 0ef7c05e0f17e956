//! A panic of a handler costs its request, and nothing else.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{extract::Request, response::Response};
use futures_util::FutureExt;

use super::{answers::Answers, gate::Client, refusal::Refusal};

/// The site's answer. A panic, which was logged where it happened, is answered with a 500. A handler that stopped half
/// way is no danger: shared state is changed in whole steps.
pub(super) async fn caught(site: &impl Answers, request: Request, client: &Arc<Client>) -> Response {
    let speaks_graphql = request.uri().path() == "/graphql";
    let answer = AssertUnwindSafe(site.answer(request, client)).catch_unwind().await;
    answer.unwrap_or_else(|_| Refusal::internal().respond_to(speaks_graphql))
}
