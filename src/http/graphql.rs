//! `/graphql`: requests and answers of GraphQL over HTTP.

use std::{pin::pin, sync::Arc};

use axum::{
    body::{Body, Bytes},
    extract::{self, Query, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{TryStreamExt, future::ready};
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    BODY_BYTES, BODY_TIME, REQUEST_TIME, REST_BYTES, Service,
    compression::{SHORT_BYTES, compressed},
    events,
    kept::Asked,
    negotiation::{Coding, Media},
    pages,
    refusal::{self, Refusal},
    reply::{Content, Form, Lifetime, Reply},
};
use crate::{
    graphql::{self, Batch, Code, Execution, Request, Text},
    telemetry::{self, Step, within},
};

/// A request in the query of a URL. `variables` and `extensions` are JSON.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    query: Option<String>,
    operation_name: Option<String>,
    variables: Option<String>,
    extensions: Option<String>,
}

/// `GET /graphql`: GraphiQL for a browser, else the request in the query of the URL.
pub(super) async fn get(State(service): State<Arc<Service>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let offered = [Media::Json, Media::Html, Media::GraphqlResponse, Media::EventStream];
    let Some(form) = Form::choose(&headers, &offered) else { return not_acceptable() };
    if form.media == Media::Html {
        return pages::graphiql(&service, &headers).await;
    }
    if form.media == Media::EventStream {
        let answer = async { events::answer(&service, events::only(in_url(&uri)?)?).await };
        return answer.await.unwrap_or_else(|refusal| refusal.into_errors(form.media));
    }
    let text = Bytes::copy_from_slice(uri.query().unwrap_or_default().as_bytes());
    let asked = Asked { form, text, is_post: false };
    let reply = service.reply(asked, |_| in_url(&uri), Instant::now() + REQUEST_TIME).await;
    reply.map_or_else(|refusal| refusal.into_errors(form.media), |reply| reply.respond(&method, &headers))
}

/// `POST /graphql`: a request or an array of requests in JSON.
pub(super) async fn post(service: &Service, request: extract::Request) -> Response {
    let deadline = Instant::now() + REQUEST_TIME;
    let offered = [Media::Json, Media::GraphqlResponse, Media::EventStream];
    let Some(form) = Form::choose(request.headers(), &offered) else { return not_acceptable() };
    if form.media == Media::EventStream {
        let answer = async {
            is_json(request.headers())?;
            events::answer(service, events::only(Batch::from_json(&body_of(request).await?)?)?).await
        };
        return answer.await.unwrap_or_else(|refusal| refusal.into_errors(form.media));
    }
    let answer = async {
        is_json(request.headers())?;
        let text = body_of(request).await?;
        let asked = Asked { form, text, is_post: true };
        service.reply(asked, |text| Ok(Batch::from_json(text)?), deadline).await
    };
    let headers = HeaderMap::new();
    answer.await.map_or_else(|refusal| refusal.into_errors(form.media), |reply| reply.respond(&Method::POST, &headers))
}

/// For a method that `/graphql` does not take.
pub(super) async fn method_not_allowed(method: Method) -> Response {
    let message = format!("/graphql takes POST and GET, not {method}");
    let response = Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message).into_errors(Media::Json);
    ([(ALLOW, "GET,HEAD,POST")], response).into_response()
}

fn not_acceptable() -> Response {
    let message =
        "an answer is application/json, application/graphql-response+json or text/event-stream: name one in Accept";
    Refusal::new(StatusCode::NOT_ACCEPTABLE, message).into_errors(Media::Json)
}

impl Service {
    /// The answer to a request, which `read` reads if its answer is not kept.
    async fn reply(
        &self,
        asked: Asked,
        read: impl FnOnce(&[u8]) -> Result<Batch, Refusal>,
        deadline: Instant,
    ) -> Result<Reply, Refusal> {
        if let Some(kept) = self.kept.get(&asked) {
            telemetry::answer_was_kept();
            return Ok(kept);
        }
        let batch = read(&asked.text)?;
        let answer = timeout_at(deadline, self.answer(batch, asked.form)).await;
        let reply = answer.map_err(|_| Refusal::deadline())??;
        self.kept.keep(&asked, &reply);
        Ok(reply)
    }

    async fn answer(&self, batch: Batch, form: Form) -> Result<Reply, Refusal> {
        let (requests, is_one) = match batch {
            Batch::One(request) => (vec![request], true),
            Batch::Many(requests) => (requests, false),
        };
        let execution = pin!(self.api.execute(requests, form.tells_cost));
        let Execution { responses, account, place } = within(Step::Execute, execution).await;
        let is_immutable = responses.iter().all(graphql::Response::is_immutable);
        let (text, refusal) = match &responses[..] {
            [response] if is_one => (Text::of_response(response), response.refusal()),
            responses => (Text::of_batch(responses), None),
        };
        let status = refusal.map_or(StatusCode::OK, |code: Code| refusal::status(code, form.media));
        let lifetime = if is_immutable { Lifetime::Immutable } else { Lifetime::Passing };
        let pieces = text.into_pieces();
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let coding = if length <= SHORT_BYTES { Coding::Identity } else { form.coding };
        let pieces = match coding {
            Coding::Identity => pieces,
            coding => {
                let pieces = compressed(coding, Arc::clone(&self.workers), pieces.into_iter());
                pieces.try_collect().await.map_err(|_| Refusal::internal())?
            }
        };
        Ok(Reply {
            status,
            form: Form { coding, ..form },
            lifetime,
            account,
            content: Arc::new(Content { pieces, _place: place }),
        })
    }
}

/// The request in a URL.
fn in_url(uri: &Uri) -> Result<Batch, Refusal> {
    let wrong = |message: String| Refusal::new(StatusCode::BAD_REQUEST, message);
    let Query(Parameters { query, operation_name, variables, extensions }) =
        Query::try_from_uri(uri).map_err(|rejection| wrong(rejection.body_text()))?;
    if query.is_none() && extensions.is_none() {
        return Err(wrong("the parameter query is missing: send /graphql?query={…}".into()));
    }
    let request = Request::from_parameters(query, operation_name, variables.as_deref(), extensions.as_deref())?;
    Ok(Batch::One(request))
}

/// The whole body, within its bounds.
async fn body_of(request: extract::Request) -> Result<Bytes, Refusal> {
    let mut body = request.into_body();
    if body.size_hint().lower() > BODY_BYTES as u64 {
        return Err(too_long(body));
    }
    match timeout(BODY_TIME, Limited::new(&mut body, BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_long(body)),
        Ok(Err(_)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time: send it at once")),
    }
}

/// Refuses a body that is too long, at once. What is still sent of it is read, if that is not much: a client that writes
/// before it reads would find a closed connection, and no answer.
fn too_long(body: Body) -> Refusal {
    if body.size_hint().lower() <= REST_BYTES as u64 {
        let rest = async { Limited::new(body, REST_BYTES).into_data_stream().try_for_each(|_| ready(Ok(()))).await };
        tokio::spawn(timeout(BODY_TIME, rest));
    }
    let message = format!("the body is longer than {BODY_BYTES} bytes");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message)
}

/// Refuses a body that is not JSON in UTF-8, as it is.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |message: &str| Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(str::trim);
    if !parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
        return refused("send the request as JSON, with the header Content-Type: application/json");
    }
    let charsets =
        parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
    if !charsets.map(|(_, charset)| charset.trim_matches('"')).all(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return refused("send the request in UTF-8, with the header Content-Type: application/json; charset=utf-8");
    }
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return refused("send the request as it is, without a Content-Encoding");
    }
    Ok(())
}
