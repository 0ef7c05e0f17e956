//! Responses as server-sent events (graphql-sse, distinct connections mode): an event for each response, and one for
//! the end.

use std::{io, iter, sync::Arc};

use axum::{
    Extension,
    body::{Body, Bytes},
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    caching::NO_STORE,
    gate::Client,
    held::Held,
    negotiation::Media,
    refusal::{Refusal, up_to_panic},
    service::Service,
};
use crate::{
    graphql::{Batch, Execution, Request, Size, Text},
    telemetry::Account,
};

const COMPLETE: Bytes = Bytes::from_static(b"event: complete\ndata:\n\n");

/// Returns the request of a body, and rejects a batch: a stream of events answers one request.
pub(super) fn only(batch: Batch) -> Result<Request, Refusal> {
    match batch {
        Batch::One(request) => Ok(request),
        Batch::Many(_) => {
            let message = "a batch has no answer as text/event-stream: send its requests one by one";
            Err(Refusal::new(axum::http::StatusCode::NOT_ACCEPTABLE, message))
        }
    }
}

/// Streams the responses to a request, which is reported with the first of them. A drain aborts the stream: a client that saw
/// it complete would not ask the next process for the rest.
///
/// # Errors
/// When there is no room for it, or its first response is not made by the deadline.
pub(super) async fn answer(
    service: &Service,
    client: &Arc<Client>,
    request: Request,
    deadline: Instant,
) -> Result<Response, Refusal> {
    let begun = async {
        let prepared = service.api.prepare(vec![request], false).await;
        let Size { execution, text } = prepared.size();
        let permit = client.send(execution + text)?;
        let mut executions = up_to_panic(service.api.subscribe(prepared).await).boxed();
        Ok::<_, Refusal>((executions.next().await, executions, permit))
    };
    let (first, others, permit) = timeout_at(deadline, begun).await.map_err(|_| Refusal::deadline())??;
    let account = first.as_ref().map_or(Account::SUBSCRIPTION, |first| first.account);
    let events = stream::iter(first).chain(others).flat_map(event).chain(stream::iter([COMPLETE])).boxed();
    let body = Body::from_stream(until_cancelled(events, service.draining.clone()));
    let head = [(CONTENT_TYPE, HeaderValue::from_static(Media::EventStream.content_type())), (CACHE_CONTROL, NO_STORE)];
    Ok((head, Extension(account), Extension(Held::from(permit)), body).into_response())
}

/// Ends the events with an error when `token` is cancelled.
fn until_cancelled(
    events: BoxStream<'static, Bytes>,
    token: CancellationToken,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> {
    stream::try_unfold(events, move |mut events| {
        let token = token.clone();
        async move {
            let event = token.run_until_cancelled_owned(events.next()).await;
            let event = event.ok_or_else(|| io::Error::other("the server stops"))?;
            Ok(event.map(|event| (event, events)))
        }
    })
}

/// The event of a response. Its JSON has no line break.
fn event(Execution { responses, .. }: Execution) -> impl futures_util::Stream<Item = Bytes> {
    let text = responses.first().map(|response| Text::of_response(response).into_pieces()).unwrap_or_default();
    let (before, after) = (Bytes::from_static(b"event: next\ndata: "), Bytes::from_static(b"\n\n"));
    stream::iter(iter::once(before).chain(text).chain([after]))
}
