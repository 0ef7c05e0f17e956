//! The bodies of requests: read whole, each byte with a permit before it is buffered, or else discarded.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::{
    body::{Body, Bytes},
    http::{Request, StatusCode, header::EXPECT},
};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use super::{
    gate::{Client, Full, Permit},
    refusal::Refusal,
    service::{BODY_BYTES, BODY_TIME},
};

/// The size of the first buffer of a body that comes in several pieces.
const FIRST_BYTES: usize = 2 * 1024;

/// The longest rest of a rejected body that is read and discarded.
const REST_BYTES: usize = 16 * BODY_BYTES;

/// The longest rest after which the connection goes on: it counts as a part of the next head, of which as much needs no permit.
const BRIEF_BYTES: usize = 4 * 1024;

/// Why a body was not read to its end.
enum Failure {
    TooLong,
    Broken,
    Full(Full),
}

impl From<Full> for Failure {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Reads the whole body into one buffer, and returns the permit for it too. The buffer doubles as bytes arrive: each of many
/// small pieces would otherwise pin the buffer of the connection that it is a slice of.
///
/// # Errors
/// When it is longer than [`BODY_BYTES`], breaks off, takes longer than [`BODY_TIME`], or the budget is full.
pub(super) async fn whole(mut body: Body, client: &Arc<Client>) -> Result<(Bytes, Permit), Refusal> {
    let collected = async {
        if body.size_hint().lower() > BODY_BYTES as u64 {
            return Err(Failure::TooLong);
        }
        let (mut permit, mut text) = (client.receive(0)?, Vec::new());
        while let Some(frame) = body.frame().await {
            // Trailers are ignored.
            let Ok(data) = frame.map_err(|_| Failure::Broken)?.into_data() else { continue };
            let length = text.len() + data.len();
            if length > BODY_BYTES {
                return Err(Failure::TooLong);
            }
            if text.is_empty() && body.is_end_stream() {
                permit.resize(length)?;
                return Ok((data, permit));
            }
            if length > text.capacity() {
                let capacity = length.max(2 * text.capacity()).clamp(FIRST_BYTES, BODY_BYTES);
                permit.resize(capacity)?;
                text.reserve_exact(capacity - text.len());
            }
            text.extend_from_slice(&data);
        }
        Ok((text.into(), permit))
    };
    match timeout(BODY_TIME, collected).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(Failure::Broken)) => Err(Refusal::new(StatusCode::BAD_REQUEST, "the body broke off")),
        Ok(Err(Failure::TooLong)) => {
            let message = format!("the body is longer than {BODY_BYTES} bytes");
            Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        Ok(Err(Failure::Full(full))) => Err(full.into()),
        Err(_) => Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time: send it at once")),
    }
}

/// The body of a request. When its handler drops it before its end, the rest is read and discarded, if it is short: a client
/// that writes before it reads would see a closed connection, and no response. A connection of HTTP/1 ends then, unless the rest
/// is [brief](BRIEF_BYTES), since the next head could not be told from the body, and takes a permit.
pub(super) struct RequestBody {
    /// `None` from its end on.
    rest: Option<Incoming>,
    client: Arc<Client>,
    /// Whether the client sends it unasked; with `Expect: 100-continue` it is sent when it is first read.
    is_sent: bool,
    deadline: Instant,
    /// The permit of its stream, if it is one of HTTP/2, which is open as long as its body.
    stream: Option<Arc<OwnedSemaphorePermit>>,
}

impl RequestBody {
    /// Puts the body of a request into one that discards its rest.
    pub(super) fn of(
        request: Request<Incoming>,
        client: &Arc<Client>,
        stream: Option<Arc<OwnedSemaphorePermit>>,
    ) -> Request<Body> {
        let (client, is_sent) = (Arc::clone(client), !request.headers().contains_key(EXPECT));
        let deadline = Instant::now() + BODY_TIME;
        request.map(|body| Body::new(Self { rest: Some(body), client, is_sent, deadline, stream }))
    }
}

impl hyper::body::Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.is_sent = true;
        let Some(rest) = &mut self.rest else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(rest).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.rest = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.rest.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.as_ref().map_or(SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if self.is_end_stream() {
            return;
        }
        let is_brief = self.size_hint().upper().is_some_and(|rest| rest <= BRIEF_BYTES as u64);
        if self.stream.is_none() && !(self.is_sent && is_brief) {
            self.client.end();
        }
        let is_short = self.size_hint().lower() <= REST_BYTES as u64;
        if self.is_sent
            && is_short
            && let Some(rest) = self.rest.take()
        {
            let (client, stream) = (Arc::clone(&self.client), self.stream.take());
            let rest = async move {
                let _stream = stream;
                let mut rest = Limited::new(rest, REST_BYTES);
                while let Some(Ok(_)) = rest.frame().await {
                    client.make_way().await;
                }
            };
            tokio::spawn(timeout_at(self.deadline, rest));
        }
    }
}
