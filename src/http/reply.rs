//! A response of GraphQL in memory: its bytes, and the headers that say how long they may be cached.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY},
    },
    response::Response,
};
use hyper::body::{Frame, SizeHint};

use super::{
    caching::{IMMUTABLE, NO_STORE},
    gate::{Full, Permit, SHARE_BYTES, Shared},
    held::Held,
    negotiation::{Coding, Media},
};
use crate::telemetry::Account;

/// The request header that asks for the cost of an operation.
pub(super) const COST: HeaderName = HeaderName::from_static("x-phipi-cost");

/// The negotiated form of a response: with the method and the request it decides the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Form {
    pub(super) media: Media,
    pub(super) coding: Coding,
    pub(super) tells_cost: bool,
}

/// `Vary`: every header that [`Form`] is made from.
const FORM_HEADERS: HeaderValue = HeaderValue::from_static("accept, accept-encoding, x-phipi-cost");

impl Form {
    /// Negotiates the form with a client; `None` when it accepts none of the offered types.
    pub(super) fn choose(headers: &HeaderMap, offered: &[Media]) -> Option<Self> {
        let media = Media::choose(headers, offered)?;
        let tells_cost = headers.get(COST).is_some_and(|value| value == "1");
        Some(Self { media, coding: Coding::choose(headers), tells_cost })
    }

    /// The entity tag of an immutable response. Responses of one URL differ in their form alone, and perhaps between
    /// versions of this program.
    fn tag(self) -> String {
        let Self { media, coding, tells_cost } = self;
        let media = match media {
            Media::Json => "json",
            Media::GraphqlResponse => "graphql",
            Media::Html => "html",
            Media::Text => "text",
            Media::EventStream => "events",
        };
        let (coding, cost) = (coding.name().unwrap_or("identity"), if tells_cost { "-cost" } else { "" });
        format!("\"{}-{media}-{coding}{cost}\"", env!("CARGO_PKG_VERSION"))
    }
}

/// The time for which a response may be cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// For ever: the same request gets the same response.
    Immutable,
    /// Never.
    Passing,
}

/// Makes the headers of the response to a request with `method`.
pub(super) fn head(form: Form, lifetime: Lifetime, method: &Method) -> HeaderMap {
    // With room for those of CORS and of the report.
    let mut head = HeaderMap::with_capacity(10);
    head.insert(CONTENT_TYPE, HeaderValue::from_static(form.media.content_type()));
    if method == Method::POST {
        head.insert(CACHE_CONTROL, NO_STORE);
        return head;
    }
    head.insert(VARY, FORM_HEADERS);
    if lifetime == Lifetime::Passing {
        head.insert(CACHE_CONTROL, NO_STORE);
        return head;
    }
    head.insert(CACHE_CONTROL, IMMUTABLE);
    head.extend(HeaderValue::from_str(&form.tag()).ok().map(|tag| (ETAG, tag)));
    head
}

/// A response, which may be sent many times.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) form: Form,
    pub(super) lifetime: Lifetime,
    pub(super) account: Account,
    pub(super) content: Arc<Content>,
}

/// The bytes of a response, and the permit that concurrent senders share.
#[derive(Debug)]
pub(super) struct Content {
    pieces: Vec<Bytes>,
    bytes: usize,
    sending: Shared,
}

impl Content {
    pub(super) fn new(pieces: Vec<Bytes>) -> Arc<Self> {
        let bytes = pieces.iter().map(Bytes::len).sum();
        Arc::new(Self { pieces, bytes, sending: Shared::default() })
    }

    /// Returns a permit to send the bytes, made of the one that `take` takes. Each connection has a permit of its own
    /// for a short response, which fits in its share; senders of a long one share a permit.
    ///
    /// # Errors
    /// The error of `take`.
    pub(super) fn held(&self, take: impl FnOnce() -> Result<Permit, Full>) -> Result<Held, Full> {
        if self.bytes <= SHARE_BYTES { take().map(Held::from) } else { self.sending.permit(take).map(Held::from) }
    }
}

impl Reply {
    /// The length of its body.
    pub(super) fn bytes(&self) -> usize {
        self.content.bytes
    }

    /// Makes the response to a request with `method`, which holds the permit for its bytes.
    pub(super) fn respond(&self, method: &Method, permits: Held) -> Response {
        let mut head = head(self.form, self.lifetime, method);
        if let Some(name) = self.form.coding.name() {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        let body = Pieces { all: Arc::clone(&self.content), next: 0, left: self.bytes() as u64 };
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = self.status;
        *response.headers_mut() = head;
        response.extensions_mut().insert(self.account);
        response.extensions_mut().insert(permits);
        response
    }
}

/// The body of a response, whose pieces are shared and not copied.
struct Pieces {
    all: Arc<Content>,
    next: usize,
    left: u64,
}

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.all.pieces.get(self.next).cloned();
        self.next += 1;
        self.left -= piece.as_ref().map_or(0, |piece| piece.len() as u64);
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
