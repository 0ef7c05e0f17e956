//! The body of a response, whose request stays open until the last byte is written.

use std::{
    io::IoSlice,
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
use hyper::body::{Frame, SizeHint};

use super::{
    activity::OpenRequest,
    progress::{Progress, Watch},
};
use crate::http::held::Held;

/// The largest piece that is handed to an HTTP/2 connection at once, because a stream can be reset between two pieces. An HTTP/1.1
/// connection is given whole frames.
const PIECE_BYTES: usize = 64 * 1024;

/// A body in pieces, each of which holds the permit until it is written.
pub(super) struct Answer {
    body: Body,
    /// The rest of a frame of the body.
    rest: Bytes,
    sending: Arc<Sending>,
    is_http2: bool,
}

/// The state that is held until the last byte of a response is written.
#[derive(Debug)]
struct Sending {
    progress: Arc<Progress>,
    _held: Option<Held>,
    _request: OpenRequest,
}

/// A piece of a body that is being written.
pub(super) struct Piece {
    bytes: Bytes,
    sending: Arc<Sending>,
}

/// Wraps the body of a response, so that its progress is known until the last byte is written.
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
    response.map(|body| Answer { body, rest: Bytes::new(), sending, is_http2: version == Version::HTTP_2 })
}

impl hyper::body::Body for Answer {
    type Data = Piece;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Piece>, axum::Error>>> {
        while self.rest.is_empty() {
            let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(cx)?) else {
                if self.is_http2 {
                    // Only a stream that has not ended can be reset, which frees its buffer.
                    ready!(self.sending.progress.poll_taken(cx));
                }
                return Poll::Ready(None);
            };
            // Responses have no trailers.
            self.rest = frame.into_data().unwrap_or_default();
        }
        let longest = if self.is_http2 { PIECE_BYTES } else { usize::MAX };
        let length = self.rest.len().min(longest);
        let bytes = self.rest.split_to(length);
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
