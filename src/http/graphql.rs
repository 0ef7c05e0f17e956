//! `/graphql`: requests and answers of GraphQL over HTTP.

use std::{pin::pin, sync::Arc};

use axum::{
    Extension,
    body::Bytes,
    extract::{self, State},
    http::{
        HeaderMap, HeaderValue, Method, StatusCode, Uri,
        header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use tokio::time::{Instant, timeout_at};

use super::{
    body,
    compression::{self, SHORT_BYTES},
    events,
    gate::{Client, Permit},
    held::Held,
    negotiation::{Coding, Media},
    pages, parameters,
    refusal::{self, Refusal},
    reply::{Content, Form, Lifetime, Reply},
    response_cache::Key,
    service::{REQUEST_TIME, Service},
};
use crate::{
    graphql::{self, Batch, Code, Execution, Request, Size, Text},
    telemetry::{Step, within},
};

/// The methods that `/graphql` takes, and any path of the server.
pub(super) const GRAPHQL_METHODS: HeaderValue = HeaderValue::from_static("GET,HEAD,OPTIONS,POST");

/// `GET /graphql`: GraphiQL for a browser, else the request in the query of the URL.
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Extension(client): Extension<Arc<Client>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let deadline = Instant::now() + REQUEST_TIME;
    let offered = [Media::Json, Media::Html, Media::GraphqlResponse, Media::EventStream];
    let Some(form) = Form::choose(&headers, &offered) else { return not_acceptable() };
    if form.media == Media::Html {
        return pages::page(&service, "graphiql.html", &headers).await.into_response();
    }
    let answer = async {
        if form.media == Media::EventStream {
            return events::answer(&service, &client, events::only(in_url(&uri)?)?, deadline).await;
        }
        let text = Bytes::copy_from_slice(uri.query().unwrap_or_default().as_bytes());
        let key = Key { form, text, is_post: false };
        let (reply, held) = service.reply(&client, key, |_| in_url(&uri), deadline).await?;
        Ok(reply.respond(&method, held))
    };
    answer.await.unwrap_or_else(|refusal: Refusal| refusal.into_errors(form.media))
}

/// `POST /graphql`: a request or an array of requests in JSON.
pub(super) async fn post(service: &Service, client: &Arc<Client>, request: extract::Request) -> Response {
    let deadline = Instant::now() + REQUEST_TIME;
    let offered = [Media::Json, Media::GraphqlResponse, Media::EventStream];
    let Some(form) = Form::choose(request.headers(), &offered) else { return not_acceptable() };
    let answer = async {
        is_json(request.headers())?;
        let (text, _permit) = body::whole(request.into_body(), client).await?;
        if form.media == Media::EventStream {
            let request = events::only(Batch::from_json(&text)?)?;
            return Box::pin(events::answer(service, client, request, deadline)).await;
        }
        let key = Key { form, text, is_post: true };
        let (reply, held) = service.reply(client, key, |text| Ok(Batch::from_json(text)?), deadline).await?;
        Ok(reply.respond(&Method::POST, held))
    };
    answer.await.unwrap_or_else(|refusal: Refusal| refusal.into_errors(form.media))
}

/// For a method that `/graphql` does not take.
pub(super) async fn method_not_allowed(method: Method) -> Response {
    let message = format!("/graphql takes POST and GET, not {method}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(ALLOW, GRAPHQL_METHODS).into_errors(Media::Json)
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
        client: &Arc<Client>,
        key: Key,
        read: impl FnOnce(&[u8]) -> Result<Batch, Refusal>,
        deadline: Instant,
    ) -> Result<(Reply, Held), Refusal> {
        if let Some(kept) = self.response_cache.get(&key) {
            let held = kept.content.held(|| client.send(kept.bytes()))?;
            return Ok((kept, held));
        }
        let batch = read(&key.text)?;
        // In a box, since a connection that waits for its next request keeps the room of its last future.
        let answer = timeout_at(deadline, Box::pin(self.answer(client, batch, key.form))).await;
        let (reply, permit) = answer.map_err(|_| Refusal::deadline())??;
        self.response_cache.insert(&key, &reply);
        let held = reply.content.held(|| Ok(permit))?;
        Ok((reply, held))
    }

    async fn answer(&self, client: &Arc<Client>, batch: Batch, form: Form) -> Result<(Reply, Permit), Refusal> {
        let registers = batch.registers();
        let (requests, is_one) = match batch {
            Batch::One(request) => (vec![request], true),
            Batch::Many(requests) => (requests, false),
        };
        let executed = async {
            let prepared = self.api.prepare(requests, form.tells_cost).await;
            let Size { execution, text } = prepared.size();
            // For all that the operations take until their answer is made.
            let permit = client.send(execution + text + compression::bytes(form.coding, text))?;
            Ok::<_, Refusal>((self.api.execute(prepared).await, permit))
        };
        let (Execution { responses, account }, mut permit) = within(Step::Execute, pin!(executed)).await?;
        // A cached response would be sent again without registering the document.
        let is_immutable = !registers && responses.iter().all(graphql::Response::is_immutable);
        let (text, refusal) = match &responses[..] {
            [response] if is_one => (Text::of_response(response), response.refusal()),
            responses => (Text::of_batch(responses), None),
        };
        drop(responses);
        let status = refusal.map_or(StatusCode::OK, |code: Code| refusal::status(code, form.media));
        let lifetime = if is_immutable { Lifetime::Immutable } else { Lifetime::Passing };
        let pieces = text.into_pieces();
        let length: usize = pieces.iter().map(Bytes::len).sum();
        let coding = if length <= SHORT_BYTES { Coding::Identity } else { form.coding };
        let pieces = compression::whole(coding, &self.workers, pieces).await.map_err(|_| Refusal::internal())?;
        let content = Content::new(pieces);
        let reply = Reply { status, form: Form { coding, ..form }, lifetime, account, content };
        permit.resize(reply.bytes())?;
        Ok((reply, permit))
    }
}

/// The request in a URL, whose parameters `variables` and `extensions` are JSON. Other parameters are ignored.
fn in_url(uri: &Uri) -> Result<Batch, Refusal> {
    let names = ["query", "operationName", "variables", "extensions"];
    let ([query, operation_name, variables, extensions], _) = parameters::read(uri, names)?;
    if query.is_none() && extensions.is_none() {
        let message = "the parameter query is missing: send /graphql?query={…}";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
    }
    let request = Request::from_parameters(query, operation_name, variables.as_deref(), extensions.as_deref())?;
    Ok(Batch::One(request))
}

/// Refuses a body that is not JSON in UTF-8, as it is.
fn is_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |message: &str| Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Nearly all clients write it so, without parameters.
    if content_type != "application/json" {
        let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
        if !essence.trim().eq_ignore_ascii_case("application/json") {
            return refused("send the request as JSON, with the header Content-Type: application/json");
        }
        let parameters = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('='));
        let charsets = parameters.filter(|(name, _)| name.eq_ignore_ascii_case("charset"));
        // The second is no registered name, but many clients send it.
        let is_utf8 = |charset: &str| ["utf-8", "utf8"].iter().any(|name| charset.eq_ignore_ascii_case(name));
        if !charsets.map(|(_, charset)| charset.trim_matches('"')).all(is_utf8) {
            return refused("send the request in UTF-8, with the header Content-Type: application/json; charset=utf-8");
        }
    }
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        return refused("send the request as it is, without a Content-Encoding");
    }
    Ok(())
}
