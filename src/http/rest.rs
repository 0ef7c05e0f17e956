//! `GET /fib/{n}` and `GET /pi/{terms}`, for clients without GraphQL.

use std::{collections::BTreeSet, convert::Infallible, iter, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::time::timeout;

use super::{
    caching::not_modified,
    compression::{ENCODER_BYTES, SHORT_BYTES, compressed},
    gate::Client,
    held::Held,
    negotiation::{Coding, Media},
    refusal::Refusal,
    reply::{Form, Lifetime, head},
    service::{REQUEST_TIME, Service},
};
use crate::{
    evaluator::{Answer, Answers, Question},
    graphql::{Code, Fault},
    telemetry::{Account, Kind},
};

/// `GET /fib/{n}`: streams F(n), so that a number of any length is sent in bounded memory.
pub(super) async fn fib(
    State(service): State<Arc<Service>>,
    Extension(client): Extension<Arc<Client>>,
    n: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (evaluator, n) = (&service.evaluator, text_of(n)?);
        let index = n.parse().map_err(|_| evaluator.not_an_index(format!("{n:?}"))).and_then(|n| evaluator.index(n))?;
        let form = form(&headers)?;
        let question = Question::Fib(index);
        // The permit is for the value while it is read or evaluated, and then while clients read it.
        let permit = client.send(question.bytes())?;
        let answers = service.ask(question).await?;
        let answer = answers.fib(index).map_err(Fault::from)?;
        let value_permit = service.values.share(question, &answer.value, permit)?;
        let account = Account { kind: Kind::RestFib, cached: answer.cached, spent: Some(answers.spent) };
        let (value, length) = (Arc::clone(&answer.value), answer.value.digit_count());
        let digits = (0..).map_while(move |at| value.chunk(at));
        let buffers = client.send(buffer_bytes(form.coding, length))?;
        let response = service.stream(form, account, length, digits, &method, &headers);
        Ok((Extension(Held::both(value_permit, buffers)), response).into_response())
    };
    answer.await.unwrap_or_else(Refusal::into_problem)
}

/// The memory for streaming a number of digits: two pieces of text, and an encoder if they are compressed.
fn buffer_bytes(coding: Coding, digits: usize) -> usize {
    const PIECES_BYTES: usize = 128 * 1024;
    let encoder = if coding == Coding::Identity || digits <= SHORT_BYTES { 0 } else { ENCODER_BYTES };
    digits.min(PIECES_BYTES) + encoder
}

/// `GET /pi/{terms}`: the approximation of π.
pub(super) async fn pi(
    State(service): State<Arc<Service>>,
    terms: Result<Path<String>, PathRejection>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let answer = async {
        let (evaluator, terms) = (&service.evaluator, text_of(terms)?);
        let terms =
            terms.parse().map_err(|_| evaluator.not_terms(format!("{terms:?}"))).and_then(|n| evaluator.terms(n))?;
        let form = form(&headers)?;
        let answers = service.ask(Question::Pi(terms)).await?;
        let Answer { value, cached } = answers.pi(terms).map_err(Fault::from)?;
        let account = Account { kind: Kind::RestPi, cached, spent: Some(answers.spent) };
        let digits = value.to_string();
        Ok(service.stream(form, account, digits.len(), iter::once(digits), &method, &headers))
    };
    answer.await.unwrap_or_else(Refusal::into_problem)
}

fn form(headers: &HeaderMap) -> Result<Form, Refusal> {
    let message = "an answer is application/json or text/plain: name one in the header Accept";
    let form = Form::choose(headers, &[Media::Json, Media::Text]);
    let form = form.ok_or_else(|| Refusal::new(StatusCode::NOT_ACCEPTABLE, message))?;
    // The cost is shown in GraphQL alone.
    Ok(Form { tells_cost: false, ..form })
}

impl Service {
    async fn ask(&self, question: Question) -> Result<Answers, Refusal> {
        let answer = self.evaluator.answer(BTreeSet::from([question]));
        timeout(REQUEST_TIME, answer).await.map_err(|_| Refusal::deadline())
    }

    /// Streams a response with these digits, `digits` in all. In JSON they are a number of any length.
    fn stream(
        &self,
        form: Form,
        account: Account,
        digits: usize,
        pieces: impl Iterator<Item = String> + Send + 'static,
        method: &Method,
        headers: &HeaderMap,
    ) -> Response {
        let cached = account.cached;
        let (before, after) = match form.media {
            Media::Text => (String::new(), ""),
            Media::Json | Media::GraphqlResponse | Media::Html | Media::EventStream => {
                (format!(r#"{{"cached":{cached},"result":"#), "}")
            }
        };
        let length = before.len() + digits + after.len();
        let coding = if length <= SHORT_BYTES { Coding::Identity } else { form.coding };
        let lifetime = if cached { Lifetime::Immutable } else { Lifetime::Passing };
        let (mut head, is_known) = head(Form { coding, ..form }, lifetime, method, headers);
        if is_known {
            return (Extension(account), not_modified(head)).into_response();
        }
        let pieces = iter::once(before).chain(pieces).chain(iter::once(after.to_owned()));
        let pieces = pieces.filter(|piece| !piece.is_empty()).map(Bytes::from);
        let body = match coding.name() {
            None => {
                head.insert(CONTENT_LENGTH, length.into());
                Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
            }
            Some(name) => {
                head.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
                Body::from_stream(compressed(coding, Arc::clone(&self.workers), pieces))
            }
        };
        (head, Extension(account), body).into_response()
    }
}

fn text_of(segment: Result<Path<String>, PathRejection>) -> Result<String, Fault> {
    let message = "the path is not UTF-8: write a number, as in /fib/10";
    let Path(text) = segment.map_err(|_| Fault::new(Code::BadRequest, message))?;
    Ok(text)
}
