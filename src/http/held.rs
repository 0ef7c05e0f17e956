//! The permits of a request and its response, which are held until the last byte is sent.

use std::{panic::AssertUnwindSafe, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{Method, header::CONTENT_LENGTH},
    response::Response,
};
use futures_util::FutureExt;
use hyper::body::Body as _;

use super::{
    gate::{Client, Permit},
    head,
    refusal::Refusal,
};

/// The approximate memory of an open request beside its bytes: its task, and the state of its handler.
const REQUEST_BYTES: usize = 6 * 1024;

/// The memory of a header beside its text: its entry in the map.
const HEADER_BYTES: usize = 64;

/// The permits of a response, which are an extension of it. Bytes that are part of the program have none.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    _permits: [Option<Arc<Permit>>; 2],
}

impl From<Permit> for Held {
    fn from(permit: Permit) -> Self {
        Arc::new(permit).into()
    }
}

impl From<Arc<Permit>> for Held {
    fn from(permit: Arc<Permit>) -> Self {
        Self { _permits: [Some(permit), None] }
    }
}

impl Held {
    /// The permits for two parts of a response.
    pub(super) fn both(first: Arc<Permit>, second: Permit) -> Self {
        Self { _permits: [Some(first), Some(Arc::new(second))] }
    }
}

/// Checks the head of a request and takes its permits: `answer` runs with one for the head, and its response leaves
/// with one for its body. When a budget is full the response is a refusal.
///
/// A panic ends one request and nothing else. It is logged where it happens, and leaves no inconsistent state behind, since
/// shared state is changed in whole steps.
pub(super) async fn through<F: Future<Output = Response>>(
    client: &Arc<Client>,
    request: Request,
    answer: impl FnOnce(Request) -> F,
) -> Response {
    let (speaks_graphql, is_head) = (request.uri().path() == "/graphql", request.method() == Method::HEAD);
    let answer = async {
        head::check(&request)?;
        let _head = client.receive(REQUEST_BYTES + head_bytes(&request))?;
        let mut response = answer(request).await;
        let bytes = response.body().size_hint().lower();
        // Unless its handler has taken one.
        if bytes > 0 && response.extensions().get::<Held>().is_none() {
            let permit = client.send(bytes.try_into().unwrap_or(usize::MAX))?;
            response.extensions_mut().insert(Held::from(permit));
        }
        Ok(response)
    };
    let answer = AssertUnwindSafe(answer).catch_unwind().await.unwrap_or_else(|_| Err(Refusal::internal()));
    let response = answer.unwrap_or_else(|refusal| refusal.respond_to(speaks_graphql));
    if is_head { without_body(response) } else { response }
}

/// Removes the body of a response to HEAD, and keeps its length: HTTP/2 would send the body. The router does so for its
/// handlers, but a refusal may come from elsewhere.
fn without_body(mut response: Response) -> Response {
    if let Some(length @ 1..) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
        *response.body_mut() = Body::empty();
    }
    response
}

/// The approximate memory of the head of a request.
fn head_bytes(request: &Request) -> usize {
    let uri = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    uri + headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_BYTES).sum::<usize>()
}
