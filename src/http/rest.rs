//! `GET /fib/{n}` and `GET /pi/{terms}`, for clients without GraphQL.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State},
    http::{
        HeaderMap,
        header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;

use super::{Service, problem::Problem};
use crate::{
    evaluator::{Answer, Answers, Question},
    graphql::Fault,
    math::decimal::Decimal,
};

/// F(n), streamed: a number of any length is sent in bounded memory.
pub(super) async fn fib(
    State(service): State<Arc<Service>>,
    Path(n): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let evaluator = &service.evaluator;
    let index = n.parse().map_err(|_| evaluator.not_an_index(shortened(&n))).and_then(|n| evaluator.index(n))?;
    let Answer { value, cached } = service.ask(Question::Fib(index)).await.fib(index).map_err(Fault::from)?;
    Ok(if wants_text(&headers) { digits(value, "", "", TEXT) } else { digits(value, &before(cached), "}", JSON) })
}

/// The approximation of π.
pub(super) async fn pi(
    State(service): State<Arc<Service>>,
    Path(terms): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let evaluator = &service.evaluator;
    let terms = terms.parse().map_err(|_| evaluator.not_terms(shortened(&terms))).and_then(|n| evaluator.terms(n))?;
    let Answer { value, cached } = service.ask(Question::Pi(terms)).await.pi(terms).map_err(Fault::from)?;
    Ok(if wants_text(&headers) {
        ([(CONTENT_TYPE, TEXT)], value.to_string()).into_response()
    } else {
        ([(CONTENT_TYPE, JSON)], format!("{}{value}}}", before(cached))).into_response()
    })
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Service {
    async fn ask(&self, question: Question) -> Answers {
        self.evaluator.answer(BTreeSet::from([question])).await
    }
}

/// An answer up to its value, which is a JSON number of any length.
fn before(cached: bool) -> String {
    format!(r#"{{"cached":{cached},"result":"#)
}

fn digits(value: Arc<Decimal>, before: &str, after: &'static str, content_type: &'static str) -> Response {
    let length = before.len() + value.digit_count() + after.len();
    let pieces = std::iter::once(before.to_owned())
        .chain((0..).map_while(move |at| value.chunk(at)))
        .chain(std::iter::once(after.to_owned()))
        .filter(|piece| !piece.is_empty());
    let body = Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)));
    ([(CONTENT_TYPE, content_type.to_owned()), (CONTENT_LENGTH, length.to_string())], body).into_response()
}

fn wants_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()?.split([',', ';']).next());
    media_type.is_some_and(|first| first.trim().eq_ignore_ascii_case("text/plain"))
}

/// What a client sent, short enough to be sent back.
fn shortened(text: &str) -> String {
    const SHOWN: usize = 40;
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() { format!("{shown:?}…") } else { format!("{shown:?}") }
}
