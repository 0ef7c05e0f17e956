//! REST, for clients without GraphQL: `GET /fib/{n}`, `/fib?from=&count=`, `/pi/{terms}` and `/pi/digits?from=&count=`.

use std::{convert::Infallible, iter, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{FromRequestParts, Path, rejection::PathRejection},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_ENCODING, CONTENT_LENGTH},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::time::timeout;

use super::{
    compression::{ENCODER_BYTES, SHORT_BYTES, compressed},
    gate::{Client, Permit},
    held::Held,
    negotiation::{Coding, Media},
    parameters,
    refusal::Refusal,
    reply::{Form, Lifetime, head},
    service::{REQUEST_TIME, Service},
};
use crate::{
    evaluator::{Answer, Answers, Decimal, FromValue, Given, Limits, Question, Row, digits_to_evaluate},
    graphql::{self, Code, Fault},
    telemetry::{Account, Kind},
};

/// A request, and what answers it.
pub(super) struct Exchange {
    service: Arc<Service>,
    client: Arc<Client>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl FromRequestParts<Arc<Service>> for Exchange {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, service: &Arc<Service>) -> Result<Self, Infallible> {
        let client: &Arc<Client> = parts.extensions.get().expect("each request is routed with its client");
        Ok(Self {
            service: Arc::clone(service),
            client: Arc::clone(client),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
        })
    }
}

/// `GET /fib/{n}`: F(n).
pub(super) async fn fib(exchange: Exchange, n: Result<Path<String>, PathRejection>) -> Result<Response, Refusal> {
    let index = exchange.limits().index("n", Given::Text(&text_of(n)?))?;
    exchange.value(Kind::RestFib, index, "").await
}

/// `GET /pi/{terms}`: the approximation of π.
pub(super) async fn pi(exchange: Exchange, terms: Result<Path<String>, PathRejection>) -> Result<Response, Refusal> {
    let terms = exchange.limits().terms(Given::Text(&text_of(terms)?))?;
    exchange.value(Kind::RestPi, terms, "").await
}

/// `GET /pi/digits`: digits of π in a row.
pub(super) async fn pi_digits(exchange: Exchange) -> Result<Response, Refusal> {
    let [from, count] = exchange.parameters()?;
    let span = exchange.limits().span(given(from.as_deref(), 0), given(count.as_deref(), 100))?;
    graphql::check_digits(&[span.into()], span.count(), exchange.limits())?;
    exchange.value(Kind::RestPiDigits, span, "\"").await
}

/// `GET /fib`: Fibonacci numbers in a row. As text they are in the form of the b-files of the OEIS, `n F(n)` in each line.
pub(super) async fn fibs(exchange: Exchange) -> Result<Response, Refusal> {
    let [from, count] = exchange.parameters()?;
    let indices = exchange.limits().indices(given(from.as_deref(), 0), given(count.as_deref(), 10))?;
    let questions: Vec<Question> = indices.clone().map(Question::from).collect();
    // What is evaluated is printed, all of it.
    graphql::check_digits(&questions, digits_to_evaluate(&questions), exchange.limits())?;
    let form = exchange.form()?;
    let permit = exchange.client.send(questions.iter().map(|question| question.bytes()).sum())?;
    let answers = exchange.ask(questions).await?;
    let (mut all, mut length) = (Vec::new(), 0);
    for n in indices {
        let Answer { value, cached } = answers.of(n)?;
        let (before, after) = match form.media {
            Media::Text => (format!("{} ", n.get()), "\n"),
            _ => (
                format!(r#"{}{{"n":{},"cached":{cached},"result":"#, if all.is_empty() { "[" } else { "," }, n.get()),
                "}",
            ),
        };
        length += before.len() + value.digit_count() + after.len();
        all.push((before, value, after));
    }
    let end = if form.media == Media::Text { "" } else { "]" };
    let values = all
        .into_iter()
        .flat_map(|(before, value, after)| iter::once(before).chain(chunks(value)).chain(iter::once(after.to_owned())));
    let pieces = gathered(values.chain(iter::once(end.to_owned())));
    let account = Account { kind: Kind::RestFib, cached: answers.are_cached(), spent: Some(answers.spent) };
    exchange.respond(form, account, length + end.len(), pieces, Arc::new(permit))
}

/// A value as text of a known length, which is sent in pieces.
trait Printed: Send + 'static {
    fn length(&self) -> usize;

    /// Piece `at` of the text; `None` after the last.
    fn chunk(&self, at: usize) -> Option<String>;

    /// The address of a value that several responses share.
    fn address(&self) -> usize;
}

impl Printed for Arc<Decimal> {
    fn length(&self) -> usize {
        self.digit_count()
    }

    fn chunk(&self, at: usize) -> Option<String> {
        Decimal::chunk(self, at)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl Printed for Arc<Row> {
    fn length(&self) -> usize {
        self.span().count()
    }

    fn chunk(&self, at: usize) -> Option<String> {
        Row::chunk(self, at)
    }

    fn address(&self) -> usize {
        Arc::as_ptr(self).addr()
    }
}

impl Printed for f64 {
    fn length(&self) -> usize {
        self.to_string().len()
    }

    fn chunk(&self, at: usize) -> Option<String> {
        (at == 0).then(|| self.to_string())
    }

    fn address(&self) -> usize {
        0
    }
}

fn chunks(value: impl Printed) -> impl Iterator<Item = String> + Send {
    (0..).map_while(move |at| value.chunk(at))
}

/// The bytes of a piece of text that is streamed.
const PIECE_BYTES: usize = 64 * 1024;

/// Gathers pieces of text into pieces of about 64 KiB, or as long as one of them is.
fn gathered(pieces: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
    let mut pieces = pieces.peekable();
    iter::from_fn(move || {
        let mut piece = pieces.next()?;
        while let Some(next) = pieces.next_if(|next| piece.len() + next.len() <= PIECE_BYTES) {
            piece += &next;
        }
        Some(piece)
    })
}

/// The memory for streaming a number of bytes: two pieces of text, and an encoder if they are compressed.
fn buffer_bytes(coding: Coding, length: usize) -> usize {
    let encoder = if coding == Coding::Identity || length <= SHORT_BYTES { 0 } else { ENCODER_BYTES };
    length.min(2 * PIECE_BYTES) + encoder
}

impl Exchange {
    fn limits(&self) -> &Limits {
        self.service.evaluator.limits()
    }

    /// The parameters `from` and `count`.
    fn parameters(&self) -> Result<[Option<String>; 2], Fault> {
        let (given, other) = parameters::read(&self.uri, ["from", "count"])?;
        if let Some(name) = other {
            let message = format!("there is no parameter {name:?}; there are from and count");
            return Err(Fault::new(Code::BadRequest, message));
        }
        Ok(given)
    }

    fn form(&self) -> Result<Form, Refusal> {
        let message = "an answer is application/json or text/plain: name one in the header Accept";
        let form = Form::choose(&self.headers, &[Media::Json, Media::Text]);
        let form = form.ok_or_else(|| Refusal::new(StatusCode::NOT_ACCEPTABLE, message))?;
        // The cost is shown in GraphQL alone.
        Ok(Form { tells_cost: false, ..form })
    }

    async fn ask(&self, questions: Vec<Question>) -> Result<Answers, Refusal> {
        timeout(REQUEST_TIME, self.service.evaluator.answer(questions)).await.map_err(|_| Refusal::deadline())
    }

    /// Streams the value that answers a question, so that one of any length is sent in bounded memory. In JSON it is
    /// between `quotes`.
    async fn value<F>(&self, kind: Kind, question: F, quotes: &str) -> Result<Response, Refusal>
    where
        F: FromValue<Value: Printed>,
    {
        let form = self.form()?;
        let asked: Question = question.into();
        // The permit is for the value while it is read or evaluated, and then while clients read it.
        let permit = self.client.send(asked.bytes())?;
        let answers = self.ask(vec![asked]).await?;
        let Answer { value, cached } = answers.of(question)?;
        let permit = self.service.values.share(asked, value.address(), permit)?;
        let account = Account { kind, cached, spent: Some(answers.spent) };
        let (before, after) = match form.media {
            Media::Text => (String::new(), String::new()),
            _ => (format!(r#"{{"cached":{cached},"result":{quotes}"#), format!("{quotes}}}")),
        };
        let length = before.len() + value.length() + after.len();
        let pieces = iter::once(before).chain(chunks(value)).chain(iter::once(after));
        self.respond(form, account, length, pieces, permit)
    }

    /// Streams a response of pieces, `length` bytes in all.
    fn respond(
        &self,
        form: Form,
        account: Account,
        length: usize,
        pieces: impl Iterator<Item = String> + Send + 'static,
        values: Arc<Permit>,
    ) -> Result<Response, Refusal> {
        let coding = if length <= SHORT_BYTES { Coding::Identity } else { form.coding };
        let buffers = self.client.send(buffer_bytes(coding, length))?;
        let lifetime = if account.cached { Lifetime::Immutable } else { Lifetime::Passing };
        let mut head = head(Form { coding, ..form }, lifetime, &self.method);
        let pieces = pieces.filter(|piece| !piece.is_empty()).map(Bytes::from);
        let body = match coding.name() {
            None => {
                head.insert(CONTENT_LENGTH, length.into());
                Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
            }
            Some(name) => {
                head.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
                Body::from_stream(compressed(coding, Arc::clone(&self.service.workers), pieces))
            }
        };
        Ok((head, Extension(account), Extension(Held::both(values, buffers)), body).into_response())
    }
}

/// The value of a parameter, or its default.
fn given(parameter: Option<&str>, default: u32) -> Given<'_> {
    parameter.map_or(Given::Default(default), Given::Text)
}

fn text_of(segment: Result<Path<String>, PathRejection>) -> Result<String, Fault> {
    let message = "the path is not UTF-8: write a number, as in /fib/10";
    let Path(text) = segment.map_err(|_| Fault::new(Code::BadRequest, message))?;
    Ok(text)
}
