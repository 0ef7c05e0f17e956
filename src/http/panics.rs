//! A panic of a handler costs its request, and nothing else.

use std::panic::AssertUnwindSafe;

use axum::{extract::Request, response::Response};
use futures_util::FutureExt;

use super::{connections::Answers, negotiation::Media, refusal::Refusal};

/// The site's answer. A panic, which was logged where it happened, is answered with a 500; that a handler may have
/// left something half done is no danger: what handlers share is changed in whole steps.
pub(super) async fn caught(site: &impl Answers, request: Request) -> Response {
    let speaks_graphql = request.uri().path() == "/graphql";
    let answer = AssertUnwindSafe(site.answer(request)).catch_unwind().await;
    answer.unwrap_or_else(|_| {
        let refusal = Refusal::internal();
        if speaks_graphql { refusal.into_errors(Media::Json) } else { refusal.into_problem() }
    })
}
