//! The body of an answer, whose request stays open until its last byte is written.

use std::{
    io::IoSlice,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    http::Version,
    response::Response,
};
use bytes::Buf;
use hyper::body::{Body as _, Frame, SizeHint};

use super::{
    progress::{Progress, Watch},
    pulse::OpenRequest,
};
use crate::http::held::Held;

/// The largest piece that is handed to a connection at once: between two pieces a stream of HTTP/2 can be reset, and other
/// connections have their turn. Writing a piece takes some tens of microseconds; an answer of megabytes to a client that
/// reads fast would else hold a thread for milliseconds, and a hundred such clients everybody.
const PIECE_BYTES: usize = 64 * 1024;

/// A body that gives its bytes in pieces, each of which keeps the permit until it is written.
pub(super) struct Answer {
    body: Body,
    /// The rest of a frame of the body.
    rest: Bytes,
    sending: Arc<Sending>,
    is_http2: bool,
    /// Whether others had their turn since the last piece.
    has_yielded: bool,
}

/// What an answer holds until its last byte is written.
#[derive(Debug)]
struct Sending {
    progress: Arc<Progress>,
    _held: Option<Held>,
    _request: OpenRequest,
}

/// Bytes on their way to a client.
pub(super) struct Piece {
    bytes: Bytes,
    sending: Arc<Sending>,
}

/// Turns the response to a request into one whose bytes are followed until they are written.
pub(super) fn followed(
    mut response: Response,
    version: Version,
    request: OpenRequest,
    watch: &Watch,
    stall: Duration,
) -> Response<Answer> {
    let progress = Arc::new(Progress::new(stall));
    watch.begin(&progress);
    let held = response.extensions_mut().remove();
    let sending = Arc::new(Sending { progress, _held: held, _request: request });
    response.map(|body| Answer {
        body,
        rest: Bytes::new(),
        sending,
        is_http2: version == Version::HTTP_2,
        has_yielded: true,
    })
}

impl Answer {
    /// The next bytes, if the body has more.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, axum::Error>>> {
        while self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                // Answers have no trailers.
                Some(Ok(frame)) => self.rest = frame.into_data().unwrap_or_default(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(self.rest.split_to(self.rest.len().min(PIECE_BYTES)))))
    }
}

impl hyper::body::Body for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        if !mem::replace(&mut self.has_yielded, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(bytes) = ready!(self.poll_bytes(cx)).transpose()? else {
            if self.is_http2 {
                // As long as the stream has not ended it can be reset, and what waits in it be freed.
                ready!(self.sending.progress.poll_taken(cx));
            }
            return Poll::Ready(None);
        };
        self.has_yielded = false;
        self.sending.progress.wait(bytes.len());
        let sending = Arc::clone(&self.sending);
        Poll::Ready(Some(Ok(Frame::data(Piece { bytes, sending }))))
    }

    fn is_end_stream(&self) -> bool {
        let is_at_end = self.rest.is_empty() && self.body.is_end_stream();
        is_at_end && (!self.is_http2 || self.sending.progress.is_untouched())
    }

    fn size_hint(&self) -> SizeHint {
        let (mut hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        if rest > 0 {
            hint = hint.exact().map_or_else(SizeHint::default, |body| SizeHint::with_exact(body + rest));
        }
        hint
    }
}

impl Buf for Piece {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        self.bytes.chunks_vectored(slices)
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes.advance(bytes);
        self.sending.progress.take(bytes);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    use super::*;
    use crate::http::connections::pulse::Pulse;

    const MINUTE: Duration = Duration::from_mins(1);

    #[test]
    fn others_have_their_turn_between_pieces() {
        let (pulse, watch) = (Arc::new(Pulse::new()), Watch::default());
        let response = Response::new(Body::from(vec![0; 2 * PIECE_BYTES + 1]));
        let mut answer = followed(response, Version::HTTP_11, pulse.begin(), &watch, MINUTE).into_body();
        let mut piece = || {
            let frame = answer.frame().now_or_never()?.expect("there is more").ok()?;
            frame.into_data().ok().map(|piece| piece.remaining())
        };
        let turns = [(); 5].map(|()| piece());
        assert_eq!(turns, [Some(PIECE_BYTES), None, Some(PIECE_BYTES), None, Some(1)]);
        assert!(answer.is_end_stream(), "no turn is taken after the last piece");
    }
}
