//! `GET /fib/{n}` and `GET /pi/{terms}`, for clients without GraphQL.

use std::{collections::BTreeSet, convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap,
        header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;

use super::{Service, problem::Problem};
use crate::{
    evaluator::{Answer, Answers, Decimal, Question},
    graphql::{Code, Fault},
};

/// F(n), streamed: a number of any length is sent in bounded memory.
pub(super) async fn fib(
    State(service): State<Arc<Service>>,
    n: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (evaluator, n) = (&service.evaluator, text_of(n)?);
    let index = n.parse().map_err(|_| evaluator.not_an_index(format!("{n:?}"))).and_then(|n| evaluator.index(n))?;
    let Answer { value, cached } = service.ask(Question::Fib(index)).await.fib(index).map_err(Fault::from)?;
    Ok(if wants_text(&headers) { digits(value, "", "", TEXT) } else { digits(value, &before(cached), "}", JSON) })
}

/// The approximation of π.
pub(super) async fn pi(
    State(service): State<Arc<Service>>,
    terms: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (evaluator, terms) = (&service.evaluator, text_of(terms)?);
    let terms =
        terms.parse().map_err(|_| evaluator.not_terms(format!("{terms:?}"))).and_then(|n| evaluator.terms(n))?;
    let Answer { value, cached } = service.ask(Question::Pi(terms)).await.pi(terms).map_err(Fault::from)?;
    Ok(if wants_text(&headers) {
        ([(CONTENT_TYPE, TEXT), (VARY, "accept")], value.to_string()).into_response()
    } else {
        ([(CONTENT_TYPE, JSON), (VARY, "accept")], format!("{}{value}}}", before(cached))).into_response()
    })
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

impl Service {
    async fn ask(&self, question: Question) -> Answers {
        self.evaluator.answer(BTreeSet::from([question])).await
    }
}

fn text_of(segment: Result<Path<String>, PathRejection>) -> Result<String, Fault> {
    let Path(text) = segment.map_err(|rejection| Fault::new(Code::BadRequest, rejection.body_text()))?;
    Ok(text)
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
    let headers = [(CONTENT_TYPE, content_type), (VARY, "accept")];
    (headers, [(CONTENT_LENGTH, length.to_string())], body).into_response()
}

fn wants_text(headers: &HeaderMap) -> bool {
    let media_type = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()?.split([',', ';']).next());
    media_type.is_some_and(|first| first.trim().eq_ignore_ascii_case("text/plain"))
}
